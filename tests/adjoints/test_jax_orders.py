"""Orders of convergence of value and gradient, and continuous adjoints against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equations import riccati, riccati_exact

from adjointbench.adjoints.jax import solve

K, START, SAVES = 0.8, 1.3, np.array([0.4, 1.0, 2.0])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def value_and_gradient(steps=None, adjoint="discrete", **options):
    def loss(k, y0):
        return solve(riccati, y0, SAVES, {"k": k}, steps=steps, adjoint=adjoint, **options).ys.sum()

    value, (dk, dy0) = jax.value_and_grad(loss, (0, 1))(jnp.float64(K), jnp.full(1, START))
    return np.array([value, dk, dy0[0]])


def exact():
    y, dk, dy0 = riccati_exact(SAVES, K, START)
    return np.array([y.sum(), dk.sum(), dy0.sum()])


ORDERS = {
    "euler": 1,
    "rk4": 4,
    "tsit5": 5,
    "dopri5": 5,
    "dop853": 8,
    "rodas4p": 4,
    "rodas5p": 5,
    "kvaerno5": 5,
    "implicit_midpoint": 2,
}
COUNTS = {"euler": (64, 128, 256), "rk4": (48, 72, 108), "dop853": (10, 14, 20)}


@pytest.mark.parametrize("solver", list(ORDERS))
def test_value_and_gradient_converge_with_the_order_of_the_solver(solver):
    """By regression over the step size; dense output at two of the saves."""
    counts = COUNTS.get(solver, (16, 24, 36))
    errors = []
    for count in counts:
        # All runs have the same number of steps, the rest of size zero: one compilation.
        h = np.concatenate([np.full(count, 2.0 / count), np.zeros(max(counts) - count)])
        t = np.concatenate([[0.0], np.cumsum(h)[:-1]])
        options = {"solver": solver, "newton_tolerance": 1e-10}
        errors.append(np.abs(value_and_gradient((t, h), **options) - exact()))
    slopes = np.polyfit(np.log(2.0 / np.array(counts)), np.log(np.array(errors)), 1)[0]
    # Free interpolants of one order less may cost the saves inside a step one order.
    least = ORDERS[solver] - (0.3 if solver in ("rk4", "euler", "implicit_midpoint") else 1.1)
    assert (slopes > least).all(), slopes


@pytest.mark.parametrize(
    "adjoint", ["backsolve", "backsolve-seminorm", "interpolating", "gauss", "quadrature"]
)
def test_continuous_adjoints_converge_with_the_tolerance(adjoint):
    errors = []
    tolerances = (1e-5, 1e-7, 1e-9)
    for rtol in tolerances:
        found = value_and_gradient(adjoint=adjoint, rtol=rtol, atol=rtol, max_steps=512)
        errors.append(np.abs(found - exact())[1:].max())
    assert np.polyfit(np.log(tolerances), np.log(errors), 1)[0] > 0.6
    assert errors[-1] < 1e-7


@pytest.mark.parametrize("adjoint", ["interpolating", "gauss", "quadrature"])
def test_checkpoints_leave_continuous_gradients_within_tolerance(adjoint):
    options = {"adjoint": adjoint, "rtol": 1e-8, "atol": 1e-8, "max_steps": 256}
    found = value_and_gradient(checkpoints=32, **options)
    np.testing.assert_allclose(found, exact(), rtol=1e-6)


def test_reverse_tolerances_are_their_own():
    loose = value_and_gradient(
        adjoint="interpolating", rtol=1e-9, atol=1e-9, adjoint_rtol=1e-2, adjoint_atol=1e-2
    )
    tight = value_and_gradient(adjoint="interpolating", rtol=1e-9, atol=1e-9)
    assert loose[0] == tight[0]
    assert np.abs(loose - exact())[1:].max() > 30 * np.abs(tight - exact())[1:].max()


ADJOINTS = ["discrete", "backsolve", "backsolve-seminorm", "interpolating", "gauss", "quadrature"]


@pytest.mark.parametrize("adjoint", ADJOINTS)
def test_jumps_and_discontinuities_against_the_closed_form(adjoint):
    """``y' = -k y`` until 1, ``y' = -2 k y`` after; doubled and raised by ``b`` at 0.5 and 1.5."""

    def rhs(t, y, p):
        return -p["k"] * y * jnp.where(t >= 1.0, 2.0, 1.0)

    def jump(i, t, y, p):
        return (2.0 if i == 0 else 1.0) * y + p["b"]

    def loss(k, b, y0):
        ys = solve(
            rhs,
            y0,
            [0.5, 1.2, 2.0],
            {"k": k, "b": b},
            discontinuities=[1.0],
            jump_times=[0.5, 1.5],
            jump=jump,
            adjoint=adjoint,
            rtol=1e-9,
            atol=1e-11,
            max_steps=256,
        ).ys
        return jnp.sum(ys**2)

    def closed(k, b, y0):
        first = 2 * y0 * jnp.exp(-0.5 * k) + b
        second = first * jnp.exp(-0.5 * k) * jnp.exp(-0.4 * k)
        last = (second * jnp.exp(-0.6 * k) + b) * jnp.exp(-k)
        return jnp.sum(first**2 + second**2 + last**2)

    arguments = (jnp.float64(0.7), jnp.float64(0.3), jnp.array([1.1]))
    found = jax.value_and_grad(loss, (0, 1, 2))(*arguments)
    expected = jax.value_and_grad(closed, (0, 1, 2))(*arguments)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=3e-7)
