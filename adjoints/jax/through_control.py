"""The discrete adjoint of the whole adaptive program, step-size control included.

Here an accepted step is not enough: every attempt, rejected ones too, made the step size that
followed. All attempts are recorded, and the reverse sweep differentiates an attempt as a map
from ``(t, y, slope, h, previous error)`` to the same five.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.acceptance import Terms
from ..steps.step_size import SMALLEST_FACTOR
from . import control_flow, storage
from .attempt import attempt
from .config import Config
from .control import control_of
from .forward_pass import outputs, solve_recording
from .outcomes import Outputs, Pulled
from .saves import end_cotangent, interior_saves
from .state import DenseRow, Operands, State
from .step_loop import running, start
from .totals import per_step

Tree = Any
SMOOTH = ("t", "y", "slope", "h", "previous_error")


def record(config: Config, keep_steps: bool, y0: jax.Array, ops: Operands) -> tuple[Outputs, Any]:
    """Solve, and keep what :func:`pull_back` needs."""
    solved = solve_recording(config, y0, ops, keep_steps=keep_steps, keep_rows=False)
    out = outputs(solved)
    attempts = _record_attempts(config, y0, ops)
    return out, (attempts, out.final, out.totals, y0, ops)


def _record_attempts(config: Config, y0: jax.Array, ops: Operands) -> jax.Array:
    """The states before all attempts."""
    state = start(config, y0, ops)
    stored = storage.buffer(config.max_steps, storage.pack(state, y0.dtype))

    def turn(state: State, ops: Operands) -> Tree:
        following = attempt(config, state, ops, dense=False).state
        return following, ((state.attempts, storage.pack(state, y0.dtype)),)

    _, (stored,) = control_flow.while_recording(running, turn, state, (stored,), ops)
    return stored


def pull_back(
    config: Config,
    kept: Any,
    dys: jax.Array,
    dtotals: Terms,
    dpath: None = None,
    dbefore: None = None,
) -> Pulled:
    """Cotangents of start value and parameters; there is neither path nor event."""
    del dpath, dbefore
    stored, final, totals, y0, ops = kept
    through = replace(config, jax_differentiates=True)
    weights = per_step(config.reduction, dtotals, final.accepted)
    dense, ddense = _dense_cotangents(through, stored, final, ops, dys)

    def one(smooth: Tree, params: Tree, state: State) -> Tree:
        current = state._replace(**dict(zip(SMOOTH, smooth, strict=True)))
        found = attempt(through, current, ops._replace(params=params), dense=dense is not None)
        after = tuple(getattr(found.state, name) for name in SMOOTH)
        terms = jax.tree.map(lambda term: jnp.where(found.accept, term, 0.0), found.terms)
        terms = _largest_only(config, terms, totals)
        wanted = Terms(*(None if d is None else t for d, t in zip(weights, terms, strict=True)))
        return (after, found.dense, wanted), found.accept | jnp.isfinite(found.error)

    def without_value(smooth: Tree, state: State) -> Tree:
        """An attempt without a value changes the step size alone, to a fixed share of it."""
        current = state._replace(**dict(zip(SMOOTH, smooth, strict=True)))
        h = SMALLEST_FACTOR * control_of(through).reach(current, ops).h
        return tuple(h if name == "h" else x for name, x in zip(SMOOTH, smooth, strict=True))

    def select(predicate: jax.Array, one: Tree, other: Tree) -> Tree:
        return jax.tree.map(lambda a, b: jnp.where(predicate, a, b), one, other)

    def body(carry: Tree) -> Tree:
        i, smooth_bar, dparams = carry
        state = storage.unpack(stored[i], final)
        before = tuple(getattr(state, name) for name in SMOOTH)
        _, vjp, usable = jax.vjp(lambda s, p: one(s, p, state), before, ops.params, has_aux=True)
        following = jnp.where(i + 1 < final.attempts, i + 1, i)
        next_state = storage.unpack(stored[following], final)
        after_row = jnp.where(i + 1 < final.attempts, next_state.save_row, final.save_row)
        wrote = after_row > state.save_row
        dense_bar = _row_cotangent(ddense, state.save_row, wrote)
        found, dp = vjp((smooth_bar, dense_bar, weights))
        _, vjp = jax.vjp(lambda s: without_value(s, state), before)
        smooth_bar = select(usable, found, vjp(smooth_bar)[0])
        dparams = select(usable, jax.tree.map(jnp.add, dparams, dp), dparams)
        return i - 1, smooth_bar, dparams

    zero = tuple(jnp.zeros_like(getattr(final, name)) for name in SMOOTH)
    smooth_bar = (zero[0], end_cotangent(config, ops, dys), *zero[2:])
    none = jax.tree.map(jnp.zeros_like, ops.params)
    carry = (final.attempts - 1, smooth_bar, none)
    _, smooth_bar, dparams = lax.while_loop(lambda c: c[0] >= 0, body, carry)

    def begin(y0: jax.Array, params: Tree) -> Tree:
        state = start(through, y0, ops._replace(params=params))
        return tuple(getattr(state, name) for name in SMOOTH)

    _, vjp = jax.vjp(begin, y0, ops.params)
    dy0, dp = vjp(smooth_bar)
    dparams = jax.tree.map(jnp.add, dparams, dp)
    return Pulled(dy0, dparams, config.solver.sweep_counts(final.attempts, final))


def _largest_only(config: Config, terms: Terms, totals: Terms) -> Terms:
    """For a maximum, only the term that is the maximum counts."""
    if config.reduction != "max":
        return terms
    return jax.tree.map(lambda x, top: jnp.where(x >= top, x, 0.0), terms, totals)


def _dense_cotangents(
    config: Config, stored: jax.Array, final: State, ops: Operands, dys: jax.Array
) -> tuple[DenseRow | None, DenseRow | None]:
    """The rows of dense output, and their cotangents."""
    interior = min(ops.save_at.shape[0] - 1, config.max_steps)
    if interior == 0:
        return None, None
    states = jax.vmap(lambda flat: storage.unpack(flat, final))(stored[:-1])
    number = jnp.arange(stored.shape[0] - 1, dtype=jnp.int32)
    valid = number < final.attempts
    after = jnp.where(number + 1 < final.attempts, jnp.roll(states.save_row, -1), final.save_row)
    wrote = valid & (after > states.save_row)
    # The attempt that wrote row r: the first one with a row count above r afterwards.
    counts = jnp.where(wrote, states.save_row, -1)
    at = jnp.argmax(counts[None, :] == jnp.arange(interior, dtype=jnp.int32)[:, None], axis=1)
    rows = jax.vmap(lambda i: attempt(config, storage.gather(states, i), ops).dense)(at)

    def values(dense: DenseRow) -> jax.Array:
        return interior_saves(dense, final, ops, repeats=config.repeats)

    _, vjp = jax.vjp(values, rows)
    return rows, *vjp(dys[:-1])


def _row_cotangent(ddense: DenseRow | None, row: jax.Array, wrote: jax.Array) -> DenseRow | None:
    if ddense is None:
        return None
    picked = storage.read(ddense, jnp.minimum(row, ddense.t.shape[0] - 1))
    return jax.tree.map(lambda leaf: jnp.where(wrote, leaf, 0.0), picked)
