"""The windows of a record: all but the last are taken again when they are needed.

The last ``window`` accepted steps are kept as they are; of earlier windows only the first state is
kept, and the step sizes. So that two bytes a step are enough for them, the controller only proposes
step sizes with eight significant bits: a step size matters to half a percent at most, but to take a
step again it must be exact, and computing it again from a recomputed error would not give it to the
last digit.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from . import control_flow, storage
from .attempt import attempt
from .config import Config
from .control import Recorded
from .native.unfilled import unfilled
from .record import Record
from .state import Operands, Row, State

Tree = Any


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


def rows_of_window(
    config: Config,
    record: Record,
    window: jax.Array,
    last: jax.Array,
    final: State,
    ops: Operands,
) -> tuple[jax.Array, jax.Array | None]:
    """Rows and slopes of a window: those kept of the `last`, else its steps taken again."""
    return control_flow.cond_any(
        window < last,
        lambda window, record, final, ops: _replay(config, record, window, final, ops),
        lambda window, record, final, ops: (record.rows, record.slopes),
        *(window, record, final, ops),
    )


def _replay(
    config: Config, record: Record, window: jax.Array, like: State, ops: Operands
) -> tuple[jax.Array, jax.Array | None]:
    """Rows and slopes of an earlier window, by taking its steps again."""
    assert record.starts is not None
    assert record.sizes is not None
    state = storage.unpack(storage.read(record.starts, window), like)
    kept = tuple(stored for stored in (record.rows, record.slopes) if stored is not None)
    empty = tuple(unfilled(stored.shape, stored.dtype) for stored in kept)
    first = state.accepted

    def turn(state: State, operands: Tree) -> Tree:
        ops, sizes, first = operands
        size = storage.read(sizes, state.accepted - first)
        recorded = None if config.given_steps else _recorded(config, size, state, first)
        found = attempt(config, state, ops, recorded=recorded, dense=False)
        at, row = state.accepted - first, storage.pack(found.row, state.y.dtype)
        return found.state, ((at, row), (at, state.slope.ravel()))[: len(empty)]

    def active(state: State, operands: Tree) -> jax.Array:
        return state.accepted - operands[2] < config.window

    operands = (ops, storage.read(record.sizes, window), first)
    _, (rows, *slopes) = control_flow.while_recording(active, turn, state, empty, operands)
    return rows, slopes[0] if slopes else None


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
