"""The recorded solve, and the recomputation of what the record left out."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.error_test import CODES, Terms
from ..steps.tableaus import tableau
from . import loops
from .saves import evaluate
from .state import Attempt, Config, DenseRow, Operands, Row, State
from .step_loop import attempt, running, start
from .switching import SWITCHED

Tree = Any


class Total(NamedTuple):
    """A regulariser so far, and the step of its largest term."""

    value: jax.Array
    step: jax.Array


class Totals(NamedTuple):
    """The regularisers so far; ``None`` where the method has none."""

    error: Total | None
    error_squared: Total | None
    stiffness: Total | None


class Record(NamedTuple):
    """What the reverse pass needs.

    ``rows`` are the accepted steps of the last window; ``starts`` the first states of all
    windows and ``sizes`` all step sizes (negative: up to the next stop), where there can be
    more than one window.
    ``dense`` holds the dense output of the steps with saves on them, ``before_stop`` the states
    just before the stops, where the state jumps.
    """

    rows: jax.Array
    starts: jax.Array | None
    sizes: jax.Array | None
    dense: jax.Array | None
    before_stop: jax.Array | None


class Solved(NamedTuple):
    """A finished solve."""

    ys: jax.Array
    final: State
    totals: Totals
    record: Record
    steps: jax.Array | None


class Outputs(NamedTuple):
    """What a differentiable solve returns, whatever its adjoint."""

    ys: jax.Array
    totals: Terms
    final: State
    steps: jax.Array | None


class Counts(NamedTuple):
    """Work and status of a reverse pass."""

    steps: jax.Array
    rejected: jax.Array
    rhs_evals: jax.Array
    vjp_evals: jax.Array
    jacobian_evals: jax.Array
    linear_solves: jax.Array
    status: jax.Array


class Pulled(NamedTuple):
    """What a reverse pass returns."""

    dy0: jax.Array
    dparams: Tree
    counts: Counts


def rhs_evals(config: Config, final: State) -> jax.Array:
    """Right-hand sides of a finished solve: the start, the first step's guess, the attempts."""
    tab = config.tableau
    begin = jnp.int32(2 if tab.adaptive else 1)
    if tab.kind == "dirk":
        ends = jnp.int32(0 if tab.stiffly_accurate else 1)
        return begin + final.linear_solves + ends * final.attempts
    if config.switches:
        explicit, implicit = (tableau(name).steps for name in SWITCHED)
        solved = final.linear_solves // implicit
        return begin + (final.attempts - solved) * explicit + solved * implicit
    return begin + final.attempts * tab.steps


def jacobian_evals(config: Config, final: State) -> jax.Array:
    """Jacobians that a finished solve formed: one an attempt of an implicit method.

    A solver that switches forms one more, at the start.
    """
    if config.switches:
        return 1 + final.linear_solves // tableau(SWITCHED[1]).steps
    return final.attempts * int(config.tableau.implicit)


