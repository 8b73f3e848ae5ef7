"""The reverse sweep over the record: window by window, chunk by chunk or step by step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from . import control_flow, storage
from .components import by_components
from .config import Config
from .lanes import Unselected
from .record import Record, row_like
from .sources import Sources
from .state import Operands, Row, State
from .step_back import AtEnd, sweep_step
from .windows import Held, held_rows, hold_window, last_window, steps_of_window

Tree = Any

#: Larger states are copied out of the record before a step is swept: a kernel that reads them there
#: takes two to four times as long, and each stage is one.
COPIED_STATES = 4096


def sweep(
    config: Config,
    record: Record,
    final: State,
    y0: jax.Array,
    ops: Operands,
    cotangent: jax.Array,
    sources: Sources,
) -> tuple[jax.Array, Tree]:
    """Carry the `cotangent` of the last state back to the start.

    Returns
    -------
    dy0 : array
    dparams : pytree
        Like ``ops.params``.
    """
    params = (ops.params, ops.constants)
    config = replace(config, rhs=by_components(config.rhs, ops.t0, final.y, params))
    zeros = jax.tree.map(jnp.zeros_like, ops.params)
    with_slope = carries_slopes(config, sources, cotangent.size)
    w: Tree = cotangent
    if with_slope:
        w = AtEnd(cotangent, jnp.zeros_like(cotangent), final.y)
    w, dparams = _sweep_windows(config, record, final, ops, w, zeros, sources)
    return _pull_slope(config, w, y0, ops, dparams) if with_slope else (w, dparams)


def _sweep_windows(
    config: Config,
    record: Record,
    final: State,
    ops: Operands,
    cotangent: Tree,
    zeros: Tree,
    sources: Sources,
) -> tuple[Tree, Tree]:
    """Sweep over the window that was recorded, and those before it, each replayed."""
    if record.starts is None:
        return _sweep_rows(
            config,
            held_rows(record),
            final.accepted,
            jnp.int32(0),
            final,
            ops,
            cotangent,
            zeros,
            sources,
        )
    window = steps_of_window(config)

    def turn(carry: Tree, operands: Tree) -> Tree:
        current, w, dparams, (held,) = carry
        record, final, ops, sources = operands
        held = hold_window(config, record, current, held, final, ops)
        first = current * window
        count = jnp.where(current < 0, 0, jnp.minimum(final.accepted - first, window))
        w, dparams = _sweep_rows(config, held, count, first, final, ops, w, dparams, sources)
        return current - 1, w, dparams, Unselected(held)

    held = Unselected(held_rows(record))
    _, w, dparams, _ = control_flow.while_active(
        lambda carry, operands: carry[0] >= 0,
        turn,
        (last_window(config, final), cotangent, zeros, held),
        (record._replace(rows=None, slopes=None), final, ops, sources),
    )
    return w, dparams


def carries_slopes(config: Config, sources: Sources, states: int) -> bool:
    """Whether the sweep carries the cotangent of a step's first slope to the step before it.

    That slope is the last stage there, which only the embedded error and the stiffness estimate
    read: so it is pulled back once for both steps, and not once for each.
    """
    return any(weight is not None for weight in sources.terms) and config.passes_slopes(states)


def _pull_slope(
    config: Config,
    carried: AtEnd,
    y0: jax.Array,
    ops: Operands,
    dparams: Tree,
) -> tuple[jax.Array, Tree]:
    """Cotangents of the start and of the parameters, from those of state and slope there."""
    _, vjp = jax.vjp(lambda y, p: config.rhs(ops.t0, y, (p, ops.constants)), y0, ops.params)
    dy, dp = vjp(carried.slope)
    return carried.state + dy, jax.tree.map(jnp.add, dparams, dp)


def _sweep_rows(config: Config, held: Held, *operands: Any) -> tuple[jax.Array, Tree]:
    """Sweep backwards over rows, in chunks where states are small.

    Under ``vmap`` the lanes are already parallel, and the sweep is step by step for all of them.
    """
    return control_flow.apart(
        partial(_sweep_in_turns, config, config.chunk_length(operands[2].y.size)),
        partial(_sweep_in_turns, config, 1),
        held,
        *operands,
    )


def _sweep_in_turns(
    config: Config,
    length: int,
    held_at: Callable[[jax.Array], Held],
    count: jax.Array,
    first: jax.Array,
    final: State,
    ops: Operands,
    cotangent: jax.Array,
    dparams: Tree,
    sources: Sources,
) -> tuple[jax.Array, Tree]:
    """Sweep over the first `count` rows, `length` at a time; `first` is the first one's number."""
    like = row_like(config, final)
    with_slope = isinstance(cotangent, AtEnd)
    chunked = config.solver.sweep_chunk
    one_turn = sweep_step if length == 1 or chunked is None else chunked

    last = count - 1

    def rows_at(at: jax.Array) -> Row:
        known = jnp.minimum(at, last)
        held = held_at(known)
        row = jax.vmap(lambda flat: storage.unpack(flat, like))(held.rows)
        if held.slopes is not None and with_slope:
            row = row._replace(slope=held.slopes.reshape(length, *like.y.shape))
        valid = at <= last
        return row._replace(
            h=jnp.where(valid, row.h, 0.0), save_row=jnp.where(valid, row.save_row, -1)
        )

    def body(carry: Tree) -> Tree:
        turn, w, dparams = carry
        at = turn * length + jnp.arange(length, dtype=jnp.int32)
        row = _copied(rows_at, turn >= 0, at) if like.y.size > COPIED_STATES else rows_at(at)
        w, dparams = one_turn(config, row, first + at, ops, w, dparams, sources)
        return turn - 1, w, dparams

    start = (last // length, cotangent, dparams)
    _, w, dparams = lax.while_loop(lambda c: c[0] >= 0, body, start)
    return w, dparams


def _copied(rows_at: Callable[[jax.Array], Row], here: jax.Array, at: jax.Array) -> Row:
    """Rows in arrays of their own: a branch is a border that XLA does not fuse across."""

    def nothing(at: jax.Array) -> Row:
        return jax.tree.map(jnp.zeros_like, rows_at(at))

    return lax.cond(here, rows_at, nothing, at)
