"""Mass matrices by IDAS through CasADi: right to tolerance, or refused, or a status."""

import numpy as np
import pytest
import tiny_problems as tiny
from array_api_compat import array_namespace

import adjointbench as ab

ca = pytest.importorskip("casadi", reason="IDAS comes with CasADi, which is not installed")

METHODS = ("cvodes-adjoint", "cvodes-forward")
EVERY_METHOD = pytest.mark.parametrize("method", METHODS)

#: Of the equations, and of the state: neither is diagonal with the other.
MIXED, TURNED = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, 2.0], [0.5, -1.0]])
SAVES = np.linspace(0.0, 1.0, 5)


def logistic_rhs(t, y, p):
    """x' = z - k x, 0 = z - k x^2 for (x, z) = TURNED y, mixed by MIXED."""
    xp = array_namespace(y)
    x, z = y[0] + 2.0 * y[1], 0.5 * y[0] - y[1]
    f, g = z - p["k"] * x, z - p["k"] * x**2
    return xp.stack([2.0 * f + g, f + 3.0 * g])


def logistic_loss(ys, p):
    xp = array_namespace(ys)
    return xp.sum(ys[:, 0] ** 2) + p["k"] * xp.sum(ys[:, 1])


def logistic(**changes):
    """A Bernoulli equation with an algebraic variable, from inconsistent values."""
    arguments = {
        "name": "logistic",
        "rhs": logistic_rhs,
        "y0": np.linalg.solve(TURNED, [0.4, 0.9]),
        "params": {"k": 1.3},
        "t_span": (0.0, 1.0),
        "save_at": SAVES,
        "loss": logistic_loss,
        "mass": MIXED @ np.diag([1.0, 0.0]) @ TURNED,
    }
    return ab.Problem(**{**arguments, **changes})


def exact_logistic(k, y0, jump=None):
    """The loss, complex numbers welcome; `jump` multiplies y at t = 0.5 by so much."""

    def x(t, x0):
        return 1.0 / (1.0 + (1.0 / x0 - 1.0) * np.exp(k * t))

    start, loss = TURNED[0] @ y0, 0.0
    for t in SAVES:
        behind = jump is not None and t >= 0.5
        state = x(t - 0.5, jump * x(0.5, start)) if behind else x(t, start)
        y = np.linalg.solve(TURNED.astype(complex), np.stack([state, k * state**2]))
        loss += y[0] ** 2 + k * y[1]
    return loss


def by_complex_step(loss, arguments):
    """The derivatives of ``loss(*arguments)`` by all their numbers, in one vector."""
    flat, step = np.hstack(arguments), 1e-30
    stops = np.cumsum([np.size(a) for a in arguments])[:-1]

    def at(i):
        moved = flat + 1j * step * (np.arange(flat.size) == i)
        return loss(*(part if part.size > 1 else part[0] for part in np.split(moved, stops)))

    return np.array([np.imag(at(i)) / step for i in range(flat.size)])


def numbers(result):
    return np.hstack([*(np.ravel(v) for v in result.dparams.values()), np.ravel(result.dy0)])


def error(found, true):
    return np.linalg.norm(found - true) / np.linalg.norm(true)


@EVERY_METHOD
def test_the_error_follows_the_tolerance(method):
    problem = logistic()
    true = by_complex_step(exact_logistic, (1.3, problem.y0))
    for rtol, bound in ((1e-4, 2e-3), (1e-6, 5e-5), (1e-8, 3e-7), (1e-10, 1e-8)):
        run = ab.prepare(problem, method, rtol=rtol, atol=1e-3 * rtol)
        result = run()
        assert result.status == "ok"
        assert run.settings.solver == "idas"
        assert error(numbers(result), true) < bound
        loss = exact_logistic(1.3, problem.y0).real
        assert result.loss == pytest.approx(loss, rel=bound)
        assert run.primal() == pytest.approx(loss, rel=bound)


@EVERY_METHOD
def test_values_are_consistent_again_after_a_jump(method):
    problem = logistic(
        params={"k": 1.3, "kept": 0.8},
        jump_times=(0.5,),
        jump=lambda i, t, y, p: p["kept"] * y,
    )
    true = by_complex_step(lambda k, kept, y0: exact_logistic(k, y0, kept), (1.3, 0.8, problem.y0))
    result = ab.gradient(problem, method, rtol=1e-9, atol=1e-12)
    assert error(numbers(result), true) < 1e-7


@EVERY_METHOD
def test_behind_a_discontinuity_values_fulfil_what_holds_there(method):
    # x' = z - x, z = level_i: x(2) is linear in the levels, and the save at 1 sees the second.
    def rhs(t, y, p):
        xp = array_namespace(y)
        level = xp.where(t < 1.0, p["levels"][0], p["levels"][1])
        return xp.stack([y[1] - y[0], y[1] - level])

    problem = ab.Problem(
        name="levels",
        rhs=rhs,
        y0=np.zeros(2),
        params={"levels": np.array([1.0, 3.0])},
        t_span=(0.0, 2.0),
        save_at=np.array([1.0, 2.0]),
        loss=lambda ys, p: 10.0 * ys[0, 1] + ys[1, 0],
        mass=np.diag([1.0, 0.0]),
        discontinuities=(1.0,),
    )
    result = ab.gradient(problem, method, rtol=1e-9, atol=1e-12)
    rise = 1.0 - np.exp(-1.0)
    true = [rise * np.exp(-1.0), 10.0 + rise, np.exp(-2.0), 0.0]
    np.testing.assert_allclose(numbers(result), true, rtol=1e-7, atol=1e-12)


