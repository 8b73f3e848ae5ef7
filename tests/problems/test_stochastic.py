"""Stochastic problems: closed forms on a given path, and what a definition refuses."""

import numpy as np
import pytest

from adjointbench.problems import stochastic
from adjointbench.problems.stochastic import SampledPath, SdeProblem

NOISE = {
    "name": "noise",
    "drift": lambda t, y, p: -p["k"] * y,
    "diffusion": lambda t, y, p: p["s"] * y,
    "y0": np.array([[1.0, 2.0]]),
    "params": {"k": 0.5, "s": 0.1},
    "t_span": (0.0, 2.0),
    "loss": lambda ys, p: (ys**2).sum(),
}


def sampled(problem, intervals, seed=0):
    times = np.linspace(*problem.t_span, intervals + 1)
    h = times[1]
    normal = np.random.RandomState(seed).standard_normal((2, intervals, *problem.y0.shape))
    return SampledPath(times, np.sqrt(h) * normal[0], np.sqrt(h / 12) * normal[1])


def coarser(path):
    """The same path on every other time."""
    w, h = path.increments, path.areas
    areas = (h[::2] + h[1::2]) / 2 + (w[::2] - w[1::2]) / 4
    return SampledPath(path.times[::2], w[::2] + w[1::2], areas)


def milstein(problem, path):
    """The end of the path by Milstein's method; the diffusion is linear in y, or constant."""
    y, p = problem.y0, problem.merged()
    for t, h, w in zip(path.times, np.diff(path.times), path.increments, strict=False):
        noise = problem.diffusion(t, y, p)
        slope = 0.0 if problem.additive else noise / y
        y = y + problem.drift(t, y, p) * h + noise * w + noise * slope * (w**2 - h) / 2
    return y


CLOSED = ("geometric_brownian_motion", "ornstein_uhlenbeck")


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_are_the_limit_of_milsteins_method(name):
    problem = stochastic.get(name, paths=64)
    fine = sampled(problem, 512)
    exact = problem.exact(problem.params, problem.y0, fine).ys[-1]
    fine_error, error = (
        np.sqrt(np.mean((milstein(problem, path) - exact) ** 2)) for path in (fine, coarser(fine))
    )
    assert fine_error < 4 / 512
    assert 1.6 < error / fine_error < 2.4


@pytest.mark.parametrize("per_path", [False, True])
@pytest.mark.parametrize("name", CLOSED)
def test_gradients_in_closed_form_are_differences_of_the_loss(name, per_path):
    problem = stochastic.get(name, paths=3, saves=2)
    shape = (3, 1) if per_path else ()
    params = {
        k: v * np.linspace(1.0, 1.2, 3)[:, None] if shape else v for k, v in problem.params.items()
    }
    path = sampled(problem, 16)
    found = problem.exact(params, problem.y0, path)
    assert found.loss == pytest.approx(problem.loss(found.ys, params), rel=1e-14)
    for key, value in params.items():
        assert found.dparams[key].shape == shape
        bump = np.zeros(shape)
        bump[(1, 0) if per_path else ()] = 1e-5
        losses = [
            problem.exact({**params, key: value + sign * bump}, problem.y0, path).loss
            for sign in (1, -1)
        ]
        slope = found.dparams[key][(1, 0) if per_path else ()]
        assert slope == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-8)
    bump = np.array([[0.0], [1e-5], [0.0]])
    losses = [problem.exact(params, problem.y0 + s * bump, path).loss for s in (1, -1)]
    assert found.dy0[1, 0] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-8)


def test_the_convolution_agrees_with_itself_on_a_coarser_grid_as_far_as_is_said():
    problem = stochastic.get("ornstein_uhlenbeck", paths=200)
    path = sampled(problem, 64)
    exact = [problem.exact(problem.params, problem.y0, each).ys for each in (path, coarser(path))]
    between = np.sqrt(np.mean((exact[0][-1] - exact[1][-1]) ** 2))
    # The coarse one is off by so much, the fine one by a quarter of it.
    said = 0.5 / 32**2 * np.sqrt((1 - np.exp(-2.0)) / 2 / 720)
    assert between == pytest.approx(said, rel=0.15)


@pytest.mark.parametrize("name", stochastic.names())
def test_every_problem_runs_on_every_framework_with_parameters_a_path(name):
    torch, jnp = pytest.importorskip("torch"), pytest.importorskip("jax.numpy")
    problem = stochastic.get(name, paths=3).with_dtype("float32")
    p = {}
    for key, value in problem.params.items():
        shape = value.shape or (1,)
        p[key] = np.broadcast_to(value, (3, *shape)).copy()
    t = np.float32(0.0)
    for function in (problem.drift, problem.diffusion):
        shared = function(t, problem.y0, problem.merged())
        assert np.array_equal(function(t, problem.y0, p), shared)
        for asarray in (torch.asarray, jnp.asarray):
            made = {key: asarray(value) for key, value in p.items()}
            found = function(asarray(t), asarray(problem.y0), made)
            np.testing.assert_allclose(np.asarray(found), shared, rtol=1e-6)


def test_the_moments_of_the_linear_problem_decay_as_its_drift_says():
    problem = stochastic.get("stochastic_linear", volatility=[0.0, 0.0])
    a, b = 0.3, 2.0
    end = milstein(problem, sampled(problem, 4096))
    z = (1 + 0.5j) * np.exp(-a + 1j * b)
    np.testing.assert_allclose(end[0], [z.real, z.imag], rtol=2e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"additive": True}, r"additive=True, but diffusion\(t, y, p\) changes with y"),
        ({"diffusion": lambda t, y, p: p["s"]}, r"diffusion returned shape \(\); it must be"),
        ({"drift": lambda y: y}, r"drift is called as drift\(t, y, p\)"),
        ({"drift": None}, r"drift=None must be a function"),
        ({"exact": 3}, r"exact=3 must be a function"),
        ({"loss": lambda ys, p: ys}, r"loss returned shape \(1, 1, 2\); it must be \(\), a scalar"),
        ({"t_span": (1.0, 0.0)}, r"t_span=\(1.0, 0.0\) must increase"),
        ({"save_at": [3.0]}, r"save_at has 3.0 outside t_span"),
    ],
)
def test_definitions_that_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        SdeProblem(**(NOISE | changes))


def test_names_and_settings_that_are_refused():
    with pytest.raises(ValueError, match=r"did you mean 'ornstein_uhlenbeck'"):
        stochastic.get("ornstein")
    with pytest.raises(ValueError, match=r"'path' is not known; did you mean 'paths'"):
        stochastic.get("stochastic_spiral", path=3)
    with pytest.raises(ValueError, match=r"paths=2.5 must be a whole number"):
        stochastic.get("stochastic_spiral", paths=2.5)
    problem = stochastic.get("ornstein_uhlenbeck", saves=3)
    with pytest.raises(ValueError, match=r"path.times lacks the save times \[0.33"):
        problem.exact(problem.params, problem.y0, sampled(problem, 4))


def test_a_problem_of_ones_own():
    problem = SdeProblem(**NOISE)
    assert problem.save_at.tolist() == [2.0]
    assert problem.with_dtype("float32").dtype == np.float32
    assert "2 states (1, 2), 2 parameters" in repr(problem)
