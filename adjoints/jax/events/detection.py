"""Events found while a solve goes on: each becomes a stop, to which the step is taken again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ...events.location import PIECES, Located, armed, bracketed, located, resolution_of
from ...events.when_event import WhenEvent
from ...steps.acceptance import CODES, RUNNING
from ...steps.runge_kutta import dense_value
from ..config import Config
from ..sides import clipper
from ..state import EventState, Operands, State, StopArrays, Trial
from .stop_map import StopMap

Tree = Any


@dataclass(frozen=True)
class Detection:
    """What is looked for on every step. Static.

    Attributes
    ----------
    stop_map : StopMap
        Of the same events.
    room : int
        How many there may be.
    held : bool
        Whether they are among the stops already, and nothing is looked for.
    """

    stop_map: StopMap
    room: int
    held: bool = False

    @property
    def events(self) -> tuple[WhenEvent, ...]:
        """The events."""
        return self.stop_map.events

    def values(self, t: jax.Array, y: jax.Array, params: Tree) -> jax.Array:
        """The values of all events, shape ``(E,)``."""
        return jnp.stack([event.when(t, y, params) for event in self.events])


class Looked(NamedTuple):
    """What was found on a step, and what it makes of the stops."""

    happens: jax.Array
    events: EventState
    status: jax.Array


def with_room(stops: StopArrays, room: int) -> StopArrays:
    """The stops with room for so many more before the end."""
    end, width = stops.end, stops.jumps.shape[1]
    return stops._replace(
        times=jnp.concatenate([stops.times, jnp.broadcast_to(end, room)]),
        sided=jnp.concatenate([stops.sided, jnp.zeros(room, bool)]),
        jumps=jnp.concatenate([stops.jumps, jnp.full((room, width), -1, jnp.int32)]),
    )


def events_at_start(
    detection: Detection | None, stops: StopArrays, t: jax.Array, y: jax.Array, ops: Operands
) -> EventState | None:
    """Before the first step; ``None`` where nothing is looked for."""
    if detection is None or detection.held:
        return None
    stops = with_room(stops, detection.room)
    signs = signs_at(detection, stops, t, y, ops)
    return EventState(stops, signs, jnp.int32(0))


def signs_at(
    detection: Detection, stops: StopArrays, t: jax.Array, y: jax.Array, ops: Operands
) -> jax.Array:
    """The signs that change at the next events, from a state behind a stop."""
    t, y, ops = lax.stop_gradient((t, y, ops))
    params = (ops.params, ops.constants)
    slope = detection.stop_map.sides(t, params).behind(t, y)

    def along(t: jax.Array, y: jax.Array) -> jax.Array:
        return detection.values(t, y, params)

    values, slopes = jax.jvp(along, (t, y), (jnp.ones_like(t), slope))
    return armed(values, slopes, resolution_of(t, stops.end))


def _signs_behind(
    detection: Detection,
    which: jax.Array,
    t: jax.Array,
    ys: tuple[jax.Array, jax.Array],
    stops: StopArrays,
    ops: Operands,
) -> tuple[jax.Array, jax.Array]:
    """The signs behind a stop, from the states before it and behind it, and where they are taken.

    Those of an event where it really was: at the time that is held its value need not be zero to
    rounding.
    """
    stop_map = detection.stop_map

    def really(t: jax.Array, ys: Any, params: Tree) -> tuple[jax.Array, jax.Array]:
        passed = stop_map.passed(which, t, ys[0], params)
        return passed.time, passed.after

    def declared(t: jax.Array, ys: Any, params: Tree) -> tuple[jax.Array, jax.Array]:
        return t, ys[1]

    params = (ops.params, ops.constants)
    time, y = lax.cond(stop_map.is_event(which), really, declared, t, ys, params)
    return signs_at(detection, stops, time, y, ops), time


@dataclass(frozen=True)
class StepPath:
    """The values of events along the dense output of a step."""

    detection: Detection
    trial: Trial
    coefficients: jax.Array
    ops: Operands

    def _at(self, fraction: jax.Array) -> tuple[jax.Array, jax.Array]:
        t, y, h = self.trial.t, self.trial.y, self.trial.h
        clip = clipper(self.trial.limits)
        return clip(t + fraction * h), dense_value(self.coefficients, y, h, fraction)

    @property
    def _params(self) -> Tree:
        return self.ops.params, self.ops.constants

    def with_slopes(self, fractions: Any) -> tuple[jax.Array, jax.Array]:
        """Values and slopes by the fraction."""

        def values(fraction: jax.Array) -> jax.Array:
            return self.detection.values(*self._at(fraction), self._params)

        def both(fraction: jax.Array) -> tuple[jax.Array, jax.Array]:
            return jax.jvp(values, (fraction,), (jnp.ones_like(fraction),))

        return jax.vmap(both)(jnp.asarray(fractions, self.trial.t.dtype))

    def values(self, fractions: jax.Array) -> jax.Array:
        """Values, each event at its own fraction."""

        def one(event: WhenEvent, fraction: jax.Array) -> jax.Array:
            return event.when(*self._at(fraction), self._params)

        columns = [
            jax.vmap(lambda x, event=event: one(event, x))(fractions[:, i])
            for i, event in enumerate(self.detection.events)
        ]
        return jnp.stack(columns, axis=1)

    def spreads(self, fractions: jax.Array) -> jax.Array:
        """By how much the tolerance moves each value."""
        parts = []
        for i, event in enumerate(self.detection.events):
            t, y = self._at(fractions[i])
            slope = jax.grad(event.when, argnums=1)(t, y, self._params)
            scale = self.ops.atol + self.ops.rtol * jnp.abs(y)
            parts.append(jnp.sum(jnp.abs(slope) * scale))
        return jnp.stack(parts)


def look_where(
    config: Config,
    wanted: jax.Array,
    trial: Trial,
    coefficients: jax.Array,
    state: State,
    ops: Operands,
) -> Looked:
    """:func:`look` where it is `wanted`; else nothing is found."""
    events = state.events
    assert events is not None

    def some(*given: Any) -> Looked:
        return look(config.events, *given)

    def none(trial: Trial, coefficients: jax.Array, events: EventState, *rest: Any) -> Looked:
        del trial, coefficients, rest
        return Looked(jnp.bool_(False), events, jnp.int32(RUNNING))

    held = lax.stop_gradient((trial, coefficients, events, state.stop, ops))
    return config.choose(wanted, some, none, *held)


def after_look(
    config: Config,
    state: State,
    following: State,
    looked: Looked,
    passes: jax.Array,
    before: jax.Array,
    ops: Operands,
) -> tuple[State, jax.Array]:
    """The state before the next attempt, with what was found of events, and the status by them.

    `before` is the state before the stop that the step `passes`, if it does.
    """
    events = looked.events

    def anew(which: Any, t: Any, ys: Any, stops: StopArrays, ops: Operands, _: Any) -> Tree:
        return _signs_behind(config.events, which, t, ys, stops, ops)

    def same(which: Any, t: Any, ys: Any, stops: Any, ops: Any, signs: jax.Array) -> Tree:
        del which, ys, stops, ops
        return signs, t

    which = ops.stops.jumps[state.stop]
    held = (which, following.t, (before, following.y), events.stops, ops)
    signs, time = config.choose(passes, anew, same, *lax.stop_gradient(held), events.signs)
    # Where its value hardly changes, an event need not be where it was located.
    strayed = jnp.abs(time - following.t) > (following.t - state.t) / PIECES
    status = jnp.where(strayed, CODES["event"], looked.status).astype(jnp.int32)
    following = following._replace(
        h=jnp.where(looked.happens, state.h, following.h),
        events=events._replace(signs=signs),
    )
    return following, status


def look(
    detection: Detection,
    trial: Trial,
    coefficients: jax.Array,
    events: EventState,
    stop: jax.Array,
    ops: Operands,
) -> Looked:
    """Look for the first event of an accepted step, and make a stop of it.

    Parameters
    ----------
    detection : Detection
    trial : Trial
        The step.
    coefficients : array
        Its dense output.
    events : EventState
        What is known of events.
    stop : array
        The number of the next stop.
    ops : Operands
    """
    path = StepPath(detection, trial, coefficients, ops)
    directions = jnp.array([e.direction for e in detection.events], trial.t.dtype)
    resolution = resolution_of(trial.t, events.stops.end) / trial.h
    bracket = bracketed(path, events.signs, directions, resolution)

    def find(bracket: Tree) -> Located:
        found = located(path, bracket, resolution, _repeat)
        return found._replace(which=found.which.astype(jnp.int32))

    def none(bracket: Tree) -> Located:
        false = jnp.bool_(False)
        infinite = jnp.full_like(trial.t, jnp.inf)
        return Located(false, jnp.int32(0), infinite, false, bracket.signs)

    wanted = bracket.crosses.any() | jnp.isfinite(bracket.touches).any()
    found = lax.cond(wanted, find, none, bracket)
    t = jnp.minimum(trial.t + found.fraction * trial.h, trial.t1)
    undefined = found.undefined | (
        found.happens & _collides(detection, found, t, trial, events, stop, ops)
    )
    full = found.happens & (events.number >= detection.room)
    status = jnp.where(full, CODES["max_events"], RUNNING)
    status = jnp.where(undefined, CODES["event"], status).astype(jnp.int32)
    # Most steps have none, and their stops stay where they are.
    stops = lax.cond(
        found.happens,
        lambda stops: _inserted(detection, stops, stop, t, found.which),
        lambda stops: stops,
        events.stops,
    )
    signs = jnp.where(found.happens, events.signs, found.signs)
    return Looked(
        found.happens, EventState(stops, signs, events.number + jnp.int32(found.happens)), status
    )


def _repeat(times: int, turn: Any, carry: Tree) -> Tree:
    return lax.fori_loop(0, times, lambda i, carry: turn(carry), carry)


def _collides(
    detection: Detection,
    found: Located,
    t: jax.Array,
    trial: Trial,
    events: EventState,
    stop: jax.Array,
    ops: Operands,
) -> jax.Array:
    """Whether an event lies at the start of its step, at a stop, or at a save that sees it."""
    resolution = resolution_of(trial.t, events.stops.end)
    changes = jnp.array([event.changes for event in detection.events])[found.which]
    at_stop = t >= events.stops.times[stop] - resolution
    at_start = t <= trial.t + resolution
    at_save = (jnp.abs(ops.save_at - t) <= resolution).any()
    return at_stop | at_start | (changes & at_save)


def _inserted(
    detection: Detection, stops: StopArrays, at: jax.Array, t: jax.Array, which: jax.Array
) -> StopArrays:
    """The stops with that of an event before number `at`, which becomes the end if it is one."""
    number = jnp.arange(stops.times.shape[0], dtype=jnp.int32)
    width = stops.jumps.shape[1]
    code = (which + detection.stop_map.declared).astype(jnp.int32)
    row = jnp.concatenate([code[None], jnp.full(width - 1, -1, jnp.int32)])

    def put(old: jax.Array, new: jax.Array) -> jax.Array:
        index = number.reshape(-1, *(1,) * (old.ndim - 1))
        moved = jnp.roll(old, 1, axis=0)
        return jnp.where(index < at, old, jnp.where(index == at, new, moved))

    terminal = jnp.array([event.terminal for event in detection.events])[which]
    return StopArrays(
        times=put(stops.times, t),
        first=stops.first,
        last=jnp.where(terminal, at, stops.last + 1).astype(jnp.int32),
        sided=put(stops.sided, jnp.bool_(True)),
        jumps=put(stops.jumps, row),
    )
