"""A latent differential equation: spirals, read by a recurrent network and drawn again."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from fitting import Fit, Integrate, fit, here, network, new_network
from jax import lax

LATENT, MEMORY = 3, 12


def rhs(t: Any, z: Any, layers: Any) -> Any:
    """How the latent state moves."""
    return network(layers, z)


def encoded(layers: Any, series: Any) -> Any:
    """Mean and logarithm of the spread of the latent start, from the end back to the start."""

    def read(memory: Any, point: Any) -> Any:
        return jnp.tanh(network(layers[:1], jnp.concatenate([memory, point]))), None

    memory, _ = lax.scan(read, jnp.zeros(MEMORY), series[::-1])
    return jnp.split(network(layers[1:], memory), 2)


def train(integrate: Integrate = here, steps: int = 10) -> Fit:
    """Learn from sixteen noisy spirals, by the evidence's lower bound."""
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 6)
        times = jnp.linspace(0.1, 2.0, 20)
        angle = 3 * times + 6 * jax.random.uniform(keys[0], (16, 1))
        points = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1) / (1 + times)[:, None]
        data = points + 0.02 * jax.random.normal(keys[1], points.shape)
        noise = jax.random.normal(keys[2], (16, LATENT))
        weights = {
            "encoder": new_network(keys[3], MEMORY + 2, MEMORY)
            + new_network(keys[3], MEMORY, 2 * LATENT),
            "field": new_network(keys[4], LATENT, 16, LATENT),
            "decoder": new_network(keys[5], LATENT, 16, 2),
        }

        def bound(weights: Any, series: Any, noise: Any) -> Any:
            mean, spread = encoded(weights["encoder"], series)
            z0 = mean + jnp.exp(spread) * noise
            zs = integrate(rhs, z0, times, weights["field"])
            drawn = jax.vmap(lambda z: network(weights["decoder"], z))(zs)
            distance = 0.5 * jnp.sum(mean**2 + jnp.exp(2 * spread) - 1 - 2 * spread)
            return jnp.sum((drawn - series) ** 2) / (2 * 0.3**2) + distance

        def loss(weights: Any) -> Any:
            return jnp.mean(jax.vmap(bound, in_axes=(None, 0, 0))(weights, data, noise))

        return fit(loss, weights, steps)
