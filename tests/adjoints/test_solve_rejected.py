"""Attempts of the open JAX solver that are rejected leave no trace in any derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from adjointbench.adjoints.jax import solve

END, P = 0.2, 3.0


def truth():
    """y' = -50 (y - 1/2) + p log y from y(0) = 1, and dy/dp with it."""

    def rhs(t, z):
        y, s = z
        return [-50 * (y - 0.5) + P * np.log(y), (-50 + P / y) * s + np.log(y)]

    tight = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-14, "first_step": 1e-3}
    return solve_ivp(rhs, (0.0, END), [1.0, 0.0], **tight).y[:, -1]


@pytest.mark.parametrize(
    ("adjoint", "options"),
    [
        ("discrete", {}),
        ("discrete", {"solver": "rodas5p"}),
        ("discrete", {"differentiate_step_size": True}),
        ("forward", {}),
        ("forward", {"differentiate_step_size": True}),
        ("interpolating", {}),
        ("backsolve", {}),
    ],
)
def test_an_attempt_outside_the_domain(adjoint, options):
    """A first step of size 1 overshoots to where there is no logarithm."""

    def end(p):
        solution = solve(
            lambda t, y, p: -50 * (y - 0.5) + p * jnp.log(y),
            jnp.ones(1),
            [END],
            p,
            adjoint=adjoint,
            first_step=1.0,
            rtol=1e-9,
            atol=1e-12,
            max_steps=1024,
            **options,
        )
        return solution.ys[0, 0], (solution.ys[0, 0], solution.stats["rejected"])

    transform = jax.jacfwd if adjoint == "forward" else jax.grad
    with jax.enable_x64(True):
        slope, (y, rejected) = jax.jit(transform(end, has_aux=True))(jnp.array(P))
    assert rejected > 0
    np.testing.assert_allclose([y, slope], truth(), rtol=1e-5)
