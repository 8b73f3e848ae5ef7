"""Finite differences of the whole solve: their step, their accuracy, their limits."""

import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab
from adjointbench.adjoints.scipy.finite_difference import relative_step

METHOD = "finite-difference"


def test_the_step_follows_the_tolerance():
    assert relative_step(1e-6) == pytest.approx(1e-3)
    assert relative_step(np.array([1e-9, 1e-6])) == pytest.approx(1e-3)
    assert relative_step(1e-16) == pytest.approx(np.finfo(float).eps ** (1 / 3))


@pytest.mark.parametrize("solver", ["rk45", "dop853", "radau", "bdf"])
def test_two_thirds_of_the_digits(solver):
    problem = ab.problems.get("linear")
    _, dparams, _ = problem.exact(problem.params, problem.y0)
    rtols = np.array([1e-4, 1e-6, 1e-8])
    errors = [
        tiny.log_error(
            ab.gradient(problem, METHOD, solver=solver, rtol=r, atol=1e-3 * r),
            dparams,
            problem.params,
        )
        for r in rtols
    ]
    slope = np.polyfit(np.log(rtols), np.log(errors), 1)[0]
    assert 0.5 < slope < 1.1
    assert (errors < 10 * rtols ** (2 / 3)).all()


def test_exact_for_a_quadratic_loss_of_a_linear_problem():
    # The central difference has no truncation error here: what is left is rounding.
    problem = tiny.decay(loss=lambda ys, p: (ys**2).sum())
    result = ab.gradient(problem, METHOD, solver="dop853", rtol=1e-12, atol=1e-14)
    assert result.dy0 == pytest.approx(tiny.decay_gradient()[2], rel=1e-9)


def test_values_of_zero_get_a_step_of_the_size_of_the_solution():
    problem = tiny.decay(
        rhs=lambda t, y, p: p["k"] - 0.1 * y,
        y0=np.array([0.0]),
        params={"k": np.array([0.0])},
        loss=lambda ys, p: ys[-1, 0],
    )
    result = ab.gradient(problem, METHOD, rtol=1e-9, atol=1e-12)
    decayed = np.exp(-0.2)
    assert result.dy0 == pytest.approx(decayed, rel=1e-6)
    assert result.dparams["k"] == pytest.approx((1 - decayed) / 0.1, rel=1e-6)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_a_dose_of_zero_gets_a_step_of_the_size_of_the_state_it_is_added_to(unit):
    problem = tiny.decay(
        rhs=lambda t, y, p: -0.5 * y,
        y0=np.array([unit]),
        params={"dose": np.array([0.0])},
        save_at=np.array([2.0]),
        jump_times=(1.0,),
        jump=lambda i, t, y, p: y + p["dose"],
        loss=lambda ys, p: (ys[-1, 0] / unit) ** 3,
    )
    result = ab.gradient(problem, METHOD, rtol=1e-9, atol=1e-12 * unit)
    slope = 3 * np.exp(-2.0) * np.exp(-0.5) / unit
    assert result.dparams["dose"] == pytest.approx(slope, rel=1e-5)


def test_a_breakdown_at_a_perturbed_value_says_where():
    # Fine at k = 1, where the pole lies just behind the end; not at a k a little larger.
    problem = tiny.decay(
        rhs=lambda t, y, p: p["k"] * y**2,
        y0=np.array([0.4995]),
        params={"k": np.array([1.0])},
        loss=lambda ys, p: ys[-1, 0],
    )
    result = ab.gradient(problem, METHOD, rtol=1e-3, atol=1e-6)
    assert (result.status, result.phase) == ("step_too_small", "reverse")
    assert "component 0" in result.message
    assert np.isnan(result.dy0).all()
    assert ab.gradient(problem, METHOD, rtol=1e-9, atol=1e-12).status == "ok"


def test_the_problems_jacobian_is_used_where_there_is_one():
    calls = []

    def jacobian(t, y, p):
        calls.append(t)
        return -p["k"].reshape(1, 1)

    problem = tiny.decay(jacobian=jacobian)
    calls.clear()
    result = ab.gradient(problem, METHOD, solver="radau")
    assert len(calls) == result.stats.jacobian_evals > 0
    assert ab.gradient(tiny.decay(), METHOD, solver="radau").stats.jacobian_evals == 0
