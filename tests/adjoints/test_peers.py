"""Diffrax through its public interface."""

import jax
import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab

METHODS = (
    "diffrax-recursive-checkpoint",
    "diffrax-direct",
    "diffrax-backsolve",
    "diffrax-forward",
)
EVERY_METHOD = pytest.mark.parametrize("method", METHODS)


@EVERY_METHOD
def test_lotka_volterra_agrees_with_cvodes(method):
    problem = ab.problems.get("lotka_volterra", loss="squared_distance")
    run = ab.prepare(problem, method, rtol=1e-9, atol=1e-11)
    result = run()
    assert result.status == "ok"
    np.testing.assert_allclose(result.dparams["p"], tiny.LOTKA_VOLTERRA_DP, rtol=1e-6)
    np.testing.assert_allclose(result.dy0, tiny.LOTKA_VOLTERRA_DY0, rtol=1e-6)
    assert run.primal() == pytest.approx(result.loss, rel=1e-12)
    assert result.stats.steps > 100
    assert result.stats.rhs_evals is None

    with jax.enable_x64(True):
        arguments = jax.device_put((dict(problem.params), problem.y0))
    loss, dparams, dy0 = run.compiled(*arguments)
    assert (loss.dtype, dparams["p"].dtype, dy0.dtype) == (np.float64,) * 3
    assert float(loss) == pytest.approx(result.loss, rel=1e-12)
    np.testing.assert_allclose(np.asarray(dparams["p"]), result.dparams["p"], rtol=1e-12)
    np.testing.assert_allclose(np.asarray(dy0), result.dy0, rtol=1e-12)


@pytest.mark.parametrize("solver", ["dopri5", "dopri8", "kvaerno5"])
def test_other_solvers(solver):
    result = ab.gradient(tiny.decay(), "diffrax-forward", solver=solver, rtol=1e-9, atol=1e-12)
    loss, dk, dy0 = tiny.decay_gradient()
    found = [result.loss, *result.dparams["k"], *result.dy0]
    # The first save is read off the dense output, which is of lower order than the step.
    np.testing.assert_allclose(found, [loss, dk, dy0], rtol=1e-6)


def test_robertson_by_the_implicit_solver():
    problem = ab.problems.get("robertson")
    result = ab.gradient(problem, "diffrax-forward", rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(result.dparams["k"], tiny.ROBERTSON_DK, rtol=1e-6)


@EVERY_METHOD
def test_constants_reach_the_equations(method):
    problem = ab.Problem(
        name="driven",
        rhs=lambda t, y, p: p["force"] - p["k"] * y,
        y0=np.zeros(2),
        params={"k": np.array([0.5])},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: ys[-1, 0] + ys[-1, 1],
        constants={"force": np.array([1.0, 2.0])},
    )
    # y = force (1 - exp(-k t)) / k
    expected = 3.0 * (np.exp(-0.5) * 1.5 - 1.0) / 0.25
    result = ab.gradient(problem, method, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(result.dparams["k"], expected, rtol=1e-6)


@pytest.mark.parametrize("method", ["diffrax-recursive-checkpoint", "diffrax-backsolve"])
def test_a_discontinuity_is_stepped_onto(method):
    result = ab.gradient(tiny.switch(), method, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(result.dparams["slopes"], [11.0, 2.0], rtol=1e-7)


def test_state_and_parameters_keep_shapes_order_and_dtype():
    problem = tiny.oscillators().with_dtype(np.float32)
    result = ab.gradient(problem, "diffrax-forward", rtol=1e-5, atol=1e-6)
    reference = ab.gradient(tiny.oscillators(), "scipy-forward", rtol=1e-9, atol=1e-11)
    assert list(result.dparams) == list(problem.params)
    for name, value in problem.params.items():
        assert result.dparams[name].shape == value.shape
        assert result.dparams[name].dtype == np.float32
    assert tiny.log_error(result, reference.dparams, problem.params) < 1e-4


def test_breakdowns_are_statuses():
    run = ab.prepare(tiny.blow_up(), "diffrax-forward", max_steps=100)
    result = run()
    assert (result.status, result.phase) == ("max_steps", "forward")
    assert np.isnan(result.loss)
    assert np.isnan(result.dy0).all()
    assert np.isnan(run.primal())
    short = run(y0=[1e-3])
    assert short.status == "ok"


def test_a_linear_solve_that_breaks_down_in_the_derivative_is_a_status():
    problem = ab.problems.get("brusselator")
    result = ab.gradient(problem, "diffrax-forward", rtol=1e-3, atol=1e-6)
    assert (result.status, result.phase) == ("linear_solve", "reverse")
    assert np.isnan(result.dparams["A"]).all()


def test_the_backsolve_has_its_own_tolerance():
    problem = ab.problems.get("linear")
    _, dparams, _ = problem.exact(problem.params, problem.y0)
    loose = ab.gradient(
        problem, "diffrax-backsolve", rtol=1e-9, atol=1e-12, adjoint_rtol=1e-3, adjoint_atol=1e-3
    )
    assert 1e-8 < tiny.log_error(loose, dparams, problem.params) < 1e-2


def test_the_adaptive_trap_as_published():
    # Sapienza et al., arXiv:2406.09699: true value 212.710425217. Measured with diffrax 0.7.2,
    # Tsit5, first step 0.1, at every tolerance: 6217.608.
    problem = ab.problems.get("adaptive_ad_trap")
    result = ab.gradient(problem, "diffrax-recursive-checkpoint", first_step=0.1)
    assert result.status == "ok"
    assert result.dparams["a"] == pytest.approx(6217.608, rel=1e-4)
