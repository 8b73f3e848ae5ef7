"""The record of a solve: what is written step by step, and how it is read again."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from . import storage
from .config import Config
from .state import Attempt, DenseRow, Operands, Row, State

Tree = Any

#: glibc hands out memory again that a program of less has used; of more each call gets new pages,
#: and a fault for each. Less is said here, as a program has other arrays too.
REUSED_BYTES = 3 << 23


class Record(NamedTuple):
    """What the reverse pass needs.

    ``rows`` are the accepted steps of the last window and ``slopes`` their first slopes, where
    a sweep passes them from step to step; ``starts`` are the first states of all windows and
    ``sizes`` all step sizes (negative: up to the next stop), where there can be more than one
    window.
    ``dense`` holds the dense output of the steps with saves on them, ``before_stop`` the states
    just before the stops, where the state jumps.
    """

    rows: jax.Array
    slopes: jax.Array | None
    starts: jax.Array | None
    sizes: jax.Array | None
    dense: jax.Array | None
    before_stop: jax.Array | None


def empty_buffers(
    config: Config, state: State, ops: Operands, keep_steps: bool, keep_rows: bool
) -> dict[str, jax.Array | None]:
    """Empty storage for what is written step by step; ``None`` for what is not kept."""
    dtype = state.y.dtype
    interior = min(ops.save_at.shape[0] - 1, config.max_steps)

    def make(kept: bool, rows: int, row: Tree, beside: jax.Array | None = None) -> jax.Array | None:
        return storage.buffer(rows, storage.pack(row, dtype), beside=beside) if kept else None

    room = min(config.window, config.max_steps)
    beside, slopes = state.y, keep_rows and _keeps_slopes(config, state)

    return {
        "rows": make(
            keep_rows, room, row_like(config, state), None if config.dense_output else beside
        ),
        "slopes": make(slopes, room, state.slope, beside),
        "dense": make(interior > 0, interior, dense_like(config, state)),
        "before_stop": make(config.on_stop is not None, _stops(state, ops), state.y),
        "steps": make(keep_steps, config.max_steps, (state.t, state.h)),
    }


def _stops(state: State, ops: Operands) -> int:
    """The most stops that there may be."""
    stops = ops.stops if state.events is None else state.events.stops
    return stops.times.shape[0]


def _keeps_slopes(config: Config, state: State) -> bool:
    """Whether the sweep may read first slopes: computing them again is dearer, but for new memory.

    What reads none of them costs nothing where the solve and its pull-back are compiled as one.
    """
    bytes_of_rows = min(config.window, config.max_steps) * state.y.size * state.y.dtype.itemsize
    crosses = bytes_of_rows < REUSED_BYTES <= 2 * bytes_of_rows
    return config.passes_slopes(state.y.size) and not crosses


def writes_of(
    config: Config, state: State, found: Attempt, buffers: dict[str, Any]
) -> dict[str, tuple[jax.Array, Any]]:
    """Where to write what, for every buffer that is kept."""
    dtype = state.y.dtype
    index = state.accepted
    out: dict[str, tuple[jax.Array, Any]] = {}
    if buffers["rows"] is not None:
        at = jnp.where(found.accept, index % config.window, storage.spare_row(buffers["rows"]))
        out["rows"] = (at, storage.pack(found.row, dtype))
    if buffers["slopes"] is not None:
        out["slopes"] = (out["rows"][0], state.slope.ravel())
    if buffers["dense"] is not None:
        has_save = found.row.save_row >= 0
        at = jnp.where(has_save, state.save_row, storage.spare_row(buffers["dense"]))
        out["dense"] = (at, storage.pack(found.dense, dtype))
    if buffers["before_stop"] is not None:
        passes = found.accept & found.row.reaches
        at = jnp.where(passes, state.stop, storage.spare_row(buffers["before_stop"]))
        out["before_stop"] = (at, storage.pack(found.before_stop, dtype))
    if buffers["steps"] is not None:
        at = jnp.where(found.accept, index, storage.spare_row(buffers["steps"]))
        out["steps"] = (at, storage.pack((found.row.t, found.row.h), dtype))
    return out


def row_like(config: Config, state: State) -> Row:
    """A row of the right shapes."""
    return Row(
        t=state.t,
        h=state.h,
        save_row=state.save_row,
        stop=state.stop,
        reaches=jnp.bool_(False),
        y=state.y,
        slope=state.slope if config.solver.keeps_slopes else None,
        phase=None if state.radius is None else state.phase,
    )


def bytes_of(tree: Tree) -> int:
    """The size of all arrays of a tree."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def bytes_of_step(record: Any) -> int:
    """The size of what a record keeps of each step of its last window; none of anything else."""
    if not isinstance(record, Record):
        return 0
    kept = (stored for stored in (record.rows, record.slopes) if stored is not None)
    return sum(bytes_of(stored) // stored.shape[0] for stored in kept)


def numbers_of_row(config: Config, states: int) -> int:
    """How many numbers a row has at most, by those of the state."""
    slope = states if config.solver.keeps_slopes else 0
    return states + slope + len(Row._fields) - 2


def dense_like(config: Config, state: State) -> DenseRow:
    """A row of dense output of the right shapes."""
    degree = config.tableau.dense.shape[1]
    coefficients = jnp.zeros((degree, *state.y.shape), state.y.dtype)
    return DenseRow(state.t, state.h, state.y, coefficients)


def steps_of_rows(rows: jax.Array, final: State) -> jax.Array:
    """``(t, h)`` of all accepted steps, from rows that hold them all; zeros behind the last."""
    index = jnp.arange(rows.shape[0], dtype=jnp.int32)[:, None]
    return jnp.where(index < final.accepted, rows[:, :2], 0.0)


def path_rows(config: Config, path: jax.Array, state: State) -> Row:
    """All accepted steps, unpacked; also the cotangents of such, whose integers mean nothing."""
    like = row_like(config, state)
    return jax.vmap(lambda flat: storage.unpack(flat, like))(path[:-1])


def dense_rows(record: Record, final: State) -> DenseRow:
    """The rows of dense output, unpacked."""
    assert record.dense is not None
    return jax.vmap(lambda flat: dense_row(flat, final.y.shape))(record.dense[:-1])


def dense_row(flat: jax.Array, shape: tuple[int, ...]) -> DenseRow:
    """A row of dense output of states of a shape, unpacked."""
    size = math.prod(shape)
    y, coefficients = flat[2 : 2 + size], flat[2 + size :]
    return DenseRow(flat[0], flat[1], y.reshape(shape), coefficients.reshape(-1, *shape))
