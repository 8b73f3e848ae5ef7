"""The smooth pieces of a problem's time span, and a solve over all of them.

Discontinuities and jumps cut the span. A solver is started afresh on each segment, and the times
at which it evaluates the right-hand side are clipped into the open segment, so that an equation
that switches at a boundary is seen from the correct side.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...problems import Problem
from ..steps.stops import stops_between
from .counted import Counts
from .integrate import Options, Piece, integrate

#: ``rhs(t, y)`` or ``jacobian(t, y)``.
TimeFunction = Callable[[float, np.ndarray], np.ndarray]
#: ``jump(i, t, y)``.
JumpFunction = Callable[[int, float, np.ndarray], np.ndarray]


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
    """

    start: float
    stop: float
    lowest: float
    highest: float
    saves: tuple[int, ...]
    end_saves: tuple[int, ...]
    jumps: tuple[int, ...]

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
    """

    t0: float
    save_at: np.ndarray
    segments: tuple[Segment, ...]
    start_saves: tuple[int, ...]
    start_jumps: tuple[int, ...]

    @property
    def span(self) -> float:
        """The length of the time to go; one where there is none."""
        return (float(self.save_at[-1]) - self.t0) or 1.0

    @property
    def jumps(self) -> tuple[tuple[int, float], ...]:
        """Number and time of every jump, in the order in which they act."""
        at_start = [(i, self.t0) for i in self.start_jumps]
        return (*at_start, *((i, s.stop) for s in self.segments for i in s.jumps))


def schedule(problem: Problem) -> Schedule:
    """The schedule of a problem."""
    return make_schedule(
        problem.t_span[0],
        problem.save_at,
        problem.discontinuities,
        problem.jump_times,
        problem.dtype,
    )


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


@dataclass
class Trajectory:
    """A solve over all segments.

    Attributes
    ----------
    status : str
    ys : ndarray, shape (saves, n)
        NaN where the solve did not get to.
    y0 : ndarray, shape (n,)
        The start value, before any jump.
    pieces : list of Piece
        One a segment; the state at the end of a piece is the one before the jumps.
    counts : Counts
    """

    status: str
    ys: np.ndarray
    y0: np.ndarray
    pieces: list[Piece] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def saved_bytes(self) -> int:
        """Bytes kept for a reverse pass."""
        return sum(piece.saved_bytes() + piece.y.nbytes for piece in self.pieces)


def solve(
    rhs: TimeFunction,
    y0: np.ndarray,
    plan: Schedule,
    options: Options,
    *,
    jump: JumpFunction | None = None,
    jacobian: TimeFunction | None = None,
    keep: bool = False,
) -> Trajectory:
    """Integrate over all segments, jump where the plan says so, and save.

    Parameters
    ----------
    rhs, jacobian : callable
        ``rhs(t, y)`` and, for implicit solvers, ``jacobian(t, y)`` on flat vectors.
    y0 : ndarray
    plan : Schedule
    options : Options
    jump : callable, optional
        ``jump(i, t, y)``.
    keep : bool
        Whether to keep the dense output, for a reverse pass.
    """
    result = Trajectory("ok", np.full((len(plan.save_at), y0.size), np.nan, dtype=y0.dtype), y0)
    first_step = options.first_step
    y = jumped(jump, plan.start_jumps, plan.t0, y0)[-1]
    result.ys[list(plan.start_saves)] = y
    for segment in plan.segments:
        piece = integrate(
            segment.clip(rhs),
            segment.start,
            segment.stop,
            y,
            replace(options, first_step=first_step),
            result.counts,
            jacobian=None if jacobian is None else segment.clip(jacobian),
            save_at=[plan.save_at[i] for i in segment.saves],
            keep=keep,
        )
        result.pieces.append(piece)
        if piece.status != "ok":
            result.status = piece.status
            return result
        first_step = None
        y = jumped(jump, segment.jumps, segment.stop, piece.y)[-1]
        for i, value in zip(segment.saves, piece.saved, strict=True):
            result.ys[i] = value
        result.ys[list(segment.end_saves)] = y
    if not np.isfinite(result.ys).all():
        result.status = "nonfinite"
    return result


def jumped(
    jump: JumpFunction | None, numbers: Sequence[int], t: float, y: np.ndarray
) -> list[np.ndarray]:
    """The state `y` before all jumps at the time `t`, and after each of them in order."""
    states = [y]
    for i in numbers:
        assert jump is not None
        states.append(jump(i, t, states[-1]))
    return states
