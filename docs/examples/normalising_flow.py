"""A continuous normalising flow: a ring of points, and how dense it is, from a normal distribution.

The state is a tuple of a point and the logarithm of the change of its density, with the exact
trace; the data are followed back in time.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from fitting import Fit, Integrate, fit, here, network, new_network


def rhs(t: Any, state: Any, layers: Any) -> Any:
    """The flow, and its divergence."""

    def flow(x: Any) -> Any:
        return network(layers, jnp.append(x, t))

    x, _ = state
    return flow(x), jnp.trace(jax.jacfwd(flow)(x))


def train(integrate: Integrate = here, steps: int = 10) -> Fit:
    """Learn from 32 points of a ring, all in one batch."""
    with jax.enable_x64(True):
        keys, end = jax.random.split(jax.random.key(0), 3), jnp.zeros(1)
        angle = jax.random.uniform(keys[0], (32, 1), maxval=2 * jnp.pi)
        points = 2 * jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=1)
        points += 0.1 * jax.random.normal(keys[1], points.shape)

        def surprise(layers: Any, point: Any) -> Any:
            (source,), (grown,) = integrate(rhs, (point, jnp.zeros(())), end, layers, t0=1.0)
            return jnp.sum(source**2) / 2 + jnp.log(2 * jnp.pi) - grown

        def loss(layers: Any) -> Any:
            return jnp.mean(jax.vmap(surprise, in_axes=(None, 0))(layers, points))

        return fit(loss, new_network(keys[2], 3, 16, 2), steps)
