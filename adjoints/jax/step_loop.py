"""The adaptive loop: attempts, stops, saves, and the record of accepted steps.

Everything a reverse pass needs is in the record. The last ``window`` accepted steps are kept
as they are; of earlier windows only the first state is kept, and the step sizes. So that two
bytes a step are enough for them, the controller only proposes step sizes with eight significant
bits: a step size matters to half a percent at most, but to take a step again it must be exact,
and computing it again from a recomputed error would not give it to the last digit.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.error_test import (
    CODES,
    FIXED_STEPS,
    RUNNING,
    Step,
    control_error,
    given_step_fits,
    given_step_slack,
    next_size,
    status_after,
    step_terms,
    stretch_of,
)
from ..steps.runge_kutta import error_scale
from ..steps.step_size import SMALLEST_ERROR, first_step
from . import loops
from .saves import count_saves, dense_of_step
from .state import Attempt, Config, DenseRow, Operands, Row, State
from .stepping import Limits, clipper, start_radius, take
from .switching import is_implicit, next_phase, present_phase

Tree = Any


def start(config: Config, y0: jax.Array, ops: Operands) -> State:
    """The state before the first attempt; the right-hand side is evaluated once or twice."""
    clip = clipper(time_limits(config, ops.stops.first, ops))
    slope = config.rhs(clip(ops.t0), y0, (ops.params, ops.constants))
    zero = jnp.int32(0)
    finite = jnp.isfinite(slope).all() & jnp.isfinite(y0).all()
    status = jnp.where(finite, RUNNING, CODES["nonfinite"])
    if ops.sound is not None:
        status = jnp.where(ops.sound, status, CODES["failed"])
    return State(
        t=ops.t0,
        y=y0,
        slope=slope,
        h=_first_step(config, y0, slope, ops),
        previous_error=jnp.full_like(ops.t0, SMALLEST_ERROR),
        stop=ops.stops.first,
        saved=zero,
        save_row=zero,
        accepted=zero,
        attempts=zero,
        linear_solves=zero,
        phase=zero,
        radius=start_radius(config, clip(ops.t0), y0, ops) if config.switches else None,
        status=status.astype(jnp.int32),
    )


def _first_step(config: Config, y0: jax.Array, slope: jax.Array, ops: Operands) -> jax.Array:
    span = ops.stops.times[ops.stops.first] - ops.t0
    if config.given_steps:
        return span
    if ops.first_step is not None:
        return ops.first_step.astype(ops.t0.dtype)
    if not config.tableau.adaptive:
        return (ops.stops.end - ops.t0) / FIXED_STEPS
    n = config.components
    scale = error_scale(y0, y0, ops.rtol, ops.atol)
    part = (y0[:n], slope[:n], scale[:n]) if n is not None else (y0, slope, scale)

    def rhs(t: jax.Array, y: jax.Array, params: Tree) -> jax.Array:
        full = y if n is None else jnp.concatenate([y, y0[n:]])
        return config.rhs(t, full, params)[:n] if n is not None else config.rhs(t, full, params)

    params = (ops.params, ops.constants)
    order = config.tableau.error_order
    return first_step(rhs, ops.t0, part[0], part[1], params, part[2], span, order)


def running(state: State, ops: Operands) -> jax.Array:
    """Whether another attempt is to be made."""
    go = state.status == RUNNING
    return go if ops.limit is None else go & (state.t < ops.limit)


def attempt(
    config: Config,
    state: State,
    ops: Operands,
    *,
    given: tuple[jax.Array, jax.Array] | None = None,
    dense: bool = True,
) -> Attempt:
    """Try one step, and accept or reject it.

    Parameters
    ----------
    config, state, ops
    given : tuple of array, optional
        The step size to take and whether it reaches the next stop, where that is known.
    dense : bool
        Whether dense output is wanted for the saves on this step.
    """
    params = (ops.params, ops.constants)
    if not config.through_step_size:
        frozen = (state.t, state.h, state.previous_error)
        t, h, previous = lax.stop_gradient(frozen)
        state = state._replace(t=t, h=h, previous_error=previous)
    t, h, reaches, pauses = reach(config, state, ops, given)
    limits = time_limits(config, state.stop, ops)
    t1 = jnp.where(reaches, ops.stops.times[state.stop], t + h)
    if ops.limit is not None:
        t1 = jnp.where(pauses, ops.limit, t1)
    phase = state.phase if state.radius is None else present_phase(state.phase, h * state.radius)
    step = take(config, t, state.y, h, t1, state.slope, ops, limits, phase)
    y1 = step.y1
    error = control_error(
        config.tableau,
        step,
        state.y,
        h,
        ops.rtol,
        ops.atol,
        h < state.h,
        controlled=config.controlled,
        components=config.components,
    )
    if not config.through_step_size:
        error = lax.stop_gradient(error)
    accept = error <= 1 if given is None else jnp.bool_(True)
    has_save, saved = count_saves(state, ops, accept, t1)
    wants_dense = has_save if config.on_accept is None else accept
    dense_row, y_end = None, y1
    if (dense and ops.save_at.shape[0] > 1) or config.on_accept is not None:
        coefficients = dense_of_step(config, ops, wants_dense, t, state.y, h, step.stages, limits)
        dense_row = DenseRow(t, h, state.y, coefficients)
        if config.on_accept is not None:
            y_end = config.on_accept(t, h, state.y, coefficients, y1, params)
    y_next, slope_next = _pass_stop(config, state, ops, accept & reaches, t1, y_end, step.slope)
    none = jnp.int32(-1)
    row = Row(
        t=t,
        h=h,
        save_row=jnp.where(has_save, state.save_row, none),
        stop=state.stop,
        reaches=reaches,
        y=state.y,
        slope=state.slope if config.keeps_slopes else None,
        phase=phase if config.switches else None,
    )
    last = ops.stops.last
    one = jnp.int32(1)
    following = State(
        t=jnp.where(accept, t1, state.t),
        y=jnp.where(accept, y_next, state.y),
        slope=jnp.where(accept, slope_next, state.slope),
        h=_next_step(config, state, h, error, accept & (reaches | pauses)),
        previous_error=jnp.where(accept, jnp.maximum(error, SMALLEST_ERROR), state.previous_error),
        stop=jnp.where(accept & reaches, jnp.minimum(state.stop + one, last), state.stop),
        saved=jnp.where(accept, saved, state.saved),
        save_row=state.save_row + jnp.int32(has_save),
        accepted=state.accepted + jnp.int32(accept),
        attempts=state.attempts + one,
        linear_solves=state.linear_solves
        + (jnp.int32(0) if step.linear_solves is None else step.linear_solves),
        phase=state.phase,
        radius=state.radius,
        status=state.status,
    )
    if config.switches:
        following = _switch(following, state, step, h, phase, accept)
    finished = accept & reaches & (state.stop == last)
    if config.given_steps:
        assert ops.steps is not None
        finished = following.attempts >= ops.steps[0].shape[0]
    status = status_after(
        following.t,
        following.h,
        following.attempts,
        config.max_steps,
        error,
        accept,
        finished,
        step.failure,
        controlled=config.controlled,
    )
    if config.given_steps:
        fits = given_step_fits(t, h, state.t, ops.stops.times[state.stop])
        arrives = ~finished | (following.t >= ops.stops.end)
        status = jnp.where(fits & arrives, status, jnp.int32(CODES["failed"]))
    terms = step_terms(config.tableau, step, state.y, h, ops.rtol, ops.atol, config.error_norm)
    return Attempt(following._replace(status=status), accept, error, row, dense_row, terms, y_end)


def _switch(
    following: State, state: State, step: Step, h: jax.Array, phase: jax.Array, accept: jax.Array
) -> State:
    """How a solver that switches goes on; a rejected step, which is never taken again, is no sign.

    Parameters
    ----------
    following, state : State
        After and before the attempt.
    step, h
        What was tried.
    phase : array
        In which it was tried.
    accept : array
    """
    assert step.radius is not None
    assert state.radius is not None
    return following._replace(
        phase=jnp.where(accept, next_phase(phase, step.radius * h), state.phase),
        radius=jnp.where(accept & is_implicit(phase), step.radius, state.radius),
    )


def reach(
    config: Config,
    state: State,
    ops: Operands,
    given: tuple[jax.Array, jax.Array] | None,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Start and size of the step to try; whether it ends on the next stop, or on the limit."""
    stop = ops.stops.times[state.stop]
    if config.given_steps:
        assert ops.steps is not None
        t, h = (given[state.attempts] for given in ops.steps)
        t = jnp.where(h == 0, state.t, t)
        reaches = (h != 0) & (t + h >= stop - given_step_slack(t, h, stop))
        return t, h, reaches, jnp.bool_(False)
    if given is not None:
        h, reaches = given
        return state.t, jnp.where(reaches, stop - state.t, h), reaches, jnp.bool_(False)
    stretch = stretch_of(config.tableau)
    end = stop if ops.limit is None else jnp.minimum(stop, ops.limit)
    ends = state.t + stretch * state.h >= end
    h = jnp.where(ends, end - state.t, state.h)
    if ops.limit is None:
        return state.t, h, ends, jnp.bool_(False)
    return state.t, h, ends & (stop <= ops.limit), ends & (ops.limit <= stop)


