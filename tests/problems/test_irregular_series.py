"""Irregular series and their encoder: what was not seen changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from adjointbench.problems.neural.gru_encoder import encode, encoder_weights
from adjointbench.problems.neural.irregular_series import gaps, sinusoids, spirals
from adjointbench.problems.neural.latent_ode import latent_ode, latent_ode_weights
from adjointbench.training.jax_start import scanned
from adjointbench.training.start import looped


@pytest.mark.parametrize(("make", "features"), [(sinusoids, 1), (spirals, 2)])
def test_made_series_are_seen_in_part(make, features):
    series = make(samples=10, times=20, seen=0.25)
    assert series.train_values.shape == series.train_mask.shape == (8, 20, features)
    assert len(series.test_values) == 2
    assert (np.diff(series.times) > 0).all()
    assert series.times[0] == 0.0
    np.testing.assert_array_equal(series.train_mask[..., 0].sum(axis=1), 5.0)
    assert (series.train_values[series.train_mask == 0.0] == 0.0).all()
    again = make(samples=10, times=20, seen=0.25)
    np.testing.assert_array_equal(series.test_values, again.test_values)


def test_made_series_are_what_they_are_called():
    """A sinusoid spans twice its amplitude of 1; on spirals radius and angle, or 1/angle, agree."""
    values = sinusoids(samples=10, times=400, seen=1.0, noise=0.0).train_values
    np.testing.assert_allclose(np.ptp(values, axis=1), 2.0, rtol=0.02)
    radii = np.linalg.norm(spirals(samples=10, times=50, seen=1.0, noise=0.0).train_values, axis=-1)
    grows = np.diff(radii, axis=1)
    assert ((grows > 0).all(axis=1) ^ (grows < 0).all(axis=1)).all()


def test_gaps_are_those_to_the_next_observation():
    times = np.array([0.0, 1.0, 3.0, 7.0])
    mask = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 1]])[..., None]
    expected = [[3.0, 2.0, 0.0, 0.0], [7.0, 6.0, 4.0, 0.0], [1.0, 2.0, 4.0, 0.0]]
    np.testing.assert_array_equal(gaps(times, mask), expected)


def batch():
    """Four series of two features, at times and in features that were seen or not."""
    random = np.random.RandomState(0)
    mask = (random.uniform(size=(4, 6, 2)) < 0.5).astype(float)
    mask[:, 2] = 0.0
    mask[:, 3] = 1.0
    times = np.linspace(0.0, 1.0, 6)
    return times, {
        "values": random.standard_normal(mask.shape) * mask,
        "mask": mask,
        "gaps": gaps(times, mask),
    }


def test_the_encoder_agrees_on_all_frameworks_and_skips_what_was_not_seen():
    weights = encoder_weights(2, 3, 5, 4, np.random.RandomState(1))
    _, samples = batch()
    expected = encode(weights, samples, looped)
    assert [found.shape for found in expected] == [(4, 4), (4, 4)]
    with jax.enable_x64(True):
        encoder = jax.jit(lambda *arguments: encode(*arguments, scanned))
        on_jax = encoder(*jax.tree.map(jnp.asarray, (weights, samples)))
        np.testing.assert_allclose(on_jax, expected, rtol=1e-12)
    on_torch = encode(*jax.tree.map(torch.asarray, (weights, samples)), looped)
    np.testing.assert_allclose([x.numpy() for x in on_torch], expected, rtol=1e-12)
    kept = np.arange(6) != 2
    without = {name: values[:, kept] for name, values in samples.items()}
    np.testing.assert_array_equal(encode(weights, without, looped), expected)
    samples["values"] = samples["values"] + samples["mask"]
    assert not np.isclose(encode(weights, samples, looped)[0], expected[0]).any()


def test_the_loss_is_the_mean_square_of_what_was_seen():
    times, samples = batch()
    weights = latent_ode_weights(2, 3, 5, 1, np.random.RandomState(2))
    problem = latent_ode(np.zeros((4, 3)), weights, times, samples, spread=0.1)
    zs = np.random.RandomState(3).standard_normal((6, 4, 3))
    decoded = zs @ weights["decoder_w"] + weights["decoder_b"]
    errors = [
        np.mean((decoded[:, b] - samples["values"][b])[samples["mask"][b] > 0] ** 2)
        for b in range(4)
    ]
    expected = np.mean(errors) / (2.0 * 0.1**2)
    assert problem.loss(zs, problem.merged()) == pytest.approx(expected, rel=1e-12)
    assert np.abs(problem.rhs(0.0, 10.0 * zs[0], problem.merged())).max() < 1.0
