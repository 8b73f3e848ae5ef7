"""A solve over all smooth pieces of a time span, with the jumps and events between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from .counted import Counts
from .event_search import Search, Watch
from .integrate import ONE_STEP, Options, Piece, integrate, joined
from .segments import Schedule, Segment, TimeFunction

#: ``jump(i, t, y)``.
JumpFunction = Callable[[int, float, np.ndarray], np.ndarray]


class Happened(NamedTuple):
    """One event.

    Attributes
    ----------
    number : int
        Which.
    held : float
        The time at which the solve stopped for it.
    time : float
        When it really happened; complex where a complex step is taken.
    before : ndarray
        The state that the solve had at ``held``.
    """

    number: int
    held: float
    time: complex
    before: np.ndarray


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
    segments : list of Segment
        Those solved, which events cut further.
    pieces : list of Piece
        One a segment; the state at the end of a piece is the one before the jumps.
    events : list of Happened
        In order.
    counts : Counts
    """

    status: str
    ys: np.ndarray
    y0: np.ndarray
    segments: list[Segment] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    events: list[Happened] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    @property
    def order(self) -> tuple[Any, ...]:
        """What happens in which order, saves included: a loss has no derivative where it changes.

        What has a state saved at its very time is in another order a little later.
        """
        happens = [(s.saves, s.end_saves, s.jumps, s.event) for s in self.segments]
        return tuple(happens)

    def saved_bytes(self) -> int:
        """Bytes kept for a reverse pass."""
        return sum(piece.saved_bytes() + piece.y.nbytes for piece in self.pieces)

    def event_times(self, most: int) -> np.ndarray:
        """The times of the events, `most` of them, infinite where there were fewer."""
        found = np.array([event.time for event in self.events], dtype=self.ys.dtype)
        return np.hstack([found, np.full(most - len(found), np.inf)])


def solve(
    rhs: TimeFunction,
    y0: np.ndarray,
    plan: Schedule,
    options: Options,
    *,
    jump: JumpFunction | None = None,
    jacobian: TimeFunction | None = None,
    keep: bool = False,
    search: Search | None = None,
) -> Trajectory:
    """Integrate over all segments, jump where the plan says so or an event happens, and save.

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
    search : Search, optional
        Finds events.
    """
    result = Trajectory(
        plan.status, np.full((len(plan.save_at), y0.size), np.nan, dtype=y0.dtype), y0
    )
    if plan.status != "ok":
        return result
    y = jumped(jump, plan.start_jumps, plan.t0, y0)[-1]
    result.ys[list(plan.start_saves)] = y
    todo, run = list(plan.segments), _Run(rhs, jacobian, plan, options, keep)
    watch = None if search is None else search.start(plan, todo, y)
    while todo and result.status == "ok":
        segment = todo.pop(0)
        piece = run.over(segment, y, watch, result.counts)
        if piece.located is not None:
            segment, rest = segment.cut(*piece.located, plan.save_at)
            todo.insert(0, rest)
            piece = run.again(segment, piece, result.counts)
        result.segments.append(segment)
        result.pieces.append(piece)
        if piece.status != "ok":
            result.status = piece.status
            return result
        for i, value in zip(segment.saves, piece.saved, strict=True):
            result.ys[i] = value
        if segment.event is not None:
            assert watch is not None
            y = _after_event(result, segment, piece, watch, todo)
        else:
            y = jumped(jump, segment.jumps, segment.stop, piece.y)[-1]
            if watch is not None:
                result.status = watch.after_stop(segment, piece.y, y, todo)
        result.ys[list(result.segments[-1].end_saves)] = y
    if result.status == "ok" and not np.isfinite(result.ys).all():
        result.status = "nonfinite"
    return result


@dataclass
class _Run:
    """Integrates segments; the first step of all may be given."""

    rhs: TimeFunction
    jacobian: TimeFunction | None
    plan: Schedule
    options: Options
    keep: bool

    def over(self, segment: Segment, y: np.ndarray, watch: Watch | None, counts: Counts) -> Piece:
        """From the start of a segment to its end, or to the step on which an event is located."""
        return self._integrate(segment, segment.start, y, watch, counts, segment.saves)

    def again(self, segment: Segment, piece: Piece, counts: Counts) -> Piece:
        """A piece and the step after it again, which now ends at the event."""
        if piece.end >= segment.stop:
            return piece
        if self.options.solver in ONE_STEP:
            self.options = replace(self.options, first_step=segment.stop - piece.end)
        saves = segment.saves[len(piece.saved) :]
        return joined(piece, self._integrate(segment, piece.end, piece.y, None, counts, saves))

    def _integrate(
        self,
        segment: Segment,
        t: float,
        y: np.ndarray,
        watch: Watch | None,
        counts: Counts,
        saves: Sequence[int],
    ) -> Piece:
        jacobian, options = self.jacobian, self.options
        self.options = replace(options, first_step=None)
        return integrate(
            segment.clip(self.rhs),
            t,
            segment.stop,
            y,
            options,
            counts,
            jacobian=None if jacobian is None else segment.clip(jacobian),
            save_at=[self.plan.save_at[i] for i in saves],
            keep=self.keep,
            watch=watch,
        )


def _after_event(
    result: Trajectory, segment: Segment, piece: Piece, watch: Watch, todo: list[Segment]
) -> np.ndarray:
    """The state after the event at the end of a segment; nothing is left after a terminal one."""
    assert segment.event is not None
    if len(result.events) == watch.most:
        result.status = "max_events"
        return piece.y
    y, time = watch.happens(segment.event, segment.stop, piece.y, todo)
    result.events.append(Happened(segment.event, segment.stop, time, piece.y))
    if watch.terminal(segment.event):
        # What is saved later is the state at the end.
        later = [i for rest in todo for i in (*rest.saves, *rest.end_saves)]
        result.segments[-1] = replace(segment, end_saves=tuple(later))
        todo.clear()
    return y


def jumped(
    jump: JumpFunction | None, numbers: Sequence[int], t: float, y: np.ndarray
) -> list[np.ndarray]:
    """The state `y` before all jumps at the time `t`, and after each of them in order."""
    states = [y]
    for i in numbers:
        assert jump is not None
        states.append(jump(i, t, states[-1]))
    return states
