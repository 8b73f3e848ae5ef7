"""The recorded solve: steps to the end, in one window or in several, and its saves."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..steps.acceptance import CODES
from . import control_flow, storage
from .config import Config
from .lanes import Unselected
from .outcomes import Met, Outputs
from .record import Record, dense_rows, empty_buffers, row_like, steps_of_rows
from .saves import interior_saves
from .state import Operands, Row, State
from .step_loop import running, start, step_on
from .totals import Totals, no_terms, reduced, values_of
from .windows import pack_sizes

Tree = Any


class Solved(NamedTuple):
    """A finished solve; ``ops`` are as a reverse pass reads them, with the stops that were met."""

    ys: jax.Array
    final: State
    totals: Totals
    record: Record
    steps: jax.Array | None
    path: jax.Array | None
    ops: Operands
    met: Met | None


def outputs(solved: Solved) -> Outputs:
    """The public part of a finished solve."""
    totals = values_of(solved.totals)
    return Outputs(solved.ys, totals, solved.final, solved.steps, solved.path, met=solved.met)


def solve_recording(
    config: Config, y0: jax.Array, ops: Operands, *, keep_steps: bool, keep_rows: bool = True
) -> Solved:
    """Solve, and record what a reverse pass needs.

    Parameters
    ----------
    config, y0, ops
    keep_steps : bool
        Whether to return ``(t, h)`` of all accepted steps too, ``max_steps`` rows.
    keep_rows : bool
        Whether to record for a reverse pass at all; where dense output is wanted all steps are
        recorded anyway.
    """
    keep_rows = keep_rows or config.dense_output
    state = start(config, y0, ops)
    several = keep_rows and config.windows > 1
    buffers = empty_buffers(config, state, ops, keep_steps and not keep_rows, keep_rows)
    tab = config.tableau
    known = (tab.adaptive, tab.adaptive, config.estimates_stiffness)
    carry = (state, no_terms(known, jnp.zeros_like(state.t)))
    if several:
        return _solve_in_windows(config, carry, buffers, ops, keep_steps=keep_steps)
    (final, totals), buffers = step_on(config, carry, buffers, ops, None)
    if keep_rows and keep_steps:
        buffers["steps"] = steps_of_rows(buffers["rows"], final)
    return _solved(config, final, totals, buffers, None, None, ops)


def _solve_in_windows(
    config: Config, carry: Tree, buffers: dict[str, Any], ops: Operands, *, keep_steps: bool
) -> Solved:
    """Step on from window to window; of each the first state and the step sizes are kept."""
    state, _ = carry
    dtype = state.y.dtype
    windows = tuple(
        storage.buffer(config.windows, row, beside=state.y)
        for row in (storage.pack(state, dtype), jnp.zeros(config.window, jnp.uint16))
    )
    if keep_steps:
        windows += (storage.buffer(config.windows, jnp.zeros((config.window, 2), dtype)),)

    def fill_window(carry: Tree, ops: Operands) -> Tree:
        (state, totals), (buffers,) = carry
        number = state.accepted // config.window
        inner, buffers = step_on(config, (state, totals), buffers, ops, number + 1)
        more = running(inner[0], ops)
        like = row_like(config, state)

        def sizes(rows: jax.Array, like: Row) -> jax.Array:
            return pack_sizes(unpacked(rows, like))

        def none(rows: jax.Array, like: Row) -> jax.Array:
            return jnp.zeros(config.window, jnp.uint16)

        # The last window is kept as it is, and nothing of it is taken again.
        again = jnp.where(more, number, storage.spare_row(windows[0]))
        packed = control_flow.cond_any(more, sizes, none, buffers["rows"], like)
        written = ((again, storage.pack(state, dtype)), (again, packed))
        if keep_steps:
            rows = unpacked(buffers["rows"], like)
            written += ((number, jnp.stack([rows.t, rows.h], axis=1)),)
        return (inner, Unselected(buffers)), written

    def unpacked(rows: jax.Array, like: Row) -> Row:
        return jax.vmap(lambda flat: storage.unpack(flat, like))(rows[:-1])

    carry = (carry, Unselected(buffers))
    ((final, totals), (buffers,)), (starts, sizes, *steps) = control_flow.while_recording(
        lambda carry, ops: running(carry[0][0], ops), fill_window, carry, windows, ops
    )
    if keep_steps:
        # One row more than attempts are allowed, as in the storage of a single window.
        buffers["steps"] = steps[0].reshape(-1, 2)[: config.max_steps + 1]
    return _solved(config, final, totals, buffers, starts, sizes, ops)


def _solved(
    config: Config,
    final: State,
    totals: Totals,
    buffers: dict[str, Any],
    starts: jax.Array | None,
    sizes: jax.Array | None,
    ops: Operands,
) -> Solved:
    met, final, ops = _met(config, final, buffers["before_stop"], ops)
    kept = (buffers["rows"], buffers["slopes"], starts, sizes)
    record = Record(*kept, buffers["dense"], buffers["before_stop"])
    ys = _saves(config, record, final, ops)
    path = record.rows if config.dense_output else None
    totals = reduced(config.reduction, totals, final.accepted)
    return Solved(ys, final, totals, record, buffers["steps"], path, ops, met)


def _met(
    config: Config, final: State, before: jax.Array | None, ops: Operands
) -> tuple[Met | None, State, Operands]:
    """The events of a finished solve, which are stops like any others from here on."""
    if config.events is None:
        return None, final, ops
    assert before is not None
    rows = before.reshape(before.shape[0], *final.y.shape)
    if final.events is None:
        count = jnp.sum(config.events.stop_map.is_event(ops.stops.jumps), dtype=jnp.int32)
        met = Met(ops.stops, rows, count)
    else:
        met = Met(final.events.stops, rows, final.events.number)
    # Saves behind a terminal event are saves at it.
    ops = ops._replace(stops=met.stops, save_at=jnp.minimum(ops.save_at, met.stops.end))
    return met, final._replace(events=None), ops


def _saves(config: Config, record: Record, final: State, ops: Operands) -> jax.Array:
    """The solution at the save times; NaN after a breakdown."""
    ys = final.y[None]
    if record.dense is not None:
        dense = dense_rows(record, final)
        ys = jnp.concatenate([interior_saves(dense, final, ops, repeats=config.repeats), ys])
    return jnp.where(final.status == CODES["ok"], ys, jnp.nan)
