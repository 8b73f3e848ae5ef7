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
from ..steps.tableaus import tableau
from . import loops
from .chunks import sweep_chunk, sweep_dirk_chunk
from .forward_pass import (
    Counts,
    Outputs,
    Pulled,
    Record,
    dense_rows,
    end_cotangent,
    interior_saves,
    outputs,
    replay_window,
    row_like,
    solve_recording,
)
from .recorded_step import (
    Local,
    Sources,
    add_dense_stages,
    local_cotangent,
    local_outputs,
    take_step,
)
from .rosenbrock_chunks import sweep_rosenbrock_chunk
from .state import Config, Operands, Row, State
from .stepping import take
from .switching import SWITCHED

Tree = Any

#: States up to this size are swept in chunks, unless they jump; by implicit methods, up to the
#: second size.
CHUNK_STATES, CHUNK_STATES_IMPLICIT = 8, 6
#: Steps of a chunk, at most and at least, and the numbers in a product of their matrices: more
#: would not fit into one kernel.
LONGEST_CHUNK, SHORTEST_CHUNK, CHUNK_NUMBERS = 64, 8, 4096
CHUNK_SWEEPS = {
    "explicit": sweep_chunk,
    "rosenbrock": sweep_rosenbrock_chunk,
    "dirk": sweep_dirk_chunk,
}


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
    window = min(config.window, config.max_steps)
    if record.starts is None:
        return _sweep_rows(
            config, record.rows, final.accepted, jnp.int32(0), final, ops, cotangent, zeros, sources
        )
    last = jnp.maximum(final.accepted - 1, 0) // window

    def body(carry: Tree) -> Tree:
        current, w, dparams = carry
        rows = loops.cond_any(
            current < last,
            lambda current, record, final, ops: replay_window(config, record, current, final, ops),
            lambda current, record, final, ops: record.rows,
            *(current, record, final, ops),
        )
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
    plain = config.tableau.kind == "explicit" and not config.breaks
    return wanted and plain and _chunk_length(config, states) == 1


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
    return loops.apart(
        partial(_sweep_in_turns, config, _chunk_length(config, operands[3].y.size)),
        partial(_sweep_in_turns, config, 1),
        *operands,
    )


def _chunk_length(config: Config, states: int) -> int:
    """Steps to sweep over at once; 1 where they are swept step by step."""
    largest = CHUNK_STATES_IMPLICIT if config.tableau.implicit else CHUNK_STATES
    if states > largest or config.on_stop is not None or config.switches:
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
    one_turn = CHUNK_SWEEPS[config.tableau.kind] if length > 1 else _sweep_step

    def body(carry: Tree) -> Tree:
        turn, w, dparams = carry
        at = turn * length + jnp.arange(length, dtype=jnp.int32)
        row = jax.vmap(lambda flat: loops.unpack(flat, like))(rows[jnp.minimum(at, count - 1)])
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
    step = take(config, row.t, y, row.h, row.t + row.h, slope, ops, None, None)
    if sources.dense_y is not None:
        step = add_dense_stages(config, row, y, step, ops)
    return (step.y1, step.slope), local_outputs(config, row, y, step, ops, sources)


def record(config: Config, keep_steps: bool, y0: jax.Array, ops: Operands) -> tuple[Outputs, Any]:
    """Solve, and keep what :func:`pull_back` needs."""
    solved = solve_recording(config, y0, ops, keep_steps=keep_steps)
    largest = Terms(*(None if t is None else t.step for t in solved.totals))
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
    counts = sweep_counts(config, final.accepted, final)
    if _hands_on_slopes(config, sources, y0.size):
        more = final.accepted + 1
        counts = counts._replace(rhs_evals=counts.rhs_evals + more, vjp_evals=counts.vjp_evals + 1)
    return Pulled(dy0, dparams, counts)


def sweep_counts(config: Config, steps: jax.Array, final: State) -> Counts:
    """The work of sweeping over `steps` steps.

    A step's stages are computed again and pulled back, each with one vector-Jacobian product
    and, of an implicit method, one solve forwards and one with the transposed matrix. A
    Rosenbrock step has one matrix, a diagonally implicit one the Jacobian at each stage too.
    """
    if config.switches:
        return _switching_counts(steps, final)
    tab = config.tableau
    implicit = tab.steps - (tab.kind == "dirk")
    matrices = {"explicit": 0, "rosenbrock": 1, "dirk": 1 + implicit}[tab.kind]
    solves = jnp.zeros_like(steps)
    if tab.kind == "rosenbrock":
        solves = 2 * implicit * steps
    elif tab.kind == "dirk":
        # Newton's iterations are done again, as many as forwards.
        solves = final.linear_solves + implicit * steps
    evals = tab.steps * steps
    return Counts(
        steps=steps,
        rejected=jnp.zeros_like(steps),
        rhs_evals=evals if tab.kind != "dirk" else final.linear_solves + steps,
        vjp_evals=evals,
        jacobian_evals=matrices * steps,
        linear_solves=solves,
        status=final.status,
    )


def _switching_counts(steps: jax.Array, final: State) -> Counts:
    """As if no implicit attempt had been rejected."""
    explicit, implicit = (tableau(name).steps for name in SWITCHED)
    solved = jnp.minimum(final.linear_solves // implicit, steps)
    evals = (steps - solved) * explicit + solved * implicit
    return Counts(
        steps=steps,
        rejected=jnp.zeros_like(steps),
        rhs_evals=evals,
        vjp_evals=evals,
        jacobian_evals=solved,
        linear_solves=2 * implicit * solved,
        status=final.status,
    )


def per_step(config: Config, dtotals: Terms, final: State) -> Terms:
    """Cotangents of the terms of one step."""
    steps = jnp.maximum(final.accepted, 1).astype(final.y.dtype)
    mean = config.reduction == "mean"
    return Terms(*(None if d is None else (d / steps if mean else d) for d in dtotals))


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
