"""The loop over attempts: each accepted or rejected by its error, and recorded."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ...steps.acceptance import CODES, RUNNING, Terms
from ...steps.runge_kutta import error_scale
from ...steps.step_size import SMALLEST_ERROR
from ...steps.stochastic_step import (
    StochasticStep,
    first_stochastic_step,
    stochastic_error,
    stochastic_step,
    stochastic_terms,
)
from .. import control_flow, storage
from ..totals import Totals, add_terms, no_terms, reduced
from .config import ADAPTIVE, GIVEN, Config, Operands, Row, State
from .control import increment_of, next_error, next_size, step_from, times_of

Tree = Any


class Solved(NamedTuple):
    """A finished solve.

    ``states`` are those at the start of the accepted steps of the last window, ``firsts`` the
    first ones of all windows; ``None`` where no reverse pass needs them.
    """

    ys: jax.Array
    final: State
    totals: Totals
    rows: Row
    states: jax.Array | None
    firsts: jax.Array | None


def take(
    config: Config, row: Row, y: jax.Array, params: Tree, ops: Operands
) -> tuple[StochasticStep, jax.Array]:
    """A step, tried or taken again, and its size."""
    t, h = times_of(row, ops)
    step = stochastic_step(
        config.drift,
        config.diffusion,
        config.tableau,
        t,
        y,
        h,
        increment_of(config, row, ops),
        (params, ops.constants),
    )
    return step, h


def terms_of(
    config: Config, step: StochasticStep, y: jax.Array, h: jax.Array, ops: Operands
) -> Terms:
    """What a step adds to the regularisers."""
    return stochastic_terms(step, y, h, ops.rtol, ops.atol, config.error_norm)


def solve_recording(config: Config, y0: jax.Array, ops: Operands, *, keep_states: bool) -> Solved:
    """Solve; with the states that a reverse pass needs, if they are to be kept."""
    state = _start(config, y0, ops)
    tableau = config.tableau
    known = (True, True, tableau.stiffness_stages is not None)
    carry = (state, no_terms(known, jnp.zeros_like(state.at)))
    rows = storage.buffer(config.max_steps, Row(state.interval, state.at, state.at))
    buffers = (storage.buffer(ops.ends.shape[0], y0), rows)
    if keep_states:
        states = min(config.window, config.max_steps)
        kept = (states, config.windows)
        buffers += tuple(storage.buffer(count, y0, beside=y0) for count in kept)

    def turn(carry: Tree, ops: Operands) -> Tree:
        return _attempt(config, carry, ops, buffers)

    def active(carry: Tree, ops: Operands) -> jax.Array:
        return carry[0].status == RUNNING

    (final, totals), (ys, rows, *kept) = control_flow.while_recording(
        active, turn, carry, buffers, ops, plain=config.adjoint == "forward"
    )
    ys = jnp.where(final.status == CODES["ok"], ys[:-1], jnp.nan)
    totals = reduced(config.reduction, totals, final.accepted)
    rows = jax.tree.map(lambda leaf: leaf[:-1], rows)
    return Solved(ys, final, totals, rows, *(kept or (None, None)))


def _start(config: Config, y0: jax.Array, ops: Operands) -> State:
    zero, t0 = jnp.int32(0), ops.starts[0]
    params = (ops.params, ops.constants)
    drift, diffusion = config.drift(t0, y0, params), config.diffusion(t0, y0, params)
    if ops.size is not None:
        size = ops.size
    else:
        scale = error_scale(y0, y0, ops.rtol, ops.atol)
        size = first_stochastic_step(y0, drift, diffusion, scale, ops.ends[-1] - t0)
    finite = jnp.isfinite(y0).all() & jnp.isfinite(drift).all() & jnp.isfinite(diffusion).all()
    status = jnp.where(finite, RUNNING, CODES["nonfinite"])
    if ops.sound is not None:
        status = jnp.where(ops.sound, status, CODES["failed"])
    return State(
        interval=zero,
        at=jnp.zeros_like(t0),
        y=y0,
        size=lax.stop_gradient(size),
        previous_error=jnp.full_like(t0, SMALLEST_ERROR),
        accepted=zero,
        attempts=zero,
        passed=zero,
        status=status.astype(jnp.int32),
    )


def _attempt(
    config: Config, carry: tuple[State, Totals], ops: Operands, buffers: tuple[Tree, ...]
) -> tuple[Tree, Tree]:
    state, totals = carry
    row, fits = step_from(config, state, ops)
    step, h = take(config, row, state.y, ops.params, ops)
    if config.steps == ADAPTIVE:
        error = lax.stop_gradient(stochastic_error(step, state.y, ops.rtol, ops.atol))
    else:
        error = jnp.where(jnp.isfinite(step.y1).all(), 0.0, jnp.nan).astype(h.dtype)
    accept = error <= 1
    moves = accept & (row.end > row.start) & (h > 0)
    following = _following(config, state, row, step.y1, h, error, accept, fits, ops)
    terms = terms_of(config, step, state.y, h, ops)
    totals = add_terms(config.reduction, totals, moves, terms, state.accepted)
    arrives = accept & (row.end == 1)
    count = state.accepted
    writes = (
        (_where(arrives, state.interval, buffers[0]), step.y1),
        (_where(moves, count, buffers[1]), row),
    )
    if len(buffers) > 2:
        begins = moves & (count % config.window == 0)
        writes += (
            (_where(moves, count % config.window, buffers[2]), state.y),
            (_where(begins, count // config.window, buffers[3]), state.y),
        )
    return (following, totals), writes


def _where(wanted: jax.Array, index: jax.Array, buffer: Tree) -> jax.Array:
    return jnp.where(wanted, index, storage.spare_row(buffer))


def _following(
    config: Config,
    state: State,
    row: Row,
    y1: jax.Array,
    h: jax.Array,
    error: jax.Array,
    accept: jax.Array,
    fits: jax.Array,
    ops: Operands,
) -> State:
    arrives = accept & (row.end == 1)
    attempts = state.attempts + 1
    idle = arrives & (ops.ends[row.interval] == ops.starts[row.interval])
    moves = accept & (row.end > row.start) & (h > 0)
    passed = state.passed + idle.astype(jnp.int32)
    finished = arrives & (state.interval == ops.ends.shape[0] - 1)
    size = next_size(state, h, error, accept) if config.steps == ADAPTIVE else state.size
    return State(
        interval=jnp.minimum(state.interval + arrives.astype(jnp.int32), ops.ends.shape[0] - 1),
        at=jnp.where(arrives, 0, jnp.where(accept, row.end, state.at)),
        y=jnp.where(accept, y1, state.y),
        size=jnp.where(idle, state.size, size),
        previous_error=jnp.where(idle, state.previous_error, next_error(state, error, accept)),
        accepted=state.accepted + moves.astype(jnp.int32),
        attempts=attempts,
        passed=passed,
        status=_status(config, row, error, accept, fits, finished, attempts - passed),
    )


def _status(
    config: Config,
    row: Row,
    error: jax.Array,
    accept: jax.Array,
    fits: jax.Array,
    finished: jax.Array,
    taken: jax.Array,
) -> jax.Array:
    """How things stand after an attempt; a cell of the last level is not halved."""
    broken = ~jnp.isfinite(error)
    stuck = broken
    if config.steps == ADAPTIVE:
        stuck = ~accept & (row.end - row.start <= 2.0**-config.tree.levels)
    short = CODES["failed"] if config.steps == GIVEN else CODES["max_steps"]
    status = jnp.where(taken >= config.max_steps, short, RUNNING)
    status = jnp.where(finished, CODES["ok"], status)
    status = jnp.where(fits, status, CODES["failed"])
    reason = jnp.where(broken, CODES["nonfinite"], CODES["step_too_small"])
    return jnp.where(stuck, reason, status).astype(jnp.int32)