@EVERY_METHOD
def test_a_regular_mass_matrix_is_an_ordinary_equation(method):
    def rhs(t, y, p):
        xp = array_namespace(y)
        f, g = -p["k"] * y[0], y[0] - y[1]
        return xp.stack([2.0 * f + g, f + 3.0 * g])

    problem = ab.Problem(
        name="regular",
        rhs=rhs,
        y0=np.array([1.0, 0.5]),
        params={"k": 2.0},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: ys[-1, 1],
        mass=MIXED,
    )
    result = ab.gradient(problem, method, rtol=1e-9, atol=1e-12)
    # y2 = (b + a/(k-1)) e^-t - a/(k-1) e^-kt
    true = by_complex_step(
        lambda k, y0: (
            (y0[1] + y0[0] / (k - 1.0)) * np.exp(-1.0 + 0j) - y0[0] / (k - 1.0) * np.exp(-k)
        ),
        (2.0, problem.y0),
    )
    np.testing.assert_allclose(numbers(result), true, rtol=1e-7)


@EVERY_METHOD
def test_tolerances_of_components_and_float32(method):
    problem = logistic().with_dtype(np.float32)
    true = by_complex_step(exact_logistic, (1.3, logistic().y0))
    result = ab.gradient(problem, method, rtol=1e-6, atol=np.array([1e-9, 1e-8]))
    assert result.dy0.dtype == np.float32
    assert error(numbers(result), true) < 1e-4


@EVERY_METHOD
@pytest.mark.parametrize(
    ("name", "bound"),
    [("chemical_equilibrium", 5e-6), ("pendulum_dae", 2e-4), ("transistor_amplifier", 2e-4)],
)
def test_the_zoo(name, bound, method):
    problem = ab.problems.get(name)
    reference = problem.reference
    result = ab.gradient(problem, method, rtol=1e-6, atol=1e-9, max_steps=20_000)
    assert result.status == "ok"
    assert result.loss == pytest.approx(reference.loss, rel=bound)
    assert tiny.log_error(result, reference.dparams, problem.params) < bound
    assert error(result.dy0, reference.dy0) < bound


def test_robertson_forwards_has_the_gradient_of_the_ordinary_equation():
    result = ab.gradient(ab.problems.get("robertson_dae"), "cvodes-forward", rtol=1e-8, atol=1e-13)
    of_equation = ab.problems.get("robertson").reference
    np.testing.assert_allclose(result.dparams["k"], of_equation.dparams["k"], rtol=1e-7)
    slope = of_equation.dy0 - of_equation.dy0[2]
    np.testing.assert_allclose(result.dy0, slope, rtol=1e-5, atol=1e-13)


def test_what_idas_cannot_start_backwards_is_a_status():
    result = ab.gradient(ab.problems.get("robertson_dae"), "cvodes-adjoint", rtol=1e-6, atol=1e-10)
    assert (result.status, result.phase) == ("newton", "reverse")
    assert np.isnan(numbers(result)).all()


@EVERY_METHOD
def test_no_consistent_values_are_a_status(method):
    problem = logistic(
        rhs=lambda t, y, p: array_namespace(y).stack(
            [-y[0], array_namespace(y).exp(y[1]) + p["k"]]
        ),
        y0=np.ones(2),
        mass=np.diag([1.0, 0.0]),
    )
    result = ab.gradient(problem, method)
    assert result.status in ("newton", "nonfinite")
    assert np.isnan(numbers(result)).all()


@EVERY_METHOD
def test_an_index_of_two_is_refused(method):
    problem = logistic(
        rhs=lambda t, y, p: array_namespace(y).stack([y[1], y[0] - p["k"]]),
        mass=np.diag([1.0, 0.0]),
    )
    with pytest.raises(ValueError, match="the index is 2 or more; differentiate the constraints"):
        ab.prepare(problem, method)


def test_other_solvers_and_other_methods_are_refused():
    with pytest.raises(ValueError, match=r"takes no mass matrix.*use one of: idas"):
        ab.prepare(logistic(), "cvodes-adjoint", solver="cvodes")
    with pytest.raises(ValueError, match=r"a mass matrix; use one of: .*cvodes-forward"):
        ab.prepare(logistic(), "diffrax-direct")


@pytest.mark.parametrize("seeded", ["adj_xf", "adj_zf"])
def test_why_seeds_are_those_of_x_alone(seeded):
    """CasADi's derivative of z is wrong and says nothing: if this fails, seeds of z will do."""
    x, z, p = (ca.SX.sym(name) for name in "xzp")
    system = {"x": x, "z": z, "p": p, "ode": z - 2.0 * x, "alg": z - p * x}
    solve = ca.integrator("solve", "idas", system, 0.0, 1.0, {"reltol": 1e-10, "abstol": 1e-13})
    back = solve.factory("back", ["x0", "z0", "p", seeded.replace("adj_", "adj:")], ["adj:p"])
    found = float(back(1.0, 1.0, 1.0, 1.0))
    true = np.exp(-1.0) * (1.0 if seeded == "adj_xf" else 2.0)
    wrong = abs(found - true) / true
    assert wrong < 1e-8 if seeded == "adj_xf" else 1e-3 < wrong < 1e-1


def test_why_the_adjoint_stops_at_every_save():
    """CasADi's adjoint fails after a seed inside: if this fails, its grid of times will do."""
    x, z, p = (ca.SX.sym(name) for name in "xzp")
    system = {"x": x, "z": z, "p": p, "ode": z - 2.0 * x, "alg": z - p * x}
    solve = ca.integrator("solve", "idas", system, 0.0, [0.5, 1.0], {"show_eval_warnings": False})
    back = solve.factory("back", ["x0", "z0", "p", "adj:xf"], ["adj:p"])
    with pytest.raises(RuntimeError, match="IDA_ERR_FAIL"):
        back(1.0, 1.0, 1.0, ca.DM.ones(1, 2))