def time_limits(config: Config, stop: jax.Array, ops: Operands) -> Limits:
    """The interval on this side of the last stop and of the next, number `stop`.

    ``None`` where the right-hand side is smooth everywhere.
    """
    if not config.breaks:
        return None
    infinity = jnp.full_like(ops.t0, jnp.inf)
    times, sided = ops.stops.times, ops.stops.sided
    previous = jnp.maximum(stop - 1, 0)
    before = jnp.where((stop > 0) & sided[previous], times[previous], -infinity)
    after = jnp.where(sided[stop], times[stop], infinity)
    return jnp.nextafter(before, infinity), jnp.nextafter(after, -infinity)


def _pass_stop(
    config: Config,
    state: State,
    ops: Operands,
    passes: jax.Array,
    t1: jax.Array,
    y1: jax.Array,
    slope: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """State and slope just after a stop, where the step passes one."""
    params = (ops.params, ops.constants)
    on_stop = config.on_stop
    choose = lax.cond if config.plain else loops.cond_any
    next_stop = jnp.minimum(state.stop + 1, ops.stops.last)
    after = y1
    if on_stop is not None:
        after = choose(
            passes,
            lambda which, t, y, p: on_stop(which, t, y, p),
            lambda which, t, y, p: y,
            *(ops.stops.jumps[state.stop], t1, y1, params),
        )
    if on_stop is None and not config.breaks:
        return after, slope
    sides = (time_limits(config, at, ops) for at in (state.stop, next_stop))
    before_clip, after_clip = map(clipper, sides)

    def renewed(before: Any, later: Any, y1: Any, after: Any, slope: Any, p: Tree) -> jax.Array:
        fresh = config.rhs(later, after, p)
        if not config.keeps_slopes:
            return fresh
        # The slope of a diagonally implicit step is not quite that at its state: what a stiff
        # equation makes of the difference would be taken for an error of the next step.
        return slope + (fresh - config.rhs(before, y1, p))

    slope = choose(
        passes,
        renewed,
        lambda before, later, y1, after, slope, p: slope,
        *(before_clip(t1), after_clip(t1), y1, after, slope, params),
    )
    return after, slope


def _next_step(
    config: Config, state: State, h: jax.Array, error: jax.Array, reached: jax.Array
) -> jax.Array:
    """The step size to try next; one cut short by a stop does not shrink what follows."""
    if not config.controlled:
        return state.h
    proposal = next_size(config.tableau, h, state.h, error, state.previous_error, reached)
    return proposal if config.through_step_size else short(proposal)


def short(h: jax.Array) -> jax.Array:
    """The step size to eight significant bits."""
    return h.astype(jnp.bfloat16).astype(h.dtype)