def outputs(solved: Solved) -> Outputs:
    """The public part of a finished solve."""
    values = Terms(*(None if t is None else t.value for t in solved.totals))
    return Outputs(solved.ys, values, solved.final, solved.steps)


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
        Whether to record for a reverse pass at all.
    """
    state = start(config, y0, ops)
    several = keep_rows and config.windows > 1
    buffers = _buffers(config, state, ops, keep_steps and not several, keep_rows)
    carry = (state, _no_terms(config, state))
    if not several:
        (final, totals), buffers = _fill(config, carry, buffers, ops, None)
        return _solved(config, final, totals, buffers, None, None, ops)
    windows = (loops.buffer(config.windows, loops.pack(state, y0.dtype)),)
    windows += (loops.buffer(config.windows, jnp.zeros(config.window, jnp.uint16)),)
    if keep_steps:
        windows += (loops.buffer(config.windows, jnp.zeros((config.window, 2), y0.dtype)),)

    def fill_window(carry: Tree, ops: Operands) -> Tree:
        (state, totals), buffers = carry
        number = state.accepted // config.window
        inner, buffers = _fill(config, (state, totals), buffers, ops, number + 1)
        like = row_like(config, state)
        rows = jax.vmap(lambda flat: loops.unpack(flat, like))(buffers["rows"][:-1])
        written = (loops.pack(state, y0.dtype), _pack_sizes(rows))
        written += (jnp.stack([rows.t, rows.h], axis=1),) if keep_steps else ()
        return (inner, buffers), tuple((number, row) for row in written)

    ((final, totals), buffers), (starts, sizes, *steps) = loops.while_recording(
        lambda carry, ops: running(carry[0][0], ops), fill_window, (carry, buffers), windows, ops
    )
    if keep_steps:
        # One row more than attempts are allowed, as in the storage of a single window.
        buffers["steps"] = steps[0].reshape(-1, 2)[: config.max_steps + 1]
    return _solved(config, final, totals, buffers, starts, sizes, ops)


def _fill(
    config: Config, carry: Tree, buffers: dict[str, Any], ops: Operands, windows: Any
) -> tuple[Tree, dict[str, Any]]:
    """Step to the end, or until so many windows are full."""
    names = tuple(name for name, stored in buffers.items() if stored is not None)

    def turn(carry: Tree, operands: Tree) -> Tree:
        state, totals = carry
        found = attempt(config, state, operands[0])
        totals = _add(config, totals, found, state.accepted)
        rows = _writes(config, state, found, buffers)
        return (found.state, totals), tuple(rows[name] for name in names)

    def active(carry: Tree, operands: Tree) -> jax.Array:
        ops, windows = operands
        go = running(carry[0], ops)
        return go if windows is None else go & (carry[0].accepted < windows * config.window)

    stored = tuple(buffers[name] for name in names)
    carry, stored = loops.while_recording(
        active, turn, carry, stored, (ops, windows), plain=config.plain
    )
    return carry, {**dict.fromkeys(buffers), **dict(zip(names, stored, strict=True))}


def _solved(
    config: Config,
    final: State,
    totals: Totals,
    buffers: dict[str, Any],
    starts: jax.Array | None,
    sizes: jax.Array | None,
    ops: Operands,
) -> Solved:
    record = Record(buffers["rows"], starts, sizes, buffers["dense"], buffers["before_stop"])
    ys = _saves(config, record, final, ops)
    return Solved(ys, final, _reduce(config, totals, final), record, buffers["steps"])


def _buffers(
    config: Config, state: State, ops: Operands, keep_steps: bool, keep_rows: bool
) -> dict[str, jax.Array | None]:
    """Empty storage for what is written step by step; ``None`` for what is not kept."""
    dtype = state.y.dtype
    interior = min(ops.save_at.shape[0] - 1, config.max_steps)

    def make(kept: bool, rows: int, row: Tree) -> jax.Array | None:
        return loops.buffer(rows, loops.pack(row, dtype)) if kept else None

    return {
        "rows": make(keep_rows, min(config.window, config.max_steps), row_like(config, state)),
        "dense": make(interior > 0, interior, dense_like(config, state)),
        "before_stop": make(config.on_stop is not None, ops.stops.times.shape[0], state.y),
        "steps": make(keep_steps, config.max_steps, (state.t, state.h)),
    }


def row_like(config: Config, state: State) -> Row:
    """A row of the right shapes."""
    return Row(
        t=state.t,
        h=state.h,
        save_row=state.save_row,
        stop=state.stop,
        reaches=jnp.bool_(False),
        y=state.y,
        slope=state.slope if config.keeps_slopes else None,
        phase=state.phase if config.switches else None,
    )


def dense_like(config: Config, state: State) -> DenseRow:
    """A row of dense output of the right shapes."""
    degree = config.tableau.dense.shape[1]
    coefficients = jnp.zeros((degree, *state.y.shape), state.y.dtype)
    return DenseRow(state.t, state.h, state.y, coefficients)


def _writes(
    config: Config, state: State, found: Attempt, buffers: dict[str, Any]
) -> dict[str, tuple[jax.Array, Any]]:
    """Where to write what, for every buffer that is kept."""
    dtype = state.y.dtype
    index = state.accepted
    out: dict[str, tuple[jax.Array, Any]] = {}
    if buffers["rows"] is not None:
        at = jnp.where(found.accept, index % config.window, loops.spare_row(buffers["rows"]))
        out["rows"] = (at, loops.pack(found.row, dtype))
    if buffers["dense"] is not None:
        has_save = found.row.save_row >= 0
        at = jnp.where(has_save, state.save_row, loops.spare_row(buffers["dense"]))
        out["dense"] = (at, loops.pack(found.dense, dtype))
    if buffers["before_stop"] is not None:
        passes = found.accept & found.row.reaches
        at = jnp.where(passes, state.stop, loops.spare_row(buffers["before_stop"]))
        out["before_stop"] = (at, loops.pack(found.before_stop, dtype))
    if buffers["steps"] is not None:
        at = jnp.where(found.accept, index, loops.spare_row(buffers["steps"]))
        out["steps"] = (at, loops.pack((found.row.t, found.row.h), dtype))
    return out


def _pack_sizes(rows: Row) -> jax.Array:
    """The step sizes of a window, and whether they reach a stop (their sign), in 16 bits each.

    Kept as integers: XLA's CPU compiler would widen a whole buffer of bfloat16 at each write.
    """
    return _short_bits(jnp.where(rows.reaches, -rows.h, rows.h))


def _short_bits(h: jax.Array) -> jax.Array:
    return lax.bitcast_convert_type(h.astype(jnp.bfloat16), jnp.uint16)


def _given_step(
    config: Config, size: jax.Array, state: State, first: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The recorded step size and whether it reached a stop.

    A step size that the user gave is not short; it can only be the first of a window, and has
    not been rejected, where it rounds to what was recorded.
    """
    signed = lax.bitcast_convert_type(size, jnp.bfloat16).astype(state.h.dtype)
    unchanged = (state.accepted == first) & (_short_bits(state.h) == _short_bits(jnp.abs(signed)))
    exact = unchanged | (not config.tableau.adaptive)
    return jnp.where(exact, state.h, jnp.abs(signed)), signed < 0


