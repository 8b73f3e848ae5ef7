"""The windows of a record: all but the last are taken again when they are needed.

The last ``window`` accepted steps are kept as they are; of earlier windows only the first state is
kept, and the step sizes. So that two bytes a step are enough for them, the controller only proposes
step sizes with eight significant bits: a step size matters to half a percent at most, but to take a
step again it must be exact, and computing it again from a recomputed error would not give it to the
last digit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from . import control_flow, storage
from .attempt import attempt
from .config import Config
from .control import Recorded
from .record import Record
from .state import Operands, Row, State

Tree = Any


class Held(NamedTuple):
    """The rows of one window and, where a sweep reads them, their first slopes."""

    rows: jax.Array
    slopes: jax.Array | None


def pack_sizes(rows: Row) -> jax.Array:
    """The step sizes of a window, and whether they reach a stop (their sign), in 16 bits each.

    Kept as integers: XLA's CPU compiler would widen a whole buffer of bfloat16 at each write.
    """
    return _short_bits(jnp.where(rows.reaches, -rows.h, rows.h))


def last_window(config: Config, final: State) -> jax.Array:
    """The number of the window in which a solve ended."""
    return jnp.maximum(final.accepted - 1, 0) // steps_of_window(config)


def steps_of_window(config: Config) -> int:
    """The steps of a full window."""
    return min(config.window, config.max_steps)


def held_rows(record: Record) -> Held:
    """What is held at first: the rows of the last window, which were kept."""
    return Held(record.rows, record.slopes)


def hold_window(
    config: Config,
    record: Record,
    window: jax.Array,
    held: Held,
    final: State,
    ops: Operands,
) -> Held:
    """Rows and slopes of a window in the place of those `held`, by taking its steps again.

    Of the last one they are held already. In place: a branch would copy them, used or not.
    """
    assert record.starts is not None
    assert record.sizes is not None
    state = storage.unpack(storage.read(record.starts, window), final)
    kept = tuple(stored for stored in held if stored is not None)
    first = state.accepted

    def turn(state: State, operands: Tree) -> Tree:
        ops, sizes, first, _ = operands
        size = storage.read(sizes, state.accepted - first)
        recorded = None if config.given_steps else _recorded(config, size, state, first)
        found = attempt(config, state, ops, recorded=recorded, dense=False)
        at, row = state.accepted - first, storage.pack(found.row, state.y.dtype)
        return found.state, ((at, row), (at, state.slope.ravel()))[: len(kept)]

    def active(state: State, operands: Tree) -> jax.Array:
        _, _, first, earlier = operands
        return earlier & (state.accepted - first < config.window)

    earlier = (window >= 0) & (window < last_window(config, final))
    operands = (ops, storage.read(record.sizes, window), first, earlier)
    _, (rows, *slopes) = control_flow.while_recording(active, turn, state, kept, operands)
    return Held(rows, slopes[0] if slopes else None)


def _recorded(config: Config, size: jax.Array, state: State, first: jax.Array) -> Recorded:
    """The recorded step size and whether it reached a stop.

    A step size that the user gave is not short; it can only be the first of a window, and has
    not been rejected, where it rounds to what was recorded.
    """
    signed = lax.bitcast_convert_type(size, jnp.bfloat16).astype(state.h.dtype)
    unchanged = (state.accepted == first) & (_short_bits(state.h) == _short_bits(jnp.abs(signed)))
    exact = unchanged | (not config.controlled)
    return jnp.where(exact, state.h, jnp.abs(signed)), signed < 0


def _short_bits(h: jax.Array) -> jax.Array:
    return lax.bitcast_convert_type(h.astype(jnp.bfloat16), jnp.uint16)
