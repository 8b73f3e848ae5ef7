"""diffsol through its public interface, and equations in DiffSL."""

import casadi as ca
import numpy as np
import pydiffsol
import pytest
import tiny_problems as tiny
from array_api_compat import array_namespace

import adjointbench as ab
from adjointbench.adjoints.peers.diffsl import FORMS, number

METHODS = ("diffsol-adjoint", "diffsol-forward")
EVERY_METHOD = pytest.mark.parametrize("method", METHODS)


@EVERY_METHOD
def test_lotka_volterra_agrees_with_cvodes(method):
    problem = ab.problems.get("lotka_volterra", loss="squared_distance")
    run = ab.prepare(problem, method, rtol=1e-10, atol=1e-12)
    result = run()
    assert result.status == "ok"
    np.testing.assert_allclose(result.dparams["p"], tiny.LOTKA_VOLTERRA_DP, rtol=1e-5)
    np.testing.assert_allclose(result.dy0, tiny.LOTKA_VOLTERRA_DY0, rtol=1e-5)
    assert run.primal() == pytest.approx(result.loss, rel=1e-8)
    assert result.stats.steps > 100
    loss, dparams, dy0 = run.compiled(dict(problem.params), problem.y0)
    assert (loss.dtype, float(loss)) == (np.float64, result.loss)
    np.testing.assert_array_equal(dparams["p"], result.dparams["p"])
    np.testing.assert_array_equal(dy0, result.dy0)


@EVERY_METHOD
@pytest.mark.parametrize("solver", ["bdf", "esdirk34", "tr_bdf2"])
def test_robertson_by_the_implicit_solvers(method, solver):
    problem = ab.problems.get("robertson")
    result = ab.gradient(problem, method, solver=solver, rtol=1e-7, atol=1e-12)
    if (method, solver) == ("diffsol-forward", "tr_bdf2"):
        # With the sensitivities in its error test it rejects steps until it gives up.
        assert (result.status, result.phase) == ("step_too_small", "reverse")
        return
    np.testing.assert_allclose(result.dparams["k"], tiny.ROBERTSON_DK, rtol=1e-4)


@EVERY_METHOD
def test_shapes_constants_and_dtype(method):
    problem = tiny.oscillators().with_dtype(np.float32)
    result = ab.gradient(problem, method, rtol=1e-7, atol=1e-8)
    reference = ab.gradient(tiny.oscillators(), "scipy-forward", rtol=1e-9, atol=1e-11)
    assert list(result.dparams) == list(problem.params)
    for name, value in problem.params.items():
        assert result.dparams[name].shape == value.shape
        assert result.dparams[name].dtype == np.float32
    assert tiny.log_error(result, reference.dparams, problem.params) < 1e-5


@EVERY_METHOD
def test_a_loss_of_the_parameters_alone(method):
    problem = tiny.decay(loss=lambda ys, p: (p["k"] ** 2).sum() + 0.0 * ys.sum())
    result = ab.gradient(problem, method)
    assert (result.status, result.dparams["k"][0], result.dy0[0]) == ("ok", 1.0, 0.0)


@pytest.mark.parametrize("code", [c for c in FORMS if c != ca.OP_ASSIGN])
def test_every_operation_and_its_derivative(code):
    """At three numbers, as CasADi has it."""
    form = FORMS[code]
    x, y = ca.SX.sym("x"), ca.SX.sym("y")
    operation = ca.SX.binary(code, x, y) if "{1}" in form else ca.SX.unary(code, x)
    true = ca.Function("true", [x, y], [operation, ca.gradient(operation, ca.vertcat(x, y))])
    ode = pydiffsol.Ode(
        "in_i { a = 1.0, b = 1.0 }\nu_i { x = a, y = b }\n"
        f"v {{ {form.format('x', 'y')} }}\nF_i {{ v, 0.0 }}"
    )
    given = np.ones(2)
    for at in np.array([[1.5, 0.7], [1.2, 2.5], [3.0, 1.1]]):
        value, slopes = (np.ravel(found.full()) for found in true(*at))
        assert ode.rhs(given, 0.0, at)[0] == pytest.approx(value[0], rel=1e-14)
        for i, direction in enumerate(np.eye(2)):
            slope = ode.rhs_jac_mul(given, 0.0, at, direction)[0]
            assert slope == pytest.approx(slopes[i], rel=1e-13, abs=1e-14)


