"""Rosenbrock steps of large states backwards, against forward mode through the same steps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adjointbench.adjoints.jax import solve

STATES = 9  # more than are swept in chunks


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def chain(t, y, p):
    """Coupled and stiff, with a force that depends on time and switches at 0.4."""
    force = jnp.where(t >= 0.4, p["force"], 0.0) * jnp.sin(3.0 * t)
    apart = jnp.roll(y, 1) - 2.0 * y + jnp.roll(y, -1)
    return p["k"] * apart - p["k"][0] * 20.0 * y**3 + force


def kick(i, t, y, p):
    return y * (1.0 - 0.3 * p["k"][1]) + t


def parameters():
    return {"k": jnp.linspace(0.5, 2.0, STATES), "force": jnp.linspace(1.0, 0.2, STATES)}


def loss(p, y0, *, adjoint, saves, solver="rodas5p", **settings):
    solution = solve(
        chain,
        y0,
        saves,
        p,
        solver=solver,
        adjoint=adjoint,
        rtol=1e-4,
        atol=1e-6,
        engine="xla",
        **settings,
    )
    total = jnp.sum(solution.ys**2 * jnp.arange(1.0, STATES + 1.0))
    return total + 0.3 * solution.error_estimate + 0.01 * solution.stiffness_estimate


@pytest.mark.parametrize("solver", ["rodas5p", "rodas4p"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"discontinuities": (0.4,), "jump_times": (0.2, 0.6), "jump": kick},
        {"error_norm": "absolute", "reduction": "max"},
    ],
    ids=["smooth", "stops", "maximum"],
)
def test_the_sweep_is_forward_mode_through_the_steps(solver, settings):
    p, y0 = parameters(), jnp.cos(jnp.arange(float(STATES)))
    saves = jnp.array([0.1, 0.35, 0.5, 1.0])
    how = {"saves": saves, "solver": solver, **settings}
    exact = jax.jacfwd(lambda p, y0: loss(p, y0, adjoint="forward", **how), argnums=(0, 1))(p, y0)
    found = jax.jit(jax.grad(lambda p, y0: loss(p, y0, adjoint="discrete", **how), argnums=(0, 1)))(
        p, y0
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11), found, exact)


def test_a_jacobian_that_is_given_makes_the_matrix_and_its_derivative_is_that_of_the_steps():
    p, y0 = parameters(), jnp.cos(jnp.arange(float(STATES)))

    def jacobian(t, y, p):
        return jax.jacrev(lambda y: chain(t, y, p))(y)

    def gradient(**settings):
        return jax.grad(lambda p: loss(p, y0, adjoint="discrete", saves=jnp.ones(1), **settings))(p)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9),
        gradient(jacobian=jacobian),
        gradient(),
    )


def test_second_derivatives_go_through_the_sweep():
    p, y0 = parameters(), jnp.cos(jnp.arange(float(STATES)))

    def gradient(k):
        def of(k):
            return loss({**p, "k": k}, y0, adjoint="discrete", saves=jnp.ones(1))

        return jax.grad(of)(k)

    along = jnp.sin(jnp.arange(float(STATES)))
    _, product = jax.jvp(gradient, (p["k"],), (along,))

    def of_steps(k):
        return loss({**p, "k": k}, y0, adjoint="forward", saves=jnp.ones(1))

    _, expected = jax.jvp(jax.jacfwd(of_steps), (p["k"],), (along,))
    np.testing.assert_allclose(product, expected, rtol=1e-7)


def test_lanes_give_what_each_gives_alone():
    p = parameters()
    starts = jnp.stack([jnp.cos(jnp.arange(float(STATES))), jnp.ones(STATES)])

    def gradient(y0):
        return jax.grad(lambda p: loss(p, y0, adjoint="discrete", saves=jnp.array([0.3, 1.0])))(p)

    together = jax.vmap(gradient)(starts)
    for i, y0 in enumerate(starts):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-9, atol=1e-12),
            together,
            gradient(y0),
        )
