"""The discrete adjoint: a reverse sweep written out over the accepted steps.

Differentiating a step ``y1 = step(y, params)`` at fixed ``t`` and ``h`` backwards turns the
cotangent ``w1`` of ``y1`` into ``w = w1 dstep/dy`` and adds ``w1 dstep/dparams`` to the
parameters' cotangent. Two forms of the same sweep:

- *step by step*, one vector-Jacobian product of a step at a time, for large states;
- *in chunks*, for small states: see :mod:`~adjointbench.adjoints.jax.chunks`.

References
----------
A. Sandu, "On the properties of Runge-Kutta discrete adjoints", ICCS 2006;
H. Zhang, A. Sandu, SIAM J. Sci. Comput. 36 (2014) C504-C523.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.error_test import Terms
from . import control_flow, storage
from .config import Config
from .forward_pass import outputs, solve_recording
from .outcomes import Outputs, Pulled
from .record import Record, dense_rows, row_like
from .recorded_step import add_dense_stages, local_outputs, take_step
from .saves import end_cotangent, interior_saves
from .sources import Local, Sources, local_cotangent
from .state import Operands, Row, State, Trial
from .stepping import take
from .totals import largest_steps, per_step
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
    hands_on = _hands_on_slopes(config, sources, cotangent.size)
    w: Tree = (cotangent, jnp.zeros_like(cotangent)) if hands_on else cotangent
    w, dparams = _sweep_windows(config, record, final, ops, w, zeros, sources)
    return _pull_slope(config, w, y0, ops, dparams) if hands_on else (w, dparams)


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


def _hands_on_slopes(config: Config, sources: Sources, states: int) -> bool:
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
    one_turn = config.solver.sweep_chunk if length > 1 else None
    one_turn = one_turn or _sweep_step

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


def _sweep_step(
    config: Config,
    row: Row,
    index: jax.Array,
    ops: Operands,
    w: Tree,
    dparams: Tree,
    sources: Sources,
) -> tuple[Tree, Tree]:
    """One step backwards; `row` and `index` have a leading axis of one.

    `w` is the cotangent of the state at the end of the step, or that and the one of the slope.
    """
    row, index = jax.tree.map(lambda leaf: leaf[0], row), index[0]
    config = replace(config, plain=True)
    hands_on = isinstance(w, tuple)
    step_from = _slope_to_slope if hands_on else _state_to_state
    start = (row.y, config.rhs(row.t, row.y, (ops.params, ops.constants))) if hands_on else row.y

    def back(sources: Sources) -> tuple[Tree, Tree]:
        own, local = local_cotangent(row, index, sources)
        _, vjp = jax.vjp(partial(step_from, config, row, ops, sources), start, ops.params)
        dstart, dp = vjp((w, local))
        if own is not None:
            dstart = (dstart[0] + own, dstart[1]) if hands_on else dstart + own
        return dstart, dp

    if sources.dense_y is None:
        dstart, dp = back(sources)
    else:
        bare = sources._replace(dense_y=None, dense_coefficients=None)
        dstart, dp = lax.cond(row.save_row >= 0, lambda: back(sources), lambda: back(bare))
    return dstart, jax.tree.map(jnp.add, dparams, dp)


def _state_to_state(
    config: Config, row: Row, ops: Operands, sources: Sources, y: jax.Array, params: Tree
) -> tuple[jax.Array, Local]:
    """The recorded step as a function of the state at its start."""
    return take_step(config, row, y, params, ops, sources)


def _slope_to_slope(
    config: Config,
    row: Row,
    ops: Operands,
    sources: Sources,
    start: tuple[jax.Array, jax.Array],
    params: Tree,
) -> tuple[tuple[jax.Array, jax.Array], Local]:
    """The recorded step as a function of state and slope at its start, to those at its end."""
    y, slope = start
    ops = ops._replace(params=params)
    trial = Trial(row.t, y, row.h, row.t + row.h, slope, None, None)
    step = take(config, trial, ops)
    if sources.dense_y is not None:
        step = add_dense_stages(config, row, y, step, ops)
    return (step.y1, step.slope), local_outputs(config, row, y, step, ops, sources)


def record(config: Config, keep_steps: bool, y0: jax.Array, ops: Operands) -> tuple[Outputs, Any]:
    """Solve, and keep what :func:`pull_back` needs."""
    solved = solve_recording(config, y0, ops, keep_steps=keep_steps)
    largest = largest_steps(solved.totals)
    return outputs(solved), (solved.record, solved.final, largest, ops, y0)


def pull_back(config: Config, kept: Any, dys: jax.Array, dtotals: Terms) -> Pulled:
    """Cotangents of start value and parameters.

    Parameters
    ----------
    config : Config
    kept : pytree
        From :func:`record`.
    dys : array, shape ``(len(save_at), *y0.shape)``
    dtotals : Terms
        Cotangents of the regularisers; ``None`` where there is none.
    """
    record, final, largest, ops, y0 = kept
    dense_y, dense_coefficients = _save_cotangents(config, record, final, ops, dys)
    weights = per_step(config, dtotals, final)
    only = largest if config.reduction == "max" else Terms(None, None, None)
    sources = Sources(dense_y, dense_coefficients, weights, only)
    w = end_cotangent(config, ops, dys)
    dy0, dparams = sweep(config, record, final, y0, ops, w, sources)
    counts = config.solver.sweep_counts(final.accepted, final)
    if _hands_on_slopes(config, sources, y0.size):
        more = final.accepted + 1
        counts = counts._replace(rhs_evals=counts.rhs_evals + more, vjp_evals=counts.vjp_evals + 1)
    return Pulled(dy0, dparams, counts)


def _save_cotangents(
    config: Config, record: Record, final: State, ops: Operands, dys: jax.Array
) -> tuple[jax.Array | None, jax.Array | None]:
    """Cotangents of the rows of dense output, their states and their coefficients."""
    if record.dense is None:
        return None, None
    dense = dense_rows(record, final)

    def values(y: jax.Array, coefficients: jax.Array) -> jax.Array:
        rows = dense._replace(y=y, coefficients=coefficients)
        return interior_saves(rows, final, ops, repeats=config.repeats)

    _, vjp = jax.vjp(values, dense.y, dense.coefficients)
    return vjp(dys[:-1])
