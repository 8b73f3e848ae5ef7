"""The reversible form of Tsit5: its order, that it can be taken back, and its derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adjointbench.suite.claims.reversible_solve import solve, solve_back


def growth(t, y, p):
    """``y' = k cos(t) y``: ``y0 exp(k sin t)``."""
    return p * jnp.cos(t) * y


def test_value_and_gradient_have_the_order_of_the_method():
    counts, errors = (8, 12, 16), []
    with jax.enable_x64(True):
        for count in counts:

            def last(p, y0, count=count):
                return solve_back(growth, 2.0 / count, count, y0, p)[-1, 0]

            value, (dp, dy0) = jax.value_and_grad(last, (0, 1))(0.8, jnp.array([1.3]))
            exact = 1.3 * np.exp(0.8 * np.sin(2.0))
            true = np.array([exact, np.sin(2.0) * exact, exact / 1.3])
            errors.append(np.abs(np.array([value, dp, dy0[0]]) - true))
    slopes = np.polyfit(np.log(2.0 / np.array(counts)), np.log(np.array(errors)), 1)[0]
    assert (slopes > 4.5).all(), slopes


def test_the_gradient_is_that_of_its_own_steps():
    with jax.enable_x64(True):

        def total(way):
            return lambda y0, p: (way(y0, p) ** 2).sum()

        y0, p = jnp.array([1.0, -0.5]), jnp.float64(0.7)
        back = jax.grad(total(lambda y, p: solve_back(growth, 0.1, 60, y, p)), (0, 1))(y0, p)
        plain = jax.grad(total(lambda y, p: solve(growth, y, p, 0.1, 60)), (0, 1))(y0, p)
    for found, expected in zip(back, plain, strict=True):
        assert found == pytest.approx(np.asarray(expected), rel=1e-11)
