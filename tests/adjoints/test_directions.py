"""The third check of a certificate: the loss sees what no sensitivity and no adjoint does."""

import dataclasses
import re

import numpy as np
import pytest
from array_api_compat import array_namespace

import adjointbench as ab
from adjointbench import Problem
from adjointbench.adjoints.certify import ContradictionError, certify
from adjointbench.adjoints.directions import (
    DIRECTIONS,
    UnseenDerivativeError,
    compare_with_loss,
)
from adjointbench.adjoints.slopes import LEVELS

TIGHT = {"method": "scipy-adjoint", "solver": "dop853", "rtol": 1e-12, "atol": 1e-14}


def most_solves(problem):
    sizes = [value.size for value in (*problem.params.values(), problem.y0)]
    return 2 + sum(2 * LEVELS * min(DIRECTIONS, size) for size in sizes)


def infusion(stiff=False, **changes):
    """y' = -k y + d until tau, declared at the place where it is: L = y(2)."""

    def rhs(t, y, p):
        xp = array_namespace(y)
        return -p["k"] * y + xp.where(t < p["tau"], p["d"], 0.0 * p["d"])

    arguments = {
        "name": "infusion",
        "rhs": rhs,
        "y0": np.array([1.0]),
        "params": {"k": np.array([0.5]), "tau": np.array([0.8]), "d": np.array([2.0])},
        "t_span": (0.0, 2.0),
        "loss": lambda ys, p: ys.sum(),
        "discontinuities": (0.8,),
        "stiff": stiff,
    }
    return Problem(**{**arguments, **changes})


# y(2) = e^-2k + d / k (e^-k(2 - tau) - e^-2k), so that dL/dtau = d e^-k(2 - tau).
BY_TAU = 2.0 * np.exp(-0.5 * 1.2)


def told_slope(message):
    return float(re.search(r"the loss itself has one of (\S+),", message)[1])


@pytest.mark.parametrize("stiff", [False, True])
@pytest.mark.parametrize("discontinuities", [(0.8,), ()])
def test_a_time_that_is_a_parameter_is_not_certified(stiff, discontinuities):
    problem = infusion(stiff, discontinuities=discontinuities)
    with pytest.raises(ContradictionError, match=r"slope of 0 .* params\['tau'\].*time") as error:
        certify(problem)
    # In units of the parameter.
    assert told_slope(str(error.value)) == pytest.approx(0.8 * BY_TAU, rel=1e-5)


def test_the_right_gradient_passes():
    problem = infusion()
    decay, late = np.exp(-1.0), np.exp(-0.6)
    by_k = -2 * decay - 2 / 0.25 * (late - decay) + 2 / 0.5 * (-1.2 * late + 2 * decay)
    exact = {
        "k": np.array([by_k]),
        "tau": np.array([BY_TAU]),
        "d": np.array([(late - decay) / 0.5]),
    }
    found = dataclasses.replace(
        ab.gradient(problem, "scipy-adjoint"), dparams=exact, dy0=np.array([decay])
    )
    seen = compare_with_loss(problem, found, TIGHT, 1e-10)
    assert seen.disagreement < 1e-7
    assert seen.error < 1e-6
    assert seen.solves <= most_solves(problem)


def test_a_switch_that_depends_on_the_state():
    """y' = -k y above c and -k y / 10 below: the time of the switch, log(1/c)/k, moves with k."""

    def rhs(t, y, p):
        xp = array_namespace(y)
        return xp.where(y > p["c"], -p["k"] * y, -0.1 * p["k"] * y)

    problem = Problem(
        name="threshold",
        rhs=rhs,
        y0=np.array([1.0]),
        params={"k": np.array([1.0]), "c": np.array([0.5])},
        t_span=(0.0, 2.0),
        loss=lambda ys, p: ys.sum(),
    )
    with pytest.raises(ContradictionError, match="threshold of a switch that depends on the state"):
        certify(problem)


def test_a_kink_has_no_gradient():
    problem = Problem(
        name="kink",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.array([1.0]),
        params={"k": np.array([0.5])},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: abs(ys[-1, 0] - 2 * p["k"][0] * float(np.exp(-0.5))),
    )
    # e^-k - 2 k e^-1/2 passes zero at k = 1/2 with the slope -3 e^-1/2.
    with pytest.raises(ContradictionError, match=r"kink in params\['k'\].* -0.909796 .* 0.909796"):
        certify(problem)


SOME = ("linear", "pendulum", "robertson")


@pytest.mark.parametrize(
    ("name", "block"),
    [
        *((name, block) for name in SOME for block in ("first", "last", "y0")),
        ("stiff_neural_ode", "last"),
    ],
)
def test_one_percent_in_one_entry_is_caught(name, block):
    problem = ab.problems.get(name)
    stored = problem.reference
    options = {**TIGHT, "solver": "lsoda"} if problem.stiff else TIGHT
    arrays = {**stored.dparams, "y0": stored.dy0}
    key = {"first": next(iter(arrays)), "last": list(stored.dparams)[-1], "y0": "y0"}[block]
    wrong = arrays[key].copy()
    # The entry that counts most.
    sizes = np.abs(problem.y0 if key == "y0" else problem.params[key])
    entry = np.unravel_index(np.argmax(np.abs(wrong) * np.maximum(sizes, 1e-3)), wrong.shape)
    wrong[entry] *= 1.01
    arrays[key] = wrong
    dy0 = arrays.pop("y0")
    found = dataclasses.replace(ab.gradient(problem, "scipy-adjoint"), dparams=arrays, dy0=dy0)
    place = "y0" if key == "y0" else re.escape(f"params[{key!r}]")
    with pytest.raises(UnseenDerivativeError, match=f"random direction of {place}"):
        compare_with_loss(problem, found, options, stored.agreement)


def test_a_certificate_says_what_the_loss_said():
    found = certify(infusion(params={"k": 0.5, "d": 2.0, "tau": 0.8}, rhs=steady))
    assert found.loss_disagreement < 1e-8
    assert 0 < found.loss_error < 1e-6
    assert found.loss_computation["solver"] == "dop853"
    assert 8 <= found.loss_computation["solves"] <= most_solves(infusion())


def steady(t, y, p):
    """The same without a switch; `tau` does nothing, and that is found too."""
    return -p["k"] * y + p["d"]


def test_a_problem_in_which_nothing_matters():
    problem = Problem(
        name="nothing",
        rhs=lambda t, y, p: 0 * p["k"] * y,
        y0=np.array([1.0]),
        params={"k": np.array([0.5])},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: 0 * ys.sum(),
    )
    assert certify(problem).loss_disagreement == 0.0
