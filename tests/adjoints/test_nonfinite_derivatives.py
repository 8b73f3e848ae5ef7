"""Derivatives that are not finite where the solution is: a status, and a sentence of its own."""

import numpy as np
import pytest
from array_api_compat import array_namespace

import adjointbench as ab
from adjointbench import Problem

ON_SCIPY = ("scipy-adjoint", "scipy-forward", "jax-blackbox", "torch-blackbox")
PEERS = ("diffrax-recursive-checkpoint", "jax-odeint", "torchdiffeq-backprop", "torchode-autodiff")


def unsafe_root():
    """The root is not taken at zero, and its derivative is: zero times infinity."""

    def rhs(t, y, p):
        xp = array_namespace(y)
        return xp.where(y > 0, xp.sqrt(y), 0 * y) * p["k"]

    return Problem(
        name="unsafe_root",
        rhs=rhs,
        y0=np.array([1.0, 0.0]),
        params={"k": np.array([0.5])},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: ys.sum(),
    )


def speed_at_rest():
    """A right-hand side with a norm in it, and a state that is at rest."""

    def rhs(t, y, p):
        xp = array_namespace(y)
        return -p["k"] * xp.sqrt((y**2).sum()) * y

    return Problem(
        name="speed_at_rest",
        rhs=rhs,
        y0=np.zeros(2),
        params={"k": np.array([0.5])},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: ys.sum(),
    )


def norm_of_zero():
    """The loss is a norm, of what is zero."""

    def loss(ys, p):
        xp = array_namespace(ys)
        return xp.sqrt((ys[-1] ** 2).sum())

    return Problem(
        name="norm_of_zero",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.zeros(2),
        params={"k": np.array([0.5])},
        t_span=(0.0, 1.0),
        loss=loss,
    )


CASES = [
    (method, problem)
    for method in ON_SCIPY + PEERS
    for problem in (unsafe_root(), speed_at_rest(), norm_of_zero())
    # Forward mode takes the right branch of the first.
    if (method, problem.name) != ("scipy-forward", "unsafe_root")
    # The cause lies in the equations or in the loss; of peers one of each is enough.
    if method in ON_SCIPY or problem.name != "speed_at_rest"
]


@pytest.mark.parametrize(("method", "problem"), CASES, ids=lambda x: getattr(x, "name", x))
def test_a_derivative_that_is_not_finite_is_told(method, problem):
    found = ab.gradient(problem, method)
    assert found.status == "nonfinite"
    assert "a derivative became NaN or infinite where the solution did not" in found.message
    assert "safe argument inside the `where`" in found.message
    assert np.isnan(found.dparams["k"]).all()
    assert np.isfinite(ab.prepare(problem, method).primal())


@pytest.mark.parametrize("method", ON_SCIPY + PEERS)
def test_a_solution_that_is_not_finite_is_told_otherwise(method):
    problem = Problem(
        name="log_of_zero",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.zeros(1),
        params={"k": np.array([0.5])},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: array_namespace(ys).log(ys).sum(),
    )
    found = ab.gradient(problem, method)
    assert (found.status, found.phase) == ("nonfinite", "forward")
    assert "right-hand side or the solution" in found.message


@pytest.mark.parametrize("method", ["scipy-adjoint", "scipy-forward", "jax-blackbox"])
def test_a_gradient_too_large_for_single_precision(method):
    # The loss is zero, so that it fits, and its derivative, 3e38 times e^2, does not.
    problem = Problem(
        name="too_large",
        rhs=lambda t, y, p: p["k"] * y,
        y0=np.zeros(1, np.float32),
        params={"k": np.ones(1, np.float32)},
        t_span=(0.0, 2.0),
        loss=lambda ys, p: 3e38 * ys.sum(),
    )
    found = ab.gradient(problem, method)
    assert (found.status, found.phase) == ("nonfinite", "reverse")
