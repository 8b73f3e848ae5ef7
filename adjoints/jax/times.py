"""The times of a solve: what is known of them while tracing, and its stops as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..arguments import check_times
from ..steps.stops import Stops, stops_between
from .state import StopArrays

#: So many declared times that move may be the same.
MOST_TOGETHER = 4


def known(value: Any) -> np.ndarray | None:
    """`value` as a NumPy array, or ``None`` where it is only known at run time."""
    # What is differentiated, but not compiled, has a value.
    held = jax.lax.stop_gradient(value) if isinstance(value, Tracer) else value
    return None if isinstance(held, Tracer) else np.asarray(held)


def goes_backwards(save_at: jax.Array, t0: jax.Array) -> bool:
    """Whether the times are known to end before they begin."""
    times, start = known(save_at), known(t0)
    if times is None or start is None or times.ndim != 1 or start.ndim:
        return False
    return bool((times[-1:] < start).any())


def check_known_times(save_at: jax.Array, t0: jax.Array, *, backwards: bool = False) -> None:
    """Refuse times that make no sense, as far as they are known."""
    times, start = known(save_at), known(t0)
    if save_at.ndim != 1 or save_at.shape[0] == 0 or times is not None:
        shape = np.empty(save_at.shape) if times is None else times
        check_times(shape, None if start is None else float(start), backwards=backwards)
    if start is not None and not np.isfinite(start):
        raise ValueError(f"t0={float(start)!r} must be one finite number")


def may_repeat(save_at: jax.Array) -> bool:
    """Whether two save times may be the same."""
    times = known(save_at)
    return times is None or bool((np.diff(times) == 0).any())


def soundness(
    t0: jax.Array, save_at: jax.Array, positive: Iterable[Any], moving: jax.Array | None = None
) -> jax.Array | None:
    """Whether arguments make sense, where that is only known at run time; else ``None``.

    Parameters
    ----------
    t0, save_at : array
    positive : iterable
        Numbers that must be positive, or ``None``.
    moving : array, optional
        Declared times that move.
    """
    numbers = [x for x in positive if x is not None and known(x) is None]
    if known(t0) is not None and known(save_at) is not None and not numbers and moving is None:
        return None
    sound = jnp.isfinite(t0) & jnp.isfinite(save_at[-1]) & (save_at[0] >= t0)
    sound = sound & (jnp.diff(save_at) >= 0).all()
    for number in numbers:
        sound = sound & ((number > 0) & jnp.isfinite(number)).all()
    return sound if moving is None else sound & sound_times(moving)


def find_stops(
    discontinuities: Iterable[float],
    jump_times: Iterable[float],
    t0: Any,
    end: Any,
    dtype: Any,
) -> Stops:
    """The stops of a solve from `t0` to `end`; an end of the span that is not known is infinite."""
    start, stop = known(t0), known(end)
    return stops_between(
        discontinuities,
        jump_times,
        -np.inf if start is None else float(start),
        np.inf if stop is None else float(stop),
        dtype,
    )


def stop_arrays(stops: Stops, t0: jax.Array, end: jax.Array) -> StopArrays:
    """`stops` as arrays, with the ends of the span that were not known filled in.

    What was declared outside the span then is never met.
    """
    declared = jnp.asarray(np.array(stops.times[:-1]), t0.dtype)
    inside = jnp.concatenate([declared <= end, jnp.ones(1, bool)])
    return StopArrays(
        times=jnp.concatenate([jnp.minimum(declared, end), end[None]]),
        first=jnp.sum(declared <= t0, dtype=jnp.int32),
        last=jnp.sum(declared < end, dtype=jnp.int32),
        sided=jnp.asarray(stops.sided) & inside,
        jumps=jnp.where(inside[:, None], jnp.asarray(stops.jump_rows), jnp.int32(-1)),
    )


def jumps_at(stops: StopArrays, t0: jax.Array) -> jax.Array:
    """The row of jumps at the start `t0`."""
    before = jnp.maximum(stops.first - 1, 0)
    there = (stops.first > 0) & (stops.times[before] == t0)
    return jnp.where(there, stops.jumps[before], jnp.int32(-1))


def sound_times(times: jax.Array) -> jax.Array:
    """Whether every time is finite, and not too many are the same."""
    ordered = jnp.sort(jax.lax.stop_gradient(times))
    together = (
        times.shape[0] > MOST_TOGETHER and ordered[MOST_TOGETHER:] == ordered[:-MOST_TOGETHER]
    )
    return jnp.isfinite(ordered).all() & ~jnp.any(together)
