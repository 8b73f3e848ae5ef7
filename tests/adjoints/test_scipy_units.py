"""A gradient is linear in the loss, and in the units of states, parameters and time."""

import numpy as np
import pytest
from array_api_compat import array_namespace

import adjointbench as ab
from adjointbench import Problem

METHODS = (
    "scipy-adjoint",
    "scipy-forward",
    "jax-blackbox",
    "torch-blackbox",
    "finite-difference",
    "complex-step",
)
UNITS = (
    {"loss": 1e-30},
    {"loss": 1e30},
    {"time": 1e-11},
    {"time": 1e15},
    {"state": 1e9},
    {"state": 1e-9},
    {"params": 1e12},
    {"params": 1e-12},
    {"loss": 1e-12, "time": 1e-11, "state": 1e9, "params": 1e12},
)
RATE, END = 5.0, 4.0


def oscillator(loss=1.0, time=1.0, state=1.0, params=1.0):
    """q'' = -w^2 q from q = 1: L = (cos(w T) - 0.3)^2, all of it in other units."""

    def rhs(t, y, p):
        w = p["w"] / (params * time)
        return array_namespace(y).stack([w * y[1], -w * y[0]])

    return Problem(
        name="oscillator",
        rhs=rhs,
        y0=state * np.array([1.0, 0.0]),
        params={"w": np.array(RATE * params)},
        t_span=(0.0, END * time),
        save_at=time * np.array([2.0, END]),
        loss=lambda ys, p: loss * (ys[-1, 0] / state - 0.3) ** 2,
    )


def oscillator_gradient():
    """By w, and by the two start values."""
    phase = RATE * END
    outer = 2 * (np.cos(phase) - 0.3)
    return -outer * END * np.sin(phase), outer * np.cos(phase), outer * np.sin(phase)


def gradient(method, units, **options):
    """The gradient of the oscillator by w and the start values, in the units of one."""
    state, loss = units.get("state", 1.0), units.get("loss", 1.0)
    found = ab.gradient(oscillator(**units), method, rtol=1e-6, atol=1e-9 * state, **options)
    assert found.status == "ok"
    dw = found.dparams["w"] * units.get("params", 1.0)
    return np.hstack([dw, found.dy0 * state]) / loss


@pytest.mark.parametrize("units", UNITS, ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_units_change_no_digit(method, units):
    found = gradient(method, units)
    # The difference quotient in w is h^2 (w T)^2 / 6 off, with h = (1e-9)^(1/3).
    np.testing.assert_allclose(
        found, oscillator_gradient(), rtol=1e-3 if method == "finite-difference" else 2e-5
    )
    # Where time has another length the first step is another; all else is the same to rounding.
    np.testing.assert_allclose(found, gradient(method, {}), rtol=3e-6 if "time" in units else 1e-9)


@pytest.mark.parametrize("units", UNITS, ids=str)
@pytest.mark.parametrize("solver", ["radau", "lsoda"])
@pytest.mark.parametrize("method", ["scipy-adjoint", "scipy-forward"])
def test_units_of_implicit_solvers(method, solver, units):
    allowed = 1e-6 if solver == "radau" else 2e-4
    np.testing.assert_allclose(
        gradient(method, units, solver=solver), oscillator_gradient(), rtol=allowed
    )


def from_zero(unit):
    """y' = a - b y, z' = y + c, all from zero: sizes are known from what comes out, and units."""

    def rhs(t, y, p):
        return array_namespace(y).stack([p["a"][0] - p["b"][0] * y[0], y[0] + p["c"][0]])

    return Problem(
        name="from_zero",
        rhs=rhs,
        y0=np.zeros(2),
        params={"a": unit * np.array([3.0]), "b": np.array([0.8]), "c": np.zeros(1)},
        t_span=(0.0, 2.0),
        loss=lambda ys, p: ys[-1, 1] / unit,
    )


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_zero_has_a_unit_too(method, unit):
    a, b, t = 3.0, 0.8, 2.0
    decayed = np.exp(-b * t)
    by_a = (t - (1 - decayed) / b) / b
    by_b = a * (-(t - (1 - decayed) / b) / b**2 + ((1 - decayed) / b - t * decayed) / b**2)
    found = ab.gradient(from_zero(unit), method, rtol=1e-6, atol=1e-9 * unit)
    assert found.status == "ok"
    np.testing.assert_allclose(found.dparams["a"] * unit, by_a, rtol=1e-5)
    np.testing.assert_allclose(found.dparams["b"], by_b, rtol=1e-5)
    np.testing.assert_allclose(found.dparams["c"] * unit, t, rtol=1e-5)
    np.testing.assert_allclose(found.dy0 * unit, [(1 - decayed) / b, 1.0], rtol=1e-5)


def test_a_start_value_that_is_zero_but_for_rounding():
    # One such as sin(pi): a difference of its own size would be noise.
    problem = from_zero(1.0)
    changed = Problem(
        name="from_rounding", rhs=problem.rhs, y0=np.array([1.2e-16, 1.2e-16]),
        params=problem.params, t_span=problem.t_span, loss=problem.loss,
    )  # fmt: skip
    found = ab.gradient(changed, "finite-difference")
    np.testing.assert_allclose(found.dy0, [(1 - np.exp(-1.6)) / 0.8, 1.0], rtol=1e-5)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "complex-step"])
def test_no_parameters_at_all(method):
    problem = Problem(
        name="decay",
        rhs=lambda t, y, p: -0.5 * y,
        y0=np.array([1.5]),
        params={},
        t_span=(0.0, 2.0),
        loss=lambda ys, p: 1e-12 * ys.sum(),
    )
    found = ab.gradient(problem, method)
    np.testing.assert_allclose(found.dy0, 1e-12 * np.exp(-1.0), rtol=1e-5)
