"""A Hamiltonian network: the energy of a spring, learnt from where it goes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from fitting import Fit, Integrate, fit, here, network, new_network


def rhs(t: Any, state: Any, layers: Any) -> Any:
    """Hamilton's equations of the energy that the network has learnt."""
    slope = jax.grad(lambda s: network(layers, s)[0])(state)
    return jnp.stack([slope[1], -slope[0]])


def train(integrate: Integrate = here, steps: int = 10) -> Fit:
    """Learn from sixteen orbits, all in one batch."""
    with jax.enable_x64(True):
        key, times = jax.random.key(0), jnp.linspace(0.2, 2.0, 10)
        starts = jax.random.uniform(key, (16, 2), minval=-1.5, maxval=1.5)
        cos, sin = jnp.cos(times), jnp.sin(times)
        data = jnp.einsum("bi,ijt->btj", starts, jnp.array([[cos, -sin], [sin, cos]]))

        def loss(layers: Any) -> Any:
            ys = jax.vmap(lambda y: integrate(rhs, y, times, layers))(starts)
            return jnp.mean((ys - data) ** 2)

        return fit(loss, new_network(key, 2, 16, 16, 1), steps)
