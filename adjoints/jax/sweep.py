"""The reverse sweep over the record: window by window, chunk by chunk or step by step."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from . import control_flow, storage
from .config import Config
from .record import Record, row_like
from .sources import Sources
from .state import Operands, State
from .step_back import sweep_step
from .windows import last_window, rows_of_window, steps_of_window

Tree = Any

#: Steps of a chunk, at most and at least, and the numbers in a product of their matrices: more
#: would not fit into one kernel.
LONGEST_CHUNK, SHORTEST_CHUNK, CHUNK_NUMBERS = 64, 8, 4096


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
    zeros = jax.tree.map(jnp.zeros_like, ops.params)
    with_slope = carries_slopes(config, sources, cotangent.size)
    w: Tree = (cotangent, jnp.zeros_like(cotangent)) if with_slope else cotangent
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
            config, record.rows, final.accepted, jnp.int32(0), final, ops, cotangent, zeros, sources
        )
    window, last = steps_of_window(config), last_window(config, final)

    def body(carry: Tree) -> Tree:
        current, w, dparams = carry
        rows = rows_of_window(config, record, current, last, final, ops)
        first = current * window
        count = jnp.minimum(final.accepted - first, window)
        w, dparams = _sweep_rows(config, rows, count, first, final, ops, w, dparams, sources)
        return current - 1, w, dparams

    _, w, dparams = lax.while_loop(lambda c: c[0] >= 0, body, (last, cotangent, zeros))
    return w, dparams


def carries_slopes(config: Config, sources: Sources, states: int) -> bool:
    """Whether the sweep carries the cotangent of a step's first slope to the step before it.

    That slope is the last stage there, which only the embedded error and the stiffness estimate
    read: so it is pulled back once for both steps, and not once for each.
    """
    wanted = any(weight is not None for weight in sources.terms)
    same = config.solver.first_same_as_last and not config.breaks
    return wanted and same and _chunk_length(config, states) == 1


def _pull_slope(
    config: Config,
    carried: tuple[jax.Array, jax.Array],
    y0: jax.Array,
    ops: Operands,
    dparams: Tree,
) -> tuple[jax.Array, Tree]:
    """Cotangents of the start and of the parameters, from those of state and slope there."""
    w, slope = carried
    _, vjp = jax.vjp(lambda y, p: config.rhs(ops.t0, y, (p, ops.constants)), y0, ops.params)
    dy, dp = vjp(slope)
    return w + dy, jax.tree.map(jnp.add, dparams, dp)


def _sweep_rows(config: Config, *operands: Any) -> tuple[jax.Array, Tree]:
    """Sweep backwards over rows, in chunks where states are small.

    Under ``vmap`` the lanes are already parallel, and the sweep is step by step for all of them.
    """
    return control_flow.apart(
        partial(_sweep_in_turns, config, _chunk_length(config, operands[3].y.size)),
        partial(_sweep_in_turns, config, 1),
        *operands,
    )


def _chunk_length(config: Config, states: int) -> int:
    """Steps to sweep over at once; 1 where they are swept step by step."""
    solver = config.solver
    if solver.sweep_chunk is None or states > solver.chunked_states or config.on_stop is not None:
        return 1
    return max(SHORTEST_CHUNK, min(LONGEST_CHUNK, CHUNK_NUMBERS // states**3))


def _sweep_in_turns(
    config: Config,
    length: int,
    rows: jax.Array,
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
    chunked = config.solver.sweep_chunk
    one_turn = sweep_step if length == 1 or chunked is None else chunked

    def body(carry: Tree) -> Tree:
        turn, w, dparams = carry
        at = turn * length + jnp.arange(length, dtype=jnp.int32)
        row = jax.vmap(lambda flat: storage.unpack(flat, like))(rows[jnp.minimum(at, count - 1)])
        valid = at < count
        row = row._replace(
            h=jnp.where(valid, row.h, 0.0), save_row=jnp.where(valid, row.save_row, -1)
        )
        w, dparams = one_turn(config, row, first + at, ops, w, dparams, sources)
        return turn - 1, w, dparams

    turns = (count + length - 1) // length
    _, w, dparams = lax.while_loop(lambda c: c[0] >= 0, body, (turns - 1, cotangent, dparams))
    return w, dparams
