"""What holds for every method that runs on SciPy's solvers."""

import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab

METHODS = ("scipy-forward", "scipy-adjoint", "jax-blackbox", "finite-difference", "complex-step")
SOLVERS = ("rk45", "dop853", "radau", "bdf", "lsoda")
PAIRS = [
    (method, solver)
    for method in METHODS
    for solver in SOLVERS
    if not (method == "complex-step" and solver in ("radau", "lsoda"))
]
#: Every method with its default solver, and every solver with one method: for what is in the
#: stepping that all of them share.
SHARED = [*((method, None) for method in METHODS), *(("scipy-adjoint", s) for s in SOLVERS)]
#: Relative error of the gradient that each solver may leave at rtol 1e-9; two thirds of the
#: digits for finite differences.
TOLERANCE = {"rk45": 1e-8, "dop853": 1e-8, "radau": 1e-7, "bdf": 1e-6, "lsoda": 1e-6}
DIFFERENCES = 1e-5


def tolerance(method, solver):
    return DIFFERENCES if method == "finite-difference" else TOLERANCE[solver]


@pytest.mark.parametrize(("method", "solver"), PAIRS)
def test_decay_is_exact_to_tolerance(method, solver):
    result = ab.gradient(tiny.decay(), method, solver=solver, rtol=1e-9, atol=1e-12)
    loss, dk, dy0 = tiny.decay_gradient()
    allowed = tolerance(method, solver)
    assert result.status == "ok"
    assert result.loss == pytest.approx(loss, rel=allowed)
    assert result.dparams["k"] == pytest.approx(dk, rel=allowed)
    assert result.dy0 == pytest.approx(dy0, rel=allowed)


@pytest.mark.parametrize("method", METHODS)
def test_lotka_volterra_agrees_with_cvodes(method):
    problem = ab.problems.get("lotka_volterra", loss="squared_distance")
    result = ab.gradient(problem, method, rtol=1e-10, atol=1e-12)
    # The step of the differences is 5e-5 of a parameter, on which the loss depends strongly.
    allowed = 5e-6 if method == "finite-difference" else 1e-6
    np.testing.assert_allclose(result.dparams["p"], tiny.LOTKA_VOLTERRA_DP, rtol=allowed)
    np.testing.assert_allclose(result.dy0, tiny.LOTKA_VOLTERRA_DY0, rtol=allowed)


