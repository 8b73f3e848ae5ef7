"""What the reverse solve of a continuous adjoint meets on its way: saves and stops, backwards."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from .adjoint_equation import Along
from .config import Config
from .record import Record
from .state import Operands, StopArrays


def along_forward(
    config: Config, record: Record, ys: jax.Array, dys: jax.Array, ops: Operands, atol: jax.Array
) -> tuple[Along, StopArrays]:
    """What the reverse solve reads, and its stops in the order in which it meets them.

    `atol` is that of the parameters' gradient.

    A save at the time of a jump is the value after it, so that going backwards the save comes
    first; the sort is stable and the saves stand first. Only the times of stops have two sides.
    """
    stops, first, last, sided, _ = ops.stops
    saves, every = ops.save_at[:-1], dys
    alone = jnp.ones(saves.shape[0], bool)
    if config.repeats:
        # Of saves at one time the first takes the cotangents of all.
        saves = ops.save_at
        first_there = jnp.searchsorted(saves, saves)
        alone = first_there == jnp.arange(saves.shape[0], dtype=first_there.dtype)
        every = jnp.zeros_like(dys).at[first_there].add(dys)
    inside = alone & (saves > ops.t0) & (saves < ops.stops.end)
    assert ops.reverse_rtol is not None
    index = jnp.arange(stops.shape[0] - 1, dtype=jnp.int32)
    met = jnp.concatenate([inside, (index >= first) & (index < last)])
    times = jnp.where(met, -jnp.concatenate([saves, stops[:-1]]), jnp.inf)
    order = jnp.argsort(times, stable=True).astype(jnp.int32)
    along = Along(
        params=ops.params,
        constants=ops.constants,
        ys=ys,
        dys=every,
        order=order,
        stops=ops.stops,
        before_stop=record.before_stop,
        dense=None,
        rows=jnp.int32(0),
        rtol=jnp.min(ops.reverse_rtol),
        atol=atol,
    )
    of_stops = jnp.concatenate([jnp.zeros_like(inside), sided[:-1]])
    return along, _reverse_stops(times[order], of_stops[order], jnp.sum(met, dtype=jnp.int32), ops)


def _reverse_stops(
    times: jax.Array, sided: jax.Array, count: jax.Array, ops: Operands
) -> StopArrays:
    """The stops of the reverse solve: `count` events, in order, between the end and the start."""
    start, end = -ops.stops.end[None], -ops.t0[None]
    # A save at the time of a stop comes first, and has its sides.
    sided = sided | (jnp.roll(sided, -1) & (jnp.roll(times, -1) == times))
    before = jnp.maximum(ops.stops.first - 1, 0)
    sided_end = (ops.stops.first > 0) & ops.stops.sided[before]
    number = jnp.arange(times.shape[0], dtype=jnp.int32)
    none = jnp.full(1, -1, jnp.int32)
    return StopArrays(
        times=jnp.concatenate([start, jnp.minimum(times, end), end]),
        first=jnp.int32(1),
        last=count + 1,
        sided=jnp.concatenate(
            [
                ops.stops.sided[ops.stops.last][None],
                jnp.where(number < count, sided, sided_end),
                sided_end[None],
            ]
        ),
        jumps=jnp.concatenate([none, jnp.where(number < count, number, -1), none])[:, None],
    )
