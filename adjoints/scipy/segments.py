"""The smooth pieces of a problem's time span.

Discontinuities and jumps cut the span. A solver is started afresh on each segment, and the times
at which it evaluates the right-hand side are clipped into the open segment, so that an equation
that switches at a boundary is seen from the correct side.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...problems import Problem
from ...problems.moving_times import moves
from ..events.held_times import held_times
from ..steps.stops import stops_between
from .flat import unpack

#: ``rhs(t, y)`` or ``jacobian(t, y)``.
TimeFunction = Callable[[float, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Segment:
    """One smooth part of the span.

    Attributes
    ----------
    start, stop : float
    lowest, highest : float
        The times at which the right-hand side may be evaluated, numbers of the problem's dtype.
    saves : tuple of int
        Indices of the save times strictly inside, in order.
    end_saves : tuple of int
        Indices of the save times at ``stop``: the state there, after all jumps.
    jumps : tuple of int
        Numbers of the jumps at ``stop``, in the order in which they act.
    event : int or None
        Number of the event at ``stop``.
    """

    start: float
    stop: float
    lowest: float
    highest: float
    saves: tuple[int, ...]
    end_saves: tuple[int, ...]
    jumps: tuple[int, ...]
    event: int | None = None

    def cut(self, time: float, event: int, save_at: np.ndarray) -> tuple[Segment, Segment]:
        """Up to an event at a time inside, and from there on."""
        ahead = tuple(i for i in self.saves if save_at[i] < time)
        first = replace(
            self,
            stop=time,
            highest=float(np.nextafter(time, self.start)),
            saves=ahead,
            end_saves=(),
            jumps=(),
            event=event,
        )
        rest = self.saves[len(ahead) :]
        after = float(np.nextafter(time, self.stop))
        return first, replace(self, start=time, lowest=after, saves=rest)

    def clip(self, function: TimeFunction) -> TimeFunction:
        """`function` with its time kept inside the segment."""
        lowest, highest = self.lowest, self.highest
        return lambda t, y: function(min(max(t, lowest), highest), y)


@dataclass(frozen=True)
class Schedule:
    """What happens when.

    Attributes
    ----------
    t0 : float
    save_at : ndarray
    segments : tuple of Segment
        In order.
    start_saves, start_jumps : tuple of int
        Indices of the save times and numbers of the jumps at ``t0``; the state is saved after
        the jumps.
    status : str
        ``"event"`` where what happens at a time has no defined derivative.
    """

    t0: float
    save_at: np.ndarray
    segments: tuple[Segment, ...]
    start_saves: tuple[int, ...]
    start_jumps: tuple[int, ...]
    status: str = "ok"

    @property
    def span(self) -> float:
        """The length of the time to go; one where there is none."""
        return (float(self.save_at[-1]) - self.t0) or 1.0

    @property
    def jumps(self) -> tuple[tuple[int, float], ...]:
        """Number and time of every jump, in the order in which they act."""
        at_start = [(i, self.t0) for i in self.start_jumps]
        return (*at_start, *((i, s.stop) for s in self.segments for i in s.jumps))


@dataclass(frozen=True, eq=False)
class Plan:
    """The schedules of a solve, by its parameters.

    Attributes
    ----------
    at : callable
        ``at(theta) -> Schedule``.
    jumps : tuple of int
        The numbers of all jumps that may act.
    saves : int
        How many states are saved.
    """

    at: Callable[[np.ndarray], Schedule]
    jumps: tuple[int, ...]
    saves: int


def fixed_plan(made: Schedule) -> Plan:
    """A plan with one schedule, whatever the parameters."""
    return Plan(lambda theta: made, tuple(i for i, _ in made.jumps), len(made.save_at))


def plan_of(problem: Problem, dtype: Any = np.float64) -> Plan:
    """The schedules of a problem, by its parameters.

    Parameters
    ----------
    problem : Problem
    dtype : dtype
        To which times that move are rounded; those that do not are in the problem's own.
    """
    if not moves(problem):
        return fixed_plan(schedule(problem))
    shapes = {name: value.shape for name, value in problem.params.items()}

    def at(theta: np.ndarray) -> Schedule:
        return _schedule(problem, unpack(np.real(theta), shapes), dtype)

    declared = held_times(problem, problem.params).jump_times
    return Plan(at, tuple(range(len(declared))), len(problem.save_at))


def schedule(problem: Problem) -> Schedule:
    """The schedule of a problem at its own parameters."""
    return _schedule(problem, problem.params, problem.dtype)


def _schedule(problem: Problem, params: Mapping[str, np.ndarray], dtype: Any) -> Schedule:
    held = held_times(problem, params)
    made = make_schedule(
        problem.t_span[0], problem.save_at, held.discontinuities, held.jump_times, dtype
    )
    return made if held.defined else replace(made, status="event")


def make_schedule(
    t0: float,
    save_at: np.ndarray,
    discontinuities: Sequence[float] = (),
    jump_times: Sequence[float] = (),
    dtype: Any = np.float64,
) -> Schedule:
    """Cut the time from `t0` to the last save into segments.

    Parameters
    ----------
    t0 : float
    save_at : ndarray
        Not decreasing, not before `t0`.
    discontinuities, jump_times : sequence of float
        Those before `t0` and after the last save have no effect.
    dtype : dtype
        Of the equations: all times are rounded to it.
    """
    save_at = np.asarray(save_at, dtype).astype(np.float64)
    t0 = float(np.asarray(t0, dtype))
    stops = stops_between(discontinuities, jump_times, t0, float(save_at[-1]), dtype)
    saves = {t: tuple(np.flatnonzero(save_at == t).tolist()) for t in (t0, *stops.times)}
    edges = list(zip(stops.times, stops.sided, stops.jumps, strict=True))
    if not stops.first:
        edges.insert(0, (t0, False, ()))
    segments = tuple(
        Segment(
            start=start,
            stop=stop,
            lowest=_next(start, stop, dtype) if sided_start else start,
            highest=_next(stop, start, dtype) if sided_stop else stop,
            saves=tuple(np.flatnonzero((start < save_at) & (save_at < stop)).tolist()),
            end_saves=saves[stop],
            jumps=jumps,
        )
        for (start, sided_start, _), (stop, sided_stop, jumps) in itertools.pairwise(edges)
    )
    return Schedule(t0, save_at, segments, saves[t0], stops.at_start)


def _next(time: float, towards: float, dtype: Any) -> float:
    """The next number of `dtype`, so that equations that round to it see it on its side."""
    return float(np.nextafter(np.asarray(time, dtype), np.asarray(towards, dtype)))
