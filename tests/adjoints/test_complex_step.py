"""The complex step: exact for frozen steps, and refused where it would be wrong."""

import numpy as np
import pytest
import tiny_problems as tiny
from array_api_compat import array_namespace

import adjointbench as ab
from adjointbench.adjoints.methods import get_method
from adjointbench.adjoints.options import models_of

METHOD = "complex-step"


def test_the_derivative_of_one_step_is_exact():
    # One step of Dormand and Prince is a polynomial in z = -k h; its derivative to rounding.
    problem = tiny.decay(t_span=(0.0, 0.1), save_at=None, loss=lambda ys, p: ys.sum())
    result = ab.gradient(problem, METHOD, solver="rk45", rtol=1e-3, atol=1e-3, first_step=0.1)
    z = -0.05
    polynomial = 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24 + z**5 / 120 + z**6 / 600
    slope = 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24 + z**5 / 100
    assert result.dparams["k"] == pytest.approx(-0.1 * 1.5 * slope, rel=1e-14)
    assert result.dy0 == pytest.approx(polynomial, rel=1e-14)


def test_it_is_the_derivative_with_frozen_steps():
    # At a fixed point the solver sees no error and takes steps that are far too long for the
    # derivative: the difference of the adaptive program sees what the complex step does not.
    problem = ab.problems.get("adaptive_ad_trap")
    frozen = ab.gradient(problem, METHOD, solver="rk45", rtol=1e-9, atol=1e-12)
    whole = ab.gradient(problem, "finite-difference", solver="rk45", rtol=1e-9, atol=1e-12)
    # Sapienza et al., arXiv:2406.09699.
    assert whole.dparams["a"] == pytest.approx(212.710425217, rel=1e-4)
    assert abs(frozen.dparams["a"][()] / 212.710425217 - 1) > 1


@pytest.mark.parametrize("solver", ["rk45", "dop853", "bdf"])
def test_the_error_follows_the_tolerance(solver):
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
    assert 0.7 < slope < 1.4


def test_robertson_with_bdf_in_the_complex_plane():
    result = ab.gradient(ab.problems.get("robertson"), METHOD, rtol=1e-9, atol=1e-12)
    found = np.concatenate([np.ravel(v) for v in result.dparams.values()])
    np.testing.assert_allclose(found, tiny.ROBERTSON_DK, rtol=1e-7)
    assert result.stats.derivatives == "complex step"


def xp_of(y):
    return array_namespace(y)


REFUSED_RHS = {
    "abs": (lambda t, y, p: -p["k"] * abs(y), "absolute"),
    "array API abs": (lambda t, y, p: -p["k"] * xp_of(y).abs(y), "absolute"),
    "maximum": (lambda t, y, p: -p["k"] * xp_of(y).maximum(y, 0 * y), "maximum"),
    "minimum": (lambda t, y, p: -p["k"] * xp_of(y).minimum(y, 0 * y + 5), "minimum"),
    "where": (lambda t, y, p: xp_of(y).where(y > 0, -p["k"] * y, y), "greater"),
    "sign after a copy": (
        lambda t, y, p: -p["k"] * xp_of(y).sign(xp_of(y).concat([y, y])[:1]) * y,
        "sign|absolute",
    ),
    "real part": (lambda t, y, p: -p["k"] * y * y.real, "Cauchy-Riemann"),
    "conjugate": (lambda t, y, p: -p["k"] * y.conj(), "conjugate|Cauchy-Riemann"),
    "cast": (lambda t, y, p: (-p["k"] * y).astype(np.float64), "Cauchy-Riemann"),
    "floor": (lambda t, y, p: -p["k"] * y + 0 * xp_of(y).floor(y), "floor|complex"),
}


@pytest.mark.parametrize("name", REFUSED_RHS)
def test_a_right_hand_side_that_is_not_analytic_is_refused(name):
    rhs, reason = REFUSED_RHS[name]
    with pytest.raises(ValueError, match=f"rhs of problem 'decay'.*({reason})") as error:
        ab.prepare(tiny.decay(rhs=rhs), METHOD)
    assert "finite-difference" in str(error.value)


def test_a_loss_that_is_not_analytic_is_refused():
    with pytest.raises(ValueError, match=r"loss of problem 'decay'.*absolute"):
        ab.gradient(tiny.decay(loss=lambda ys, p: abs(ys).sum()), METHOD)
    with pytest.raises(ValueError, match=r"loss of problem 'decay'.*Cauchy"):
        ab.gradient(tiny.decay(loss=lambda ys, p: (ys.real * ys).sum()), METHOD)


def test_a_jump_that_is_not_analytic_is_refused():
    with pytest.raises(ValueError, match=r"jump of problem 'doses'.*absolute"):
        ab.gradient(tiny.doses(jump=lambda i, t, y, p: abs(y) + p["dose"][i]), METHOD)


def test_comparisons_of_time_are_no_obstacle():
    # Times are real; only what depends on the state counts.
    assert ab.gradient(tiny.switch(), METHOD).status == "ok"


def test_a_maximum_that_cancels_is_no_obstacle():
    # The usual stable logarithm of a sum of exponentials.
    def loss(ys, p):
        xp = array_namespace(ys)
        top = xp.max(ys)
        return xp.log(xp.sum(xp.exp(ys - top))) + top

    result = ab.gradient(tiny.decay(loss=loss), METHOD, rtol=1e-10, atol=1e-12)
    states = 1.5 * np.exp(-0.5 * np.array([1.0, 2.0]))
    weights = np.exp(states) / np.exp(states).sum()
    assert result.dy0 == pytest.approx((weights * states).sum() / 1.5, rel=1e-8)


#: A loss that is a mean of absolute values; rates that a comparison with a parameter chooses.
NOT_ANALYTIC = ("stiff_neural_ode", "switched_rates")


#: What the method takes at all.
TAKEN = [
    name
    for name in ab.problems.names()
    if {*models_of(ab.problems.get(name))} <= get_method(METHOD).models
]


@pytest.mark.parametrize("name", [n for n in TAKEN if n not in NOT_ANALYTIC])
def test_the_problems_of_the_zoo_are_analytic(name):
    from adjointbench.adjoints.scipy.analytic import require_analytic

    require_analytic(ab.problems.get(name))


@pytest.mark.parametrize("name", [n for n in TAKEN if n in NOT_ANALYTIC])
def test_a_problem_of_the_zoo_that_is_not_analytic_is_refused(name):
    with pytest.raises(ValueError, match="analytic"):
        ab.gradient(ab.problems.get(name), METHOD)
