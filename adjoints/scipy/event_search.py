"""Where events happen on the steps of SciPy's solvers: on their dense output, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...problems import Event
from ..events.calculus import calculus_of
from ..events.crossing import Passed, carried
from ..events.location import armed, bracketed, located, resolution_of
from .flat import BoundSystem
from .integrate import Options
from .segments import Schedule, Segment, TimeFunction

#: The difference of fractions of a step that tells how values change along it.
DIFFERENCE = 1e-4

#: A solver's dense output of one step.
Interpolant = Callable[[Any], np.ndarray]
#: ``cross(e, t, z) -> (z behind, what happened to the state)``.
Cross = Callable[[int, float, np.ndarray], tuple[np.ndarray, Passed]]


@dataclass(frozen=True)
class Search:
    """The events of a solve, at given parameters.

    Attributes
    ----------
    events : tuple of Event
    when : callable
        ``when(e, t, y)``, a number.
    rhs : callable
        Of the state alone, the first components of what is solved for.
    cross : callable
        What an event does to all that is solved for.
    n : int
        Number of states.
    most : int
        How many events there may be.
    rtol, atol : float or ndarray
        Of the state.
    """

    events: tuple[Event, ...]
    when: Callable[[int, float, np.ndarray], complex]
    rhs: TimeFunction
    cross: Cross
    n: int
    most: int
    rtol: float | np.ndarray
    atol: float | np.ndarray

    def start(self, plan: Schedule, segments: Sequence[Segment], y: np.ndarray) -> Watch:
        """A watch over one solve, from the state `y` after all jumps at its start."""
        watch = Watch(self, plan)
        if segments:
            watch.arm(plan.t0, y, segments[0])
        return watch

    def values(self, t: float, y: np.ndarray) -> np.ndarray:
        """Of all events at a state."""
        events = range(len(self.events))
        return np.array([np.real(self.when(e, t, y[: self.n])) for e in events])


def search_of(
    functions: BoundSystem, options: Options, cross: Cross | None = None
) -> Search | None:
    """The events of a system at its parameters; ``None`` where it has none.

    Parameters
    ----------
    functions : BoundSystem
    options : Options
        Whose tolerances are those of the state.
    cross : callable, optional
        Where more than the state is solved for.
    """
    system = functions.system
    if not system.events:
        return None

    def alone(e: int, t: float, y: np.ndarray) -> tuple[np.ndarray, Passed]:
        passed = functions.passed(e, t, y)
        return (passed.after if system.events[e].terminal else passed.held), passed

    return Search(
        events=system.events,
        when=functions.when,
        rhs=functions.rhs,
        cross=cross or alone,
        n=system.n,
        most=system.times_seen,
        rtol=options.rtol,
        atol=options.atol,
    )


class Watch:
    """Looks for events on each accepted step of one solve, and remembers the signs of values."""

    def __init__(self, search: Search, plan: Schedule) -> None:
        self.search = search
        self.most = search.most
        self._directions = np.array([float(event.direction) for event in search.events])
        self._end = plan.save_at[-1] if plan.save_at.size else plan.t0
        stops = [segment.stop for segment in plan.segments]
        self._fixed = np.hstack([plan.save_at, stops])
        self._signs = np.zeros(len(search.events))
        self._last = plan.t0

    def terminal(self, e: int) -> bool:
        """Whether the solve ends at an event."""
        return self.search.events[e].terminal

    def look(self, t0: float, t1: float, path: Interpolant) -> tuple[str, float, int] | None:
        """The first event of a step from `t0` to `t1`; ``None`` where there is none.

        Returns
        -------
        status, time, number
            The status is ``"event"`` where what happens is not defined.
        """
        step = _Path(self.search, t0, t1, path)
        bracket = bracketed(step, self._signs, self._directions)
        if not (bracket.crosses.any() or np.isfinite(bracket.touches).any()):
            self._signs = bracket.signs
            return None
        resolution = self._resolution(t1)
        found = located(step, bracket, resolution / (t1 - t0), _repeat)
        if found.undefined:
            return "event", t0, -1
        if not found.happens:
            self._signs = bracket.signs
            return None
        time = t0 + float(found.fraction) * (t1 - t0)
        beside = (np.abs(self._fixed - time) <= resolution).any()
        if beside or time - self._last <= resolution:
            return "event", time, -1
        # A step shorter than that is none.
        return "ok", time if time - t0 > resolution else t0, int(found.which)

    def happens(
        self, e: int, t: float, z: np.ndarray, following: Sequence[Segment]
    ) -> tuple[np.ndarray, complex]:
        """What is solved for, behind event `e` that was located at `t`, and when it happened."""
        after, passed = self.search.cross(e, t, z)
        if not self.terminal(e) and np.isfinite(passed.after).all():
            self.arm(float(np.real(passed.time)), passed.after, following[0])
            self._last = t
        return after, complex(passed.time) if np.iscomplexobj(after) else float(passed.time)

    def after_stop(
        self, segment: Segment, before: np.ndarray, after: np.ndarray, following: Sequence[Segment]
    ) -> str:
        """The status at a declared stop: an event at just this time is not defined."""
        values, slopes = self._values_and_slopes(segment.stop, before, segment)
        zero = (slopes != 0) & (np.abs(values) <= np.abs(slopes) * self._resolution(segment.stop))
        counts = (self._directions == 0) | (self._directions == np.sign(slopes))
        if (zero & counts).any():
            return "event"
        if following:
            self.arm(segment.stop, after, following[0])
            self._last = segment.stop
        return "ok"

    def arm(self, t: float, y: np.ndarray, segment: Segment) -> None:
        """Take the signs of all values at the start of a segment."""
        values, slopes = self._values_and_slopes(t, y, segment)
        self._signs = armed(values, slopes, np.asarray(self._resolution(t)))

    def _values_and_slopes(
        self, t: float, y: np.ndarray, segment: Segment
    ) -> tuple[np.ndarray, np.ndarray]:
        rhs, time = segment.clip(self.search.rhs), np.asarray(t)
        state = np.real(y[: self.search.n])
        with np.errstate(all="ignore"):
            slope_of = calculus_of(rhs, time, state).derivative
            return slope_of(
                lambda dt: self.search.values(float(time + dt), carried(rhs, time, state, dt)),
                np.zeros(()),
            )

    def _resolution(self, t: float) -> float:
        return float(resolution_of(np.asarray(t), np.asarray(self._end)))


class _Path:
    """The values of all events along one step; see :class:`~..events.location.Path`."""

    def __init__(self, search: Search, t0: float, t1: float, path: Interpolant) -> None:
        self._search, self._t0, self._h, self._path = search, t0, t1 - t0, path

    def with_slopes(self, fractions: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Values and slopes, from differences along the dense output."""
        at = np.asarray(fractions)
        behind, here, ahead = (self._at(at + d) for d in (-DIFFERENCE, 0.0, DIFFERENCE))
        return here, (ahead - behind) / (2 * DIFFERENCE)

    def values(self, fractions: np.ndarray) -> np.ndarray:
        """Values at fractions of their own."""
        return np.stack([self._one(e, of_one) for e, of_one in enumerate(fractions.T)], axis=-1)

    def spreads(self, fractions: np.ndarray) -> np.ndarray:
        """By how much the tolerance moves each value; at the very start nothing has turned back."""
        return np.array([self._spread(e, s) if s > 0 else 0.0 for e, s in enumerate(fractions)])

    def _at(self, fractions: np.ndarray) -> np.ndarray:
        states, times = self._states(fractions)
        return np.stack([self._search.values(t, y) for t, y in zip(times, states.T, strict=True)])

    def _one(self, e: int, fractions: np.ndarray) -> np.ndarray:
        states, times = self._states(fractions)
        pairs = zip(times, states.T, strict=True)
        return np.array([np.real(self._search.when(e, t, y)) for t, y in pairs])

    def _states(self, fractions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        times = self._t0 + self._h * fractions
        return np.real(self._path(times))[: self._search.n], times

    def _spread(self, e: int, fraction: float) -> float:
        states, times = self._states(np.array([fraction]))
        y, t, when = states[:, 0], times[0], self._search.when
        moves = np.diag(self._search.atol + self._search.rtol * np.abs(y))
        here = when(e, t, y)
        return float(sum(abs(np.real(when(e, t, y + move) - here)) for move in moves))


def _repeat(times: int, turn: Callable[[Any], Any], carry: Any) -> Any:
    for _ in range(times):
        carry = turn(carry)
    return carry
