"""A neural controlled differential equation: which way round a spiral goes.

The series is interpolated by a cubic spline with backward differences for slopes, whose
derivative drives a hidden state, ``dz = f(z) dx(t)``.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from fitting import Fit, Integrate, fit, here, network, new_network

HIDDEN, KNOTS = 4, 16


def control_slope(t: Any, series: Any) -> Any:
    """The derivative of the interpolated series."""
    width = 1 / (KNOTS - 1)
    rises = jnp.diff(series, axis=0) / width
    before = jnp.concatenate([rises[:1], rises[:-1]])
    i = jnp.clip((t / width).astype(int), 0, KNOTS - 2)
    share = t / width - i
    return before[i] + (4 * share - 3 * share**2) * (rises[i] - before[i])


def rhs(t: Any, z: Any, args: Any) -> Any:
    """The slope of the hidden state."""
    layers, series = args
    matrix = jnp.tanh(network(layers, z)).reshape(HIDDEN, 3)
    return matrix @ control_slope(t, series)


def spirals(key: Any, number: int) -> Any:
    """Series of time and two coordinates, and whether they go round to the left."""
    left = jnp.arange(number) % 2
    t = jnp.linspace(0.0, 1.0, KNOTS)
    angle = 6 * jnp.where(left, 1, -1)[:, None] * t + jax.random.uniform(key, (number, 1)) * 6
    radius = 1 / (1 + 2 * t)
    parts = jnp.broadcast_to(t, angle.shape), radius * jnp.cos(angle), radius * jnp.sin(angle)
    return jnp.stack(parts, axis=-1), left


def train(integrate: Integrate = here, steps: int = 10) -> Fit:
    """Learn from sixteen series, all in one batch."""
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 4)
        series, left = spirals(keys[0], 16)
        weights = {
            "start": new_network(keys[1], 3, 8, HIDDEN),
            "field": new_network(keys[2], HIDDEN, 16, HIDDEN * 3),
            "end": new_network(keys[3], HIDDEN, 1),
        }

        def score(weights: Any, one: Any) -> Any:
            z0, args = network(weights["start"], one[0]), (weights["field"], one)
            return network(weights["end"], integrate(rhs, z0, jnp.ones(1), args)[-1])[0]

        def loss(weights: Any) -> Any:
            scores = jax.vmap(lambda one: score(weights, one))(series)
            return jnp.mean(jax.nn.softplus(scores) - left * scores)

        return fit(loss, weights, steps)