@pytest.mark.parametrize("value", [1e-300, -2.5e-9, 3.0, 1e20, 0.1])
def test_numbers_are_written_in_full(value):
    ode = pydiffsol.Ode(f"in_i {{ a = 1.0 }}\nu_i {{ x = a }}\nF_i {{ x * ({number(value)}) }}")
    assert ode.rhs(np.ones(1), 0.0, np.ones(1))[0] == value


@EVERY_METHOD
def test_breakdowns_are_statuses(method):
    run = ab.prepare(tiny.blow_up(), method)
    result = run()
    assert (result.status, result.phase) == ("step_too_small", "forward")
    assert np.isnan([result.loss, *result.dy0, run.primal()]).all()
    assert np.isnan(run.compiled(dict(run.problem.params), run.problem.y0)[0])
    assert run(y0=[0.1]).status == "ok"
    few = ab.gradient(tiny.decay(), method, max_steps=3)
    assert (few.status, few.phase) == ("max_steps", "forward")


def test_a_panic_is_a_status_and_not_the_end():
    """Its adjoint loses its way where the forward solve takes a few large steps."""
    run = ab.prepare(tiny.blow_up(), "diffsol-adjoint")
    lost = run(y0=[1e-3])
    assert (lost.status, lost.phase) == ("failed", "reverse")
    assert "diffsol gave up: " in lost.message
    assert run(y0=[0.1]).status == "ok"


@EVERY_METHOD
def test_what_is_not_finite_at_the_start_is_told(method):
    """Its explicit solver would never come back."""
    result = ab.gradient(tiny.decay(), method)
    assert result.status == "ok"
    never = tiny.decay(rhs=lambda t, y, p: p["k"] * array_namespace(y).log(y - 2.0))
    assert ab.gradient(never, method).status == "nonfinite"
    assert np.isnan(ab.prepare(never, method).primal())
    result = ab.gradient(tiny.turns_nan(), method)
    assert (result.status, result.phase) == ("nonfinite", "forward")


def test_slopes_that_are_not_finite_at_the_end_are_told():
    """A solve backwards would never come back either."""
    problem = tiny.decay(y0=np.zeros(1), loss=lambda ys, p: array_namespace(ys).sqrt((ys**2).sum()))
    result = ab.gradient(problem, "diffsol-adjoint")
    assert (result.status, result.phase) == ("nonfinite", "reverse")


def test_what_it_lacks_is_refused():
    for problem, said in ((tiny.doses(), "jump_times="), (tiny.switch(), "discontinuities=")):
        with pytest.raises(ValueError, match=rf"{said}.*; use method='jax-discrete'"):
            ab.prepare(problem, METHODS[0])
    with pytest.raises(ValueError, match=r"atol has shape \(1,\).*takes one number"):
        ab.prepare(tiny.decay(), METHODS[0], atol=np.array([1e-6]))
    unknown = tiny.decay(rhs=lambda t, y, p: -p["k"] * array_namespace(y).atan(y))
    with pytest.raises(ValueError, match=r"'decay' in DiffSL, which has no atan; use"):
        ab.prepare(unknown, METHODS[0])

    def long(t, y, p):
        for _ in range(2001):
            y = y * p["k"]
        return y

    with pytest.raises(ValueError, match=r"operations, more than 2000; use"):
        ab.prepare(tiny.decay(rhs=long), METHODS[0])