@pytest.mark.parametrize(("method", "solver"), PAIRS)
def test_jumps_against_the_closed_form(method, solver):
    problem = tiny.doses()
    result = ab.gradient(problem, method, solver=solver, rtol=1e-9, atol=1e-12)
    found = [*result.dparams["k"], *result.dparams["dose"], *result.dparams["kept"], *result.dy0]
    np.testing.assert_allclose(found, tiny.doses_gradient(), rtol=tolerance(method, solver))


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_discontinuity_is_seen_from_the_correct_side(solver):
    # A slope of the wrong side enters with its coefficient of the method, 300 times too large.
    # At this tolerance no error control would notice, and a polynomial of degree one is exact.
    problem = tiny.switch()
    result = ab.gradient(problem, "scipy-adjoint", solver=solver, rtol=1e-2, atol=1e3)
    assert result.loss == pytest.approx(10 * 1.5 + 1.5 - 600.0, rel=1e-12)
    np.testing.assert_allclose(result.dparams["slopes"], [11.0, 2.0], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_discontinuity_in_every_method(method):
    result = ab.gradient(tiny.switch(), method, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(result.dparams["slopes"], [11.0, 2.0], rtol=1e-8)
    np.testing.assert_allclose(result.dy0, [11.0], rtol=1e-8)


@pytest.mark.parametrize(("method", "solver"), SHARED)
def test_a_pole_is_a_status(method, solver):
    result = ab.gradient(tiny.blow_up(), method, solver=solver)
    assert result.status == "step_too_small"
    assert result.phase == "forward"
    assert "singularity" in result.message
    assert np.isnan(result.loss)
    assert np.isnan(result.dparams["k"]).all()
    assert np.isnan(result.dy0).all()
    assert result.stats.steps > 10


@pytest.mark.parametrize("problem", [tiny.turns_nan(), tiny.always_nan()], ids=lambda p: p.name)
@pytest.mark.parametrize(("method", "solver"), SHARED)
def test_nan_is_a_status(method, solver, problem):
    result = ab.gradient(problem, method, solver=solver)
    assert (result.status, result.phase) == ("nonfinite", "forward")
    assert np.isnan(result.dy0).all()
    assert np.isnan(ab.prepare(problem, method, solver=solver).primal())


@pytest.mark.parametrize(("method", "solver"), SHARED)
def test_too_many_steps_is_a_status(method, solver):
    problem = ab.problems.get("lotka_volterra")
    result = ab.gradient(problem, method, solver=solver, max_steps=7)
    assert (result.status, result.phase) == ("max_steps", "forward")
    assert result.stats.steps <= 7
    assert "max_steps" in result.message


@pytest.mark.parametrize("method", METHODS)
def test_state_and_parameters_keep_their_shapes(method):
    problem = tiny.oscillators()
    result = ab.gradient(problem, method, rtol=1e-9, atol=1e-11)
    reference = ab.gradient(problem, "scipy-forward", solver="radau", rtol=1e-10, atol=1e-12)
    assert list(result.dparams) == ["b", "a"]
    for name, value in problem.params.items():
        assert result.dparams[name].shape == value.shape
    allowed = tolerance(method, "dop853")
    assert tiny.log_error(result, reference.dparams, problem.params) < allowed
    np.testing.assert_allclose(result.dy0, reference.dy0, rtol=allowed * 10)


@pytest.mark.parametrize("method", METHODS)
def test_float32_results_of_float32_problems(method):
    result = ab.gradient(tiny.decay().with_dtype(np.float32), method)
    loss, dk, dy0 = tiny.decay_gradient()
    assert result.dparams["k"].dtype == np.float32
    assert result.dy0.dtype == np.float32
    found = [result.loss, *result.dparams["k"], *result.dy0]
    np.testing.assert_allclose(found, [loss, dk, dy0], rtol=2e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_prepared_run_takes_new_values(method):
    run = ab.prepare(tiny.decay(), method, rtol=1e-9, atol=1e-12)
    first = run()
    second = run(params={"k": [0.9]}, y0=[2.0])
    loss, dk, dy0 = tiny.decay_gradient(k=0.9, y0=2.0)
    found = [second.loss, *second.dparams["k"], *second.dy0]
    np.testing.assert_allclose(found, [loss, dk, dy0], rtol=DIFFERENCES)
    assert run.primal(params={"k": [0.9]}, y0=[2.0]) == pytest.approx(second.loss, rel=1e-9)
    assert first.stats.compile_s == second.stats.compile_s


@pytest.mark.parametrize("method", [m for m in METHODS if m != "jax-blackbox"])
def test_the_bare_call_returns_the_same_numbers(method):
    problem = tiny.decay()
    run = ab.prepare(problem, method)
    loss, dparams, dy0 = run.compiled(problem.params, problem.y0)
    result = run()
    assert loss == result.loss
    np.testing.assert_array_equal(dparams["k"], result.dparams["k"])
    np.testing.assert_array_equal(dy0, result.dy0)


@pytest.mark.parametrize(("method", "solver"), SHARED)
def test_tolerances_for_each_component(method, solver):
    problem = ab.problems.get("lotka_volterra")
    loose = ab.gradient(problem, method, solver=solver, rtol=1e-3, atol=1e-5)
    rtol, atol = np.array([1e-3, 1e-6]), np.array([1e-5, 1e-8])
    mixed = ab.gradient(problem, method, solver=solver, rtol=rtol, atol=atol)
    assert mixed.status == "ok"
    assert mixed.stats.steps > 1.3 * loose.stats.steps


@pytest.mark.parametrize("method", METHODS)
def test_the_first_step_is_taken_as_given(method):
    # One step of Dormand and Prince over the whole span: the derivative of its polynomial.
    problem = tiny.decay(t_span=(0.0, 0.1), save_at=None, loss=lambda ys, p: ys.sum())
    run = ab.prepare(problem, method, solver="rk45", rtol=1e-3, atol=1e-3, first_step=0.1)
    assert run().stats.steps == 1
    z = -0.05
    polynomial = 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24 + z**5 / 120 + z**6 / 600
    assert run.primal() == pytest.approx(1.5 * polynomial, rel=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_counts_are_those_of_the_solver(method):
    # DOP853: twelve evaluations an attempt, two to start, three for each dense output.
    result = ab.gradient(ab.problems.get("lotka_volterra"), method, solver="dop853")
    stats = result.stats
    attempts = stats.steps + stats.rejected
    dense = 3 * stats.steps if method == "scipy-adjoint" else 0
    assert stats.rhs_evals == 2 + 12 * attempts + dense
    assert stats.jacobian_evals == 0
    assert stats.linear_solves == 0


@pytest.mark.parametrize("method", METHODS)
def test_work_of_the_reverse_pass_is_counted(method):
    stats = ab.gradient(tiny.oscillators(), method, solver="rk45").stats
    columns = 6 + 6 + 9
    if method == "scipy-forward":
        assert stats.reverse_steps is None
        assert stats.jvp_evals == stats.rhs_evals * columns
    elif method in ("scipy-adjoint", "jax-blackbox"):
        # Two evaluations to start and one to go on after the save on the way.
        assert stats.vjp_evals == 3 + 6 * (stats.reverse_steps + stats.reverse_rejected)
    else:
        solves = columns * (2 if method == "finite-difference" else 1)
        assert stats.reverse_steps == pytest.approx(solves * stats.steps, rel=0.2)
