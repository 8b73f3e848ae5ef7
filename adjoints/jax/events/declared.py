"""Declared times of a solve: known while tracing, or moving."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from ....problems import Problem
from ....problems.moving_times import moves
from ...events.when_event import WhenEvent
from ...mass.solvers import NOT_WITH_MASS
from ...steps.stops import Stops
from ..config import Config
from ..state import StopArrays
from ..times import find_stops, stop_arrays
from ..user_functions import EventJump, Threshold, UserFunctions, merge_named
from .detection import Detection
from .moving_stops import moving_stops
from .stop_map import ParameterTimes, ProblemTimes, StopMap

Times = tuple[Any, ...]


class Declared(NamedTuple):
    """Jump times and discontinuities in the direction of a solve.

    ``moving`` has all of them in one array where any of them is only known at run time or has a
    derivative: of jumps first.
    """

    jump_times: Times
    discontinuities: Times
    moving: jax.Array | None

    def stops(self, t0: Any, end: Any, dtype: Any) -> Stops:
        """The stops that are known while tracing."""
        if self.moving is not None:
            return find_stops((), (), t0, end, dtype)
        return find_stops(self.discontinuities, self.jump_times, t0, end, dtype)


def declared_times(jump_times: Times, discontinuities: Times, dtype: Any) -> Declared:
    """The declared times, told apart."""
    both = (*jump_times, *discontinuities)
    if not any(isinstance(time, Tracer) for time in both):
        return Declared(jump_times, discontinuities, None)
    moving = jnp.stack([jnp.asarray(time, dtype).reshape(()) for time in both])
    return Declared(jump_times, discontinuities, moving)


def with_events(config: Config, user: UserFunctions, declared: Declared, room: int) -> Config:
    """The configuration with what happens at stops that move, if any do."""
    if user.times is None and not user.events:
        return config
    jumps = len(declared.jump_times)
    moving = 0 if user.times is None else len(declared.discontinuities)
    stop_map = StopMap(
        rhs=user.rhs,
        jump=user.jump,
        jumps=jumps,
        times=None if user.times is None else ParameterTimes(user.times),
        declared=jumps + moving,
        events=user.events,
    )
    return moving_config(config, stop_map, room)


def with_problem_events(config: Config, problem: Problem) -> Config:
    """The same for a problem."""
    if not (problem.events or moves(problem)):
        return config
    jumps, moving = len(problem.jump_times), moves(problem)
    stop_map = StopMap(
        rhs=config.rhs,
        jump=config.on_stop,
        jumps=jumps,
        times=ProblemTimes(problem.jump_times, problem.discontinuities) if moving else None,
        declared=jumps + (len(problem.discontinuities) if moving else 0),
        events=tuple(
            WhenEvent.of(
                event,
                lambda when: Threshold(when, merge_named),
                lambda jump: EventJump(jump, merge_named),
            )
            for event in problem.events
        ),
    )
    return moving_config(config, stop_map, problem.max_events)


def moving_config(config: Config, stop_map: StopMap, room: int) -> Config:
    """The configuration with these stops; all steps in one window, as none is taken again.

    Raises
    ------
    ValueError
        With what does not combine with them.
    """
    if config.mass is not None:
        raise ValueError(NOT_WITH_MASS)
    found = replace(config, on_stop=stop_map, breaks=True)
    if not stop_map.events:
        return found
    _check_events(config)
    return replace(found, events=Detection(stop_map, room), repeats=True, window=config.max_steps)


def arrays_of(stops: Stops, moving: jax.Array | None, t0: jax.Array, end: jax.Array) -> StopArrays:
    """All stops as arrays."""
    return stop_arrays(stops, t0, end) if moving is None else moving_stops(moving, t0, end)


def _check_events(config: Config) -> None:
    """Refuse what does not combine with events."""
    given = {
        "dense_output=True": config.dense_output,
        "steps": config.given_steps,
        "differentiate_step_size=True": config.through_step_size,
    }
    for argument, asked in given.items():
        if asked:
            raise ValueError(
                f"{argument} does not go with events: their times are found step by step, "
                "and held; leave one of them out, or read the solution at save_at"
            )