def _no_terms(config: Config, state: State) -> Totals:
    """Totals before the first step, with the terms that the method has."""
    zero, first = jnp.zeros_like(state.t), jnp.int32(0)
    tab = config.tableau
    known = (tab.adaptive, tab.adaptive, tab.stiffness_stages is not None)
    return Totals(*(Total(zero, first) if k else None for k in known))


def _add(config: Config, totals: Totals, found: Attempt, step: jax.Array) -> Totals:
    def one(total: Total | None, term: jax.Array | None) -> Total | None:
        if total is None or term is None:
            return None
        if config.reduction == "max":
            larger = found.accept & (term > total.value)
            return Total(jnp.where(larger, term, total.value), jnp.where(larger, step, total.step))
        return Total(total.value + jnp.where(found.accept, term, 0.0), total.step)

    return Totals(*(one(a, b) for a, b in zip(totals, found.terms, strict=True)))


def _reduce(config: Config, totals: Totals, final: State) -> Totals:
    if config.reduction != "mean":
        return totals
    steps = jnp.maximum(final.accepted, 1).astype(final.y.dtype)
    return Totals(*(None if t is None else t._replace(value=t.value / steps) for t in totals))


def _saves(config: Config, record: Record, final: State, ops: Operands) -> jax.Array:
    """The solution at the save times; NaN after a breakdown."""
    ys = final.y[None]
    if record.dense is not None:
        dense = dense_rows(record, final)
        ys = jnp.concatenate([interior_saves(dense, final, ops, repeats=config.repeats), ys])
    return jnp.where(final.status == CODES["ok"], ys, jnp.nan)


def dense_rows(record: Record, final: State) -> DenseRow:
    """The rows of dense output, unpacked."""
    assert record.dense is not None
    width = record.dense.shape[1] - 2 - final.y.size
    degree = width // final.y.size
    coefficients = jnp.zeros((degree, *final.y.shape), final.y.dtype)
    like = DenseRow(final.t, final.h, final.y, coefficients)
    return jax.vmap(lambda flat: loops.unpack(flat, like))(record.dense[:-1])


def interior_saves(dense: DenseRow, final: State, ops: Operands, *, repeats: bool) -> jax.Array:
    """The solution at all save times but the last."""
    save_at = ops.save_at[:-1]
    ys = evaluate(dense, final.save_row, save_at)
    if not repeats:
        return ys
    return jax.vmap(jnp.where, in_axes=(0, None, 0))(save_at >= ops.stops.end, final.y, ys)


def end_cotangent(config: Config, ops: Operands, dys: jax.Array) -> jax.Array:
    """The cotangent of the last state: of the last save, and of others at the same time."""
    if not config.repeats:
        return dys[-1]
    return jnp.tensordot(jnp.asarray(ops.save_at >= ops.stops.end, dys.dtype), dys, axes=1)


def replay_window(
    config: Config, record: Record, window: jax.Array, like: State, ops: Operands
) -> jax.Array:
    """The rows of an earlier window, by taking its steps again."""
    assert record.starts is not None
    assert record.sizes is not None
    state = loops.unpack(loops.read(record.starts, window), like)
    rows = jnp.zeros_like(record.rows)
    first = state.accepted

    def turn(state: State, operands: Tree) -> Tree:
        ops, sizes, first = operands
        size = loops.read(sizes, state.accepted - first)
        given = None if config.given_steps else _given_step(config, size, state, first)
        found = attempt(config, state, ops, given=given, dense=False)
        row = (state.accepted - first, loops.pack(found.row, state.y.dtype))
        return found.state, (row,)

    def active(state: State, operands: Tree) -> jax.Array:
        return state.accepted - operands[2] < config.window

    operands = (ops, loops.read(record.sizes, window), first)
    _, (rows,) = loops.while_recording(active, turn, state, (rows,), operands)
    return rows
