"""The stops of a solve whose times are only known at run time."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from ..state import StopArrays
from ..times import MOST_TOGETHER


def moving_stops(times: jax.Array, t0: jax.Array, end: jax.Array) -> StopArrays:
    """The stops at declared `times`, in any order, and at the end.

    A time has the number of its place. Of several at one time the first declared acts first; those
    outside the span are never met.
    """
    times = lax.stop_gradient(times)
    count, width = times.shape[0], min(times.shape[0], MOST_TOGETHER)
    order = jnp.argsort(times, stable=True).astype(jnp.int32)
    ordered = times[order]
    is_first = jnp.concatenate([jnp.ones(1, bool), ordered[1:] > ordered[:-1]])
    number = jnp.arange(count, dtype=jnp.int32)
    group = jnp.cumsum(is_first, dtype=jnp.int32) - 1
    place = number - lax.cummax(jnp.where(is_first, number, 0))
    alone = jnp.full(count, jnp.inf, times.dtype).at[group].set(ordered)
    jumps = jnp.full((count, width), -1, jnp.int32).at[group, place].set(order, mode="drop")
    inside = alone <= end
    return StopArrays(
        times=jnp.concatenate([jnp.minimum(alone, end), end[None]]),
        first=jnp.sum(alone <= t0, dtype=jnp.int32),
        last=jnp.sum(alone < end, dtype=jnp.int32),
        sided=jnp.concatenate([inside, inside.any()[None]]),
        jumps=jnp.concatenate(
            [jnp.where(inside[:, None], jumps, -1), jnp.full((1, width), -1, jnp.int32)]
        ),
    )
