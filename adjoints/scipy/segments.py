"""The smooth pieces of a problem's time span, and a solve over all of them.

Discontinuities and jumps cut the span. A solver is started afresh on each segment, and the times
at which it evaluates the right-hand side are clipped into the open segment, so that an equation
that switches at a boundary is seen from the correct side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...problems import Problem
from .integrate import Counts, Options, Piece, integrate

#: ``rhs(t, y)`` or ``jacobian(t, y)``.
TimeFunction = Callable[[float, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Segment:
    """One smooth part of the span.

    Attributes
    ----------
    start, stop : float
    lowest, highest : float
        The times at which the right-hand side may be evaluated.
    saves : tuple of int
        Indices of the save times strictly inside, increasing.
    end_save : int or None
        Index of the save time at ``stop``: the state there, after the jump if there is one.
    jump : int or None
        Index of the jump at ``stop``.
    """

    start: float
    stop: float
    lowest: float
    highest: float
    saves: tuple[int, ...]
    end_save: int | None
    jump: int | None

    def clip(self, function: TimeFunction) -> TimeFunction:
        """`function` with its time kept inside the segment."""
        lowest, highest = self.lowest, self.highest
        return lambda t, y: function(min(max(t, lowest), highest), y)


@dataclass(frozen=True)
class Schedule:
    """What happens when: start time, segments in order, save times, jump times.

    ``first_save`` tells whether the start value itself is saved.
    """

    t0: float
    save_at: np.ndarray
    segments: tuple[Segment, ...]
    first_save: bool


def schedule(problem: Problem) -> Schedule:
    """The schedule of a problem."""
    return make_schedule(
        problem.t_span[0], problem.save_at, problem.discontinuities, problem.jump_times
    )


def make_schedule(
    t0: float,
    save_at: np.ndarray,
    discontinuities: Sequence[float] = (),
    jump_times: Sequence[float] = (),
) -> Schedule:
    """Cut the time from `t0` to the last save into segments.

    Parameters
    ----------
    t0 : float
    save_at : ndarray
        Strictly increasing, not before `t0`.
    discontinuities, jump_times : sequence of float
        Those after the last save have no effect.
    """
    save_at = np.asarray(save_at, dtype=np.float64)
    t1 = float(save_at[-1])
    breaks = {float(t) for t in (*discontinuities, *jump_times) if t0 < t <= t1}
    jumps = {float(t): i for i, t in enumerate(jump_times)}
    saves = {float(t): i for i, t in enumerate(save_at)}
    edges = sorted(breaks | {float(t0), t1})
    segments = tuple(
        Segment(
            start=start,
            stop=stop,
            lowest=math.nextafter(start, stop) if start in breaks else start,
            highest=math.nextafter(stop, start) if stop in breaks else stop,
            saves=tuple(i for t, i in saves.items() if start < t < stop),
            end_save=saves.get(stop),
            jump=jumps.get(stop),
        )
        for start, stop in itertools.pairwise(edges)
    )
    return Schedule(float(t0), save_at, segments, float(t0) in saves)


@dataclass
class Trajectory:
    """A solve over all segments.

    Attributes
    ----------
    status : str
    ys : ndarray, shape (saves, n)
        NaN where the solve did not get to.
    pieces : list of Piece
        One a segment; the state at the end of a piece is the one before the jump.
    counts : Counts
    """

    status: str
    ys: np.ndarray
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
    jump: Callable[[int, float, np.ndarray], np.ndarray] | None = None,
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
    result = Trajectory("ok", np.full((len(plan.save_at), y0.size), np.nan, dtype=y0.dtype))
    y, first_step = y0, options.first_step
    if plan.first_save:
        result.ys[0] = y
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
        y, first_step = piece.y, None
        if segment.jump is not None:
            assert jump is not None
            y = jump(segment.jump, segment.stop, y)
        for i, value in zip(segment.saves, piece.saved, strict=True):
            result.ys[i] = value
        if segment.end_save is not None:
            result.ys[segment.end_save] = y
    if not np.isfinite(result.ys).all():
        result.status = "nonfinite"
    return result
