"""Diffrax and torchsde on stochastic equations, on the same Brownian motion as the open solver."""

import functools

import numpy as np
import pytest

from adjointbench.problems import stochastic

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
pytest.importorskip("diffrax")
pytest.importorskip("torchsde")

from adjointbench.adjoints.jax.sde import BrownianPath  # noqa: E402
from adjointbench.adjoints.peers import diffrax_sde, torchsde  # noqa: E402
from adjointbench.suite.measuring.studies.sde_truth import parameters_a_path, sampled_paths  # noqa: E402
from adjointbench.suite.measuring.studies.sde_ways import way  # noqa: E402

PATHS, STEP = 3, 2.0**-4
#: Of constant noise, so that every method is at its best order, and of noise that multiplies.
OU = stochastic.get("ornstein_uhlenbeck", paths=PATHS)
GBM = stochastic.get("geometric_brownian_motion", paths=PATHS)


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def on_path(problem, method):
    return way(problem, method).on_given_path(parameters_a_path(problem), problem.y0, 7)


@functools.cache
def exact(problem):
    (path,) = sampled_paths(problem, (2**8,), 7)
    return problem.exact(parameters_a_path(problem), problem.y0, path)


def test_increments_of_the_path_add_up():
    path = BrownianPath(jax.random.key(7), GBM.y0, GBM.save_at)
    between = jax.jit(path.between)
    first, second, both = (between(*at) for at in ((0.5, 0.6), (0.6, 0.75), (0.5, 0.75)))
    np.testing.assert_allclose(first.w + second.w, both.w, atol=1e-14)
    area = (0.1 * first.area + 0.15 * second.area) / 0.25
    area += (0.15 * first.w - 0.1 * second.w) / (2 * 0.25)
    np.testing.assert_allclose(area, both.area, atol=1e-14)
    assert np.isnan(between(0.4, 0.6).w).all()
    np.testing.assert_allclose(path.at_saves()[2] - path.at_saves()[1], both.w, atol=1e-14)


@pytest.mark.parametrize(
    ("method", "error"),
    [
        # Of strong order 1.5, and of order 1.
        ("diffrax-recursive-checkpoint(solver=shark, step={})", STEP**1.5 / 3),
        ("torchsde-backprop(solver=srk, step={})", STEP**1.5 / 3),
        ("diffrax-backsolve(solver=heun, step={})", STEP / 3),
    ],
)
def test_gradients_of_every_library_are_those_of_the_path(method, error):
    truth, found = exact(OU), on_path(OU, method.format(STEP))
    assert found.ok
    for name, value in truth.dparams.items():
        assert found.dparams[name].shape == (PATHS, 1)
        scale = np.abs(value).max()
        np.testing.assert_allclose(found.dparams[name], value, atol=error * scale, rtol=0)
    np.testing.assert_allclose(found.dy0, truth.dy0, rtol=error)


def test_diffrax_gets_the_stratonovich_drift_and_steps_onto_saves():
    truth = exact(GBM)
    found = on_path(GBM, "diffrax-recursive-checkpoint(solver=spark, tol=0.001)")
    assert found.ok
    np.testing.assert_allclose(found.ys, truth.ys, rtol=2e-2)
    np.testing.assert_allclose(found.dy0, truth.dy0, rtol=2e-2)


def test_torchsde_reverses_heuns_reversible_method_exactly():
    adjoint, backprop = (
        on_path(GBM, f"torchsde-{name}(solver=reversible-heun, step={STEP})")
        for name in ("adjoint", "backprop")
    )
    for name, value in backprop.dparams.items():
        np.testing.assert_allclose(adjoint.dparams[name], value, rtol=1e-10)
    np.testing.assert_allclose(adjoint.ys, exact(GBM).ys, rtol=0.1)


def test_torchsde_chooses_steps_from_save_to_save():
    found = on_path(GBM, "torchsde-backprop(solver=srk, tol=0.01)")
    np.testing.assert_allclose(found.ys, exact(GBM).ys, rtol=2e-2)


def test_bytes_are_those_that_are_handed_over():
    kept = {
        name: way(GBM, f"{name}, step={STEP})").kept_bytes()
        for name in (
            "jax-discrete(solver=sriw1",
            "jax-forward(solver=sriw1",
            "diffrax-backsolve(solver=heun",
            "torchsde-backprop(solver=srk",
            "torchsde-adjoint(solver=srk",
            "torchsde-adjoint(solver=reversible-heun",
        )
    }
    states = 16 * GBM.y0.nbytes
    assert kept["jax-forward(solver=sriw1"] == 0
    assert kept["jax-discrete(solver=sriw1"] >= states
    assert kept["torchsde-backprop(solver=srk"] > 10 * states
    assert kept["torchsde-adjoint(solver=srk"] < states
    assert kept["diffrax-backsolve(solver=heun"] < 2 * states


@pytest.mark.parametrize(
    ("peer", "arguments", "message"),
    [
        (diffrax_sde, {"solver": "shark"}, "is for additive noise, .*; use solver='slowrk'"),
        (diffrax_sde, {"solver": "spork"}, "did you mean 'spark'"),
        (diffrax_sde, {"solver": "heun", "adjoint": "back"}, "did you mean 'backsolve'"),
        (diffrax_sde, {"solver": "spark", "adjoint": "backsolve"}, "pass solver='heun'"),
        (torchsde, {"solver": "milsten"}, "did you mean 'milstein'"),
        (torchsde, {"solver": "srk", "adjoint": "back"}, "did you mean 'backprop'"),
    ],
)
def test_what_a_library_lacks_is_refused(peer, arguments, message):
    with pytest.raises(ValueError, match=message):
        peer.loss_function(GBM, **arguments, step=STEP)


def test_torchsde_takes_states_of_two_axes_and_paths_know_what_they_know():
    flat = stochastic.SdeProblem(
        name="flat",
        drift=lambda t, y, p: -y,
        diffusion=lambda t, y, p: y,
        y0=np.ones(2),
        params={},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: (ys**2).sum(),
    )
    with pytest.raises(ValueError, match=r"y0 has shape \(2,\), and torchsde takes \(batch, comp"):
        torchsde.loss_function(flat, solver="srk", step=STEP)
    path = torchsde.GivenPath(lambda start, end: (np.ones(2), np.ones(2)), torch.ones(2))
    assert path(0.0, 0.5, return_U=True)[1].tolist() == [0.75, 0.75]
    with pytest.raises(ValueError, match="only increments and time integrals"):
        path(0.0, 0.5, return_A=True)
