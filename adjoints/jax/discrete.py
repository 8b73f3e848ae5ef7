"""The discrete adjoint: a reverse sweep written out over the accepted steps.

Differentiating a step ``y1 = step(y, params)`` at fixed ``t`` and ``h`` backwards turns the
cotangent ``w1`` of ``y1`` into ``w = w1 dstep/dy`` and adds ``w1 dstep/dparams`` to the
parameters' cotangent. Two forms of the same sweep:

- *step by step*, one vector-Jacobian product of a step at a time, for large states;
- *in chunks*, for small states: the Jacobians ``dstep/dy`` of a whole chunk of steps are formed
  at once (they do not depend on each other), what remains sequential is the recurrence
  ``w <- w J``, and the parameters' cotangent is one product for the whole chunk.

References
----------
A. Sandu, "On the properties of Runge-Kutta discrete adjoints", ICCS 2006;
H. Zhang, A. Sandu, SIAM J. Sci. Comput. 36 (2014) C504-C523.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ..runge_kutta import dense_coefficients, dense_stages, step_stages
from . import loops
from .integrate import (
    Config,
    Operands,
    Row,
    State,
    Terms,
    clipper,
    step_terms,
    time_limits,
)
from .record import (
    Counts,
    Outputs,
    Pulled,
    Record,
    dense_rows,
    interior_saves,
    outputs,
    replay_window,
    row_like,
    solve_recording,
)

Tree = Any

#: States up to this size are swept in chunks.
CHUNK_STATES = 8
#: Steps of a chunk.
CHUNK = 32


class Sources(NamedTuple):
    """Cotangents that enter at the steps themselves; ``None`` where there are none.

    ``dense_y`` and ``dense_coefficients`` belong to the rows of dense output, ``terms`` are the
    weights of the regularisers' terms and ``steps`` the only step that counts, for a maximum.
    """

    dense_y: jax.Array | None
    dense_coefficients: jax.Array | None
    terms: Terms
    steps: Terms


class Local(NamedTuple):
    """What a step yields besides the new state."""

    coefficients: jax.Array | None
    terms: Terms


def take_step(
    config: Config, row: Row, y: jax.Array, params: Tree, ops: Operands, sources: Sources
) -> tuple[jax.Array, Local]:
    """The recorded step as a function of state and parameters."""
    both = (params, ops.constants)
    tab = config.tableau
    clip = clipper(time_limits(config, row.stop, ops))
    y1, stages = step_stages(config.rhs, tab, row.t, y, row.h, both, None, clip)
    coefficients, terms = None, Terms(None, None, None)
    wanted = tuple(weight is not None for weight in sources.terms)
    if sources.dense_y is not None or any(wanted):
        stages.append(config.rhs(clip(row.t + row.h), y1, both))
    if sources.dense_y is not None:
        complete = dense_stages(config.rhs, tab, row.t, y, row.h, both, stages, clip)
        coefficients = dense_coefficients(tab, complete)
    if any(wanted):
        found = step_terms(config, stages, y, y1, row.h, ops)
        terms = Terms(*(t if w else None for t, w in zip(found, wanted, strict=True)))
    if config.on_stop is not None:
        t1 = ops.stops[row.stop]
        y1 = lax.cond(
            row.reaches & (row.h != 0),
            lambda y: config.on_stop(row.stop, t1, y, both),
            lambda y: y,
            y1,
        )
    return y1, Local(coefficients, terms)


def local_cotangent(
    row: Row, index: jax.Array, sources: Sources
) -> tuple[jax.Array | None, Local]:
    """Cotangents of the state and the local outputs that enter at this step."""
    own, coefficients = None, None
    if sources.dense_y is not None:
        at = jnp.maximum(row.save_row, 0)
        has_save = row.save_row >= 0
        own = jnp.where(has_save, sources.dense_y[at], 0.0)
        coefficients = jnp.where(has_save, sources.dense_coefficients[at], 0.0)

    def weight(value: jax.Array | None, step: jax.Array | None) -> jax.Array | None:
        if value is None or step is None:
            return value
        return jnp.where(step == index, value, 0.0)

    pairs = zip(sources.terms, sources.steps, strict=True)
    return own, Local(coefficients, Terms(*(weight(v, s) for v, s in pairs)))


def sweep(
    config: Config,
    record: Record,
    final: State,
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


def _sweep_rows(
    config: Config,
    rows: jax.Array,
    count: jax.Array,
    first: jax.Array,
    final: State,
    ops: Operands,
    cotangent: jax.Array,
    dparams: Tree,
    sources: Sources,
) -> tuple[jax.Array, Tree]:
    """Sweep over the first `count` rows, backwards; `first` is the number of the first."""
    like = row_like(final)
    chunked = final.y.size <= CHUNK_STATES
    length = CHUNK if chunked else 1
    one_turn = _sweep_chunk if chunked else _sweep_step

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
    w: jax.Array,
    dparams: Tree,
    sources: Sources,
) -> tuple[jax.Array, Tree]:
    """One step backwards; `row` and `index` have a leading axis of one."""
    row, index = jax.tree.map(lambda leaf: leaf[0], row), index[0]

    def back(sources: Sources) -> tuple[jax.Array, Tree]:
        own, local = local_cotangent(row, index, sources)
        step = partial(take_step, config, row, ops=ops, sources=sources)
        _, vjp = jax.vjp(step, row.y, ops.params)
        dy, dp = vjp((w, local))
        return dy if own is None else dy + own, dp

    if sources.dense_y is None:
        dy, dp = back(sources)
    else:
        bare = sources._replace(dense_y=None, dense_coefficients=None)
        dy, dp = lax.cond(row.save_row >= 0, lambda: back(sources), lambda: back(bare))
    return dy, jax.tree.map(jnp.add, dparams, dp)


def _sweep_chunk(
    config: Config,
    rows: Row,
    index: jax.Array,
    ops: Operands,
    w: jax.Array,
    dparams: Tree,
    sources: Sources,
) -> tuple[jax.Array, Tree]:
    """A chunk of steps backwards: all Jacobians at once, then the recurrence."""
    own, local = jax.vmap(local_cotangent, in_axes=(0, 0, None))(rows, index, sources)
    shape, n = w.shape, w.size
    length = index.shape[0]

    def jacobian(row: Row, local: Local) -> tuple[jax.Array, jax.Array | None]:
        step = partial(take_step, config, row, params=ops.params, ops=ops, sources=sources)
        (_, outputs), vjp = jax.vjp(step, row.y)
        nothing = jax.tree.map(jnp.zeros_like, outputs)
        basis = jnp.eye(n, dtype=w.dtype).reshape(n, *shape)
        square = jax.vmap(lambda e: vjp((e, nothing))[0])(basis)
        if not jax.tree.leaves(local):
            return square.reshape(n, n), None
        return square.reshape(n, n), vjp((jnp.zeros(shape, w.dtype), local))[0].reshape(n)

    squares, entering = jax.vmap(jacobian)(rows, local)
    if own is not None and entering is not None:
        entering = entering + own.reshape(length, n)

    def back(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        w, ahead = carry
        j = length - 1 - i
        ahead = lax.dynamic_update_index_in_dim(ahead, w, j, 0)
        w = jnp.sum(w[:, None] * squares[j], axis=0)
        return w if entering is None else w + entering[j], ahead

    ahead = jnp.zeros((length, n), w.dtype)
    w, ahead = lax.fori_loop(0, length, back, (w.reshape(n), ahead))

    def steps(params: Tree) -> tuple[jax.Array, Local]:
        return jax.vmap(
            lambda row: take_step(config, row, row.y, params, ops, sources)
        )(rows)

    _, vjp = jax.vjp(steps, ops.params)
    (dp,) = vjp((ahead.reshape(length, *shape), local))
    return w.reshape(shape), jax.tree.map(jnp.add, dparams, dp)


def record(
    config: Config, keep_steps: bool, y0: jax.Array, ops: Operands
) -> tuple[Outputs, Any]:
    """Solve, and keep what :func:`pull_back` needs."""
    solved = solve_recording(config, y0, ops, keep_steps=keep_steps)
    largest = Terms(*(None if t is None else t.step for t in solved.totals))
    return outputs(solved), (solved.record, solved.final, largest, ops)


def pull_back(config: Config, kept: Any, dys: jax.Array, dtotals: Terms) -> Pulled:
    """Cotangents of start value, parameters and save times.

    Parameters
    ----------
    config : Config
    kept : pytree
        From :func:`record`.
    dys : array, shape ``(len(save_at), *y0.shape)``
    dtotals : Terms
        Cotangents of the regularisers; ``None`` where there is none.
    """
    record, final, largest, ops = kept
    dense_y, dense_coefficients, dsave = _save_cotangents(record, final, ops, dys)
    weights = per_step(config, dtotals, final)
    only = largest if config.reduction == "max" else Terms(None, None, None)
    sources = Sources(dense_y, dense_coefficients, weights, only)
    dy0, dparams = sweep(config, record, final, ops, dys[-1], sources)
    evals = config.tableau.steps * final.accepted
    counts = Counts(final.accepted, jnp.zeros_like(final.accepted), evals, evals, final.status)
    return Pulled(dy0, dparams, dsave, counts)


def per_step(config: Config, dtotals: Terms, final: State) -> Terms:
    """Cotangents of the terms of one step."""
    steps = jnp.maximum(final.accepted, 1)
    mean = config.reduction == "mean"
    return Terms(*(None if d is None else (d / steps if mean else d) for d in dtotals))


def _save_cotangents(
    record: Record, final: State, ops: Operands, dys: jax.Array
) -> tuple[jax.Array | None, jax.Array | None, jax.Array]:
    """Cotangents of the rows of dense output, and of the save times."""
    dlast = jnp.sum(dys[-1] * final.slope)[None]
    if record.dense is None:
        return None, None, dlast
    dense = dense_rows(record, final)

    def values(y: jax.Array, coefficients: jax.Array, save_at: jax.Array) -> jax.Array:
        rows = dense._replace(y=y, coefficients=coefficients)
        return interior_saves(rows, final, ops._replace(save_at=save_at))

    _, vjp = jax.vjp(values, dense.y, dense.coefficients, ops.save_at)
    dense_y, dense_coefficients, dsave = vjp(dys[:-1])
    return dense_y, dense_coefficients, dsave.at[-1].add(dlast[0])
