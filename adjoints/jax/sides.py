"""On which side of a stop the right-hand side is evaluated."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from .config import Config
from .state import Limits, Operands

Clip = Callable[[jax.Array], jax.Array]


def clipper(limits: Limits) -> Clip:
    """Keeps stage times within `limits`; by derivative they stay what they are.

    At a stop the derivative by time is that of the side of the step. The slope of the clip, which
    is zero there, would take it away from Rosenbrock steps.
    """
    if limits is None:
        return lambda t: t
    # The difference is exactly zero.
    return lambda t: lax.stop_gradient(jnp.clip(t, *limits)) + (t - lax.stop_gradient(t))


def time_limits(config: Config, stop: jax.Array, ops: Operands) -> Limits:
    """The interval on this side of the last stop and of the next, number `stop`.

    ``None`` where the right-hand side is smooth everywhere.
    """
    if not config.breaks:
        return None
    infinity = jnp.full_like(ops.t0, jnp.inf)
    times, sided = ops.stops.times, ops.stops.sided
    previous = jnp.maximum(stop - 1, 0)
    before = jnp.where((stop > 0) & sided[previous], times[previous], -infinity)
    after = jnp.where(sided[stop], times[stop], infinity)
    return beside(before, infinity), beside(after, -infinity)


def beside(t: jax.Array, towards: jax.Array) -> jax.Array:
    """The next number towards another; beside zero one that XLA does not take for zero."""
    t = lax.stop_gradient(t)
    following, tiny = jnp.nextafter(t, towards), jnp.finfo(t.dtype).tiny
    return jnp.where(t == 0, jnp.sign(towards) * tiny, following)
