"""One attempt: a step is tried, and accepted or rejected."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.acceptance import Step, control_error, status_after, step_terms, term_inputs
from ..steps.step_size import SMALLEST_ERROR
from .config import Config
from .control import Control, Reach, Recorded, control_of, reach_of_recorded, status_of_given
from .events.detection import Looked, after_look, look_where
from .pass_stop import pass_stop
from .phases import present_phase, switched
from .saves import count_saves, dense_of_step
from .sides import time_limits
from .state import Attempt, DenseRow, Operands, Row, State, Trial
from .stepping import take


class Verdict(NamedTuple):
    """What was found of an attempt.

    ``passes`` says whether it goes beyond a stop, ``has_save`` whether a save lies on it, and
    ``saved`` how many lie before its end.
    """

    error: jax.Array
    accept: jax.Array
    passes: jax.Array
    has_save: jax.Array
    saved: jax.Array


def attempt(
    config: Config,
    state: State,
    ops: Operands,
    *,
    recorded: Recorded | None = None,
    dense: bool = True,
) -> Attempt:
    """Try one step, and accept or reject it.

    Parameters
    ----------
    config, state, ops
    recorded : tuple of array, optional
        The step size to take and whether it reaches the next stop, where that is known.
    dense : bool
        Whether dense output is wanted for the saves on this step.
    """
    control = control_of(config)
    state = state if config.through_step_size else _hold(state)
    if state.events is not None:
        ops = ops._replace(stops=state.events.stops)
    reach = _reach(control, state, ops, recorded)
    trial = _trial(config, state, ops, reach)
    step = take(config, trial, ops)
    error = _error(config, state, trial, step, ops)
    accept = error <= 1 if recorded is None else jnp.bool_(True)
    looked = _look(config, state, trial, reach, step, accept, ops)
    if looked is not None:
        # The step is taken again, up to the event.
        accept = accept & ~looked.happens
    has_save, saved = count_saves(state, ops, accept, trial.t1)
    verdict = Verdict(error, accept, accept & reach.stop, has_save, saved)
    dense_row, y_end = _dense_output(config, trial, step, verdict, ops, dense=dense)
    at_end = pass_stop(config, state, ops, verdict.passes, trial.t1, y_end, step.slope)
    row = _row(config, state, trial, reach, verdict)
    following = _next_state(control, state, trial, reach, step, verdict, at_end, ops)
    status = _status(config, state, following, reach, step, verdict, ops)
    if looked is not None:
        following, told = after_look(config, state, following, looked, verdict.passes, y_end, ops)
        status = jnp.where(told >= 0, told, status)
    inputs = term_inputs(config.tableau, step, state.y, config.error_norm)
    terms = step_terms(inputs, trial.h, ops.rtol, ops.atol)
    return Attempt(following._replace(status=status), accept, error, row, dense_row, terms, y_end)


def _hold(state: State) -> State:
    """No derivative flows through time, step size and controller."""
    t, h, previous = lax.stop_gradient((state.t, state.h, state.previous_error))
    return state._replace(t=t, h=h, previous_error=previous)


def _reach(control: Control, state: State, ops: Operands, recorded: Recorded | None) -> Reach:
    if recorded is None:
        return control.reach(state, ops)
    return reach_of_recorded(state, ops, recorded)


def _trial(config: Config, state: State, ops: Operands, reach: Reach) -> Trial:
    """The step to try."""
    t, h = reach.t, reach.h
    limits = time_limits(config, state.stop, ops)
    t1 = jnp.where(reach.stop, ops.stops.times[state.stop], t + h)
    if ops.limit is not None:
        t1 = jnp.where(reach.limit, ops.limit, t1)
    phase = state.phase if state.radius is None else present_phase(state.phase, h * state.radius)
    return Trial(t, state.y, h, t1, state.slope, limits, phase)


def _error(config: Config, state: State, trial: Trial, step: Step, ops: Operands) -> jax.Array:
    """The norm that decides."""
    error = control_error(
        config.tableau,
        step,
        state.y,
        trial.h,
        ops.rtol,
        ops.atol,
        trial.h < state.h,
        controlled=config.controlled,
        components=config.components,
    )
    return error if config.through_step_size else lax.stop_gradient(error)


def _look(
    config: Config,
    state: State,
    trial: Trial,
    reach: Reach,
    step: Step,
    accept: jax.Array,
    ops: Operands,
) -> Looked | None:
    """What events there are on the step; on one that reaches an event they are known."""
    if state.events is None:
        return None
    known = reach.stop & config.events.stop_map.is_event(ops.stops.jumps[state.stop])
    wanted = accept & ~known
    coefficients = dense_of_step(config, ops, wanted, trial, step.stages)
    return look_where(config, wanted, trial, coefficients, state, ops)


def _dense_output(
    config: Config, trial: Trial, step: Step, verdict: Verdict, ops: Operands, *, dense: bool
) -> tuple[DenseRow | None, jax.Array]:
    """Dense output where it is wanted, and the state at the end of the step."""
    wanted = verdict.has_save if config.on_accept is None else verdict.accept
    if config.on_accept is None and not (dense and ops.save_at.shape[0] > 1):
        return None, step.y1
    coefficients = dense_of_step(config, ops, wanted, trial, step.stages)
    row = DenseRow(trial.t, trial.h, trial.y, coefficients)
    if config.on_accept is None:
        return row, step.y1
    params = (ops.params, ops.constants)
    return row, config.on_accept(trial.t, trial.h, trial.y, coefficients, step.y1, params)


def _row(config: Config, state: State, trial: Trial, reach: Reach, verdict: Verdict) -> Row:
    """What a record keeps of the step."""
    return Row(
        t=trial.t,
        h=trial.h,
        save_row=jnp.where(verdict.has_save, state.save_row, jnp.int32(-1)),
        stop=state.stop,
        reaches=reach.stop,
        y=state.y,
        slope=state.slope if config.solver.keeps_slopes else None,
        phase=None if state.radius is None else trial.phase,
    )


def _next_state(
    control: Control,
    state: State,
    trial: Trial,
    reach: Reach,
    step: Step,
    verdict: Verdict,
    at_end: tuple[jax.Array, jax.Array],
    ops: Operands,
) -> State:
    """The state before the next attempt, its status still to be found."""
    accept, error, one = verdict.accept, verdict.error, jnp.int32(1)
    reached = accept & (reach.stop | reach.limit)
    solves = jnp.int32(0) if step.linear_solves is None else step.linear_solves
    following = State(
        t=jnp.where(accept, trial.t1, state.t),
        y=jnp.where(accept, at_end[0], state.y),
        slope=jnp.where(accept, at_end[1], state.slope),
        h=control.next_size(state, trial.h, error, reached, ops),
        previous_error=jnp.where(accept, jnp.maximum(error, SMALLEST_ERROR), state.previous_error),
        stop=jnp.where(verdict.passes, jnp.minimum(state.stop + one, ops.stops.last), state.stop),
        saved=jnp.where(accept, verdict.saved, state.saved),
        save_row=state.save_row + jnp.int32(verdict.has_save),
        accepted=state.accepted + jnp.int32(accept),
        attempts=state.attempts + one,
        linear_solves=state.linear_solves + solves,
        phase=state.phase,
        radius=state.radius,
        status=state.status,
        events=state.events,
    )
    return switched(following, state, trial, step, accept)


def _status(
    config: Config,
    state: State,
    following: State,
    reach: Reach,
    step: Step,
    verdict: Verdict,
    ops: Operands,
) -> jax.Array:
    """How the solve stands after the attempt."""
    finished = verdict.passes & (state.stop == ops.stops.last)
    if config.given_steps:
        assert ops.steps is not None
        finished = following.attempts >= ops.steps.taken * ops.steps.pieces
    status = status_after(
        following.t,
        following.h,
        following.attempts,
        config.max_steps,
        verdict.error,
        verdict.accept,
        finished,
        step.failure,
        controlled=config.controlled,
    )
    if not config.given_steps:
        return status
    return status_of_given(state, following, reach, finished, status, ops)
