"""The recorded solve: attempts from stop to stop, and what a reverse pass needs of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from ..events.crossing import Passed
from ..steps.acceptance import CODES, RUNNING
from .events.detection import Seen, Watch
from .rows import Rows
from .schedule import CONSISTENT, Schedule
from .state import Config, Operands, State, Tensors
from .step_loop import StepLoop
from .stepping import clipper


class Jumped(NamedTuple):
    """A jump of the state: its number and time, the state before it, and the rows before it.

    ``dbefore`` is a cotangent that enters at the state before it, where one does.
    """

    number: int
    t: torch.Tensor
    before: torch.Tensor
    rows: int
    dbefore: torch.Tensor | None = None


class Record(NamedTuple):
    """What a reverse pass needs of the accepted steps, and the jumps.

    ``t`` are the starts and the end; ``sizes`` the step sizes in 16 bits, which hold what the
    controller proposes exactly, and ``odd`` the numbers and sizes of those steps that they do not
    hold: the first, and those cut short by a stop. Of lanes the sizes are kept as they are, and
    ``odd`` is ``None``. ``rows`` are the numbers of steps up to the end of each segment, ``slopes``
    the flat first slopes of a solver that keeps them, and ``first_slopes`` those of others, where
    they were asked for. Where ``y`` has the last states alone, ``starts`` are the first ones of the
    windows before.
    """

    t: torch.Tensor
    y: torch.Tensor
    sizes: torch.Tensor
    odd: tuple[torch.Tensor, torch.Tensor] | None
    jumps: tuple[Jumped, ...]
    rows: tuple[int, ...]
    slopes: torch.Tensor
    first_slopes: torch.Tensor | None = None
    starts: torch.Tensor | None = None

    @property
    def nbytes(self) -> int:
        """The bytes that are kept."""
        befores = (jumped.before for jumped in self.jumps)
        kept = (self.t, self.y, self.sizes, *(self.odd or ()), self.slopes, *befores)
        kept = (*kept, self.first_slopes, self.starts)
        return sum(x.nbytes for x in kept if x is not None)

    def times(self, schedule: Schedule) -> torch.Tensor:
        """Start, size, end and the bounds of the times of every step, and slopes."""
        h = self.sizes.to(self.t.dtype)
        if self.odd is not None:
            h = h.index_copy(0, *self.odd)
        start, end = self.t[:-1], self.t[1:]
        # A step belongs to the segment in which it was taken: its times alone do not tell, as one
        # may begin exactly where another ends.
        segments = schedule.segments()
        bounds = (segments.lower, segments.upper)
        if len(self.rows) == 1:
            lower, upper = (bound[0].expand(len(h)) for bound in bounds)
        else:
            counts = torch.tensor(np.diff(self.rows, prepend=0), device=h.device)
            lower, upper = (bound[: len(counts)].repeat_interleave(counts) for bound in bounds)
        numbers = torch.stack([start, h, end, lower, upper], dim=1)
        return torch.cat([numbers, self.slopes], dim=1)


def recorded(
    times: torch.Tensor, y: torch.Tensor, jumps: tuple[Jumped, ...], rows: tuple[int, ...]
) -> Record:
    """The record of steps; `times` as :meth:`Record.times` gives them."""
    t, h = times[:, 0], times[:, 1]
    sizes = h.to(torch.bfloat16)
    odd = (sizes.to(h.dtype) != h).nonzero()[:, 0]
    ends = torch.cat([t, times[-1:, 2]])
    return Record(ends, y, sizes, (odd, h[odd]), jumps, rows, times[:, 5:])


class Work(NamedTuple):
    """How a solve ended and what it cost.

    ``transfers`` counts how often the host waited for numbers from the device, ``iterations``
    those of Newton's method.
    """

    status: int
    accepted: int
    attempts: int
    transfers: int
    compile_s: float = 0.0
    compiled: str = ""
    iterations: int = 0


class Solved(NamedTuple):
    """A finished solve. ``terms``, ``coefficients`` and ``times`` have one row a step.

    ``schedule`` is the one that was followed, in which events have stops, and ``passed`` what
    happened at these.
    """

    ys: torch.Tensor
    terms: torch.Tensor | None
    coefficients: torch.Tensor | None
    times: torch.Tensor
    record: Record
    final: State
    work: Work
    schedule: Schedule | None = None
    passed: tuple[Passed, ...] = ()


def solve_recording(
    config: Config,
    y0: torch.Tensor,
    params: Tensors,
    constants: Tensors,
    schedule: Schedule,
    *,
    differentiable: bool = False,
    keep: bool = True,
) -> Solved:
    """Solve, and record what a reverse pass needs.

    Parameters
    ----------
    config, y0, params, constants, schedule
    differentiable : bool
        Whether autograd records every operation (a tape).
    keep : bool
        Whether the accepted steps are recorded; otherwise the record holds the jumps alone.
    """
    run = _Recording(config, (params, constants), schedule, y0, differentiable, keep)
    return run.finished(run.until_the_end(y0))


class _Recording:
    """One solve from stop to stop, and what is found on the way.

    The schedule grows by the events that happen.
    """

    def __init__(
        self,
        config: Config,
        params: tuple[Tensors, Tensors],
        schedule: Schedule,
        y0: torch.Tensor,
        differentiable: bool,
        keep: bool,
    ) -> None:
        self.config, self.params, self.schedule = config, params, schedule
        self.segments = schedule.segments()
        self.loop = StepLoop(config, differentiable, schedule)
        save_at = schedule.save_at[: schedule.inner] if config.dense and schedule.inner else None
        self.rows = Rows(keep, config.window, save_at)
        self.jumps: list[Jumped] = []
        self.counts: list[int] = []
        self.passed: list[Passed] = []
        self.watch: Watch | None = None
        if schedule.events and not config.given_steps:
            self.watch = Watch(config, schedule, y0, *params)

    def until_the_end(self, y0: torch.Tensor) -> State:
        """The last state, with the loop's status."""
        y0, begins = self._consistent(y0)
        state, k = self.loop.start(y0, self._operands(0)), 0
        if begins is not None:
            status = torch.where(begins == RUNNING, state.status, begins)
            state = state._replace(status=status)
        if self.schedule.stop_map is not None and self.schedule.stop_map.undefined:
            self.counts.append(self.loop.accepted)
            self.loop.status = CODES["event"]
            return state
        armed_at = (state.t, state.y)
        going_on = True
        while going_on and k < len(self.segments.jumps):
            state = self._segment(k, state, armed_at)
            self.counts.append(self.loop.accepted)
            if self.loop.status == CODES["ok"]:
                state, armed_at = self._through_stop(k, state)
            going_on, k = self.loop.status == CODES["ok"], k + 1
        return state

    def _consistent(self, y0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """A start that fulfils the algebraic equations, and whether there is one."""
        schedule = self.schedule
        if schedule.consistent is None:
            return y0, None
        self.jumps.append(Jumped(CONSISTENT, schedule.t0, y0, 0))
        return schedule.consistent(schedule.t0, y0, self.params)

    def _segment(self, k: int, state: State, armed_at: tuple[torch.Tensor, torch.Tensor]) -> State:
        """The state at the end of a segment, which may be an event within it."""
        config, ops = self.config, self._operands(k)
        if k > 0:
            clip = clipper(config, ops.lower, ops.upper)
            slope = config.rhs(clip(state.t), state.y, self.params)
            state = state._replace(slope=slope, status=torch.full_like(state.status, RUNNING))
        if self.watch is not None:
            self.watch.arm(*armed_at, ops)
        stop = self.schedule.stops.times[self.schedule.stops.first + k]
        state = self.loop(state, ops, self.rows, stop, self.watch)
        if self.watch is None or self.watch.seen is None or self.loop.status != RUNNING:
            return state
        return self._up_to_event(k, state, self.watch, self.watch.seen)

    def _up_to_event(self, k: int, state: State, watch: Watch, seen: Seen) -> State:
        """The state at an event, which is a stop from now on."""
        if seen.status != RUNNING:
            self.loop.status = seen.status
            return state
        self.schedule = self.schedule.with_event(seen.which, seen.t)
        self.segments = self.schedule.segments()
        watch.passed(self.schedule)
        if self.rows.save_at is not None:
            self.rows.save_at = self.schedule.save_at[: self.schedule.inner]
        return self.loop(state, self._operands(k), self.rows, seen.t)

    def _through_stop(
        self, k: int, state: State
    ) -> tuple[State, tuple[torch.Tensor, torch.Tensor]]:
        """The state behind the stop at the end of a segment, and time and state to be armed at."""
        event = None
        for number in self.segments.jumps[k]:
            state, event = self._through(number, state)
        # An event's own value is zero where it happens, and not quite where the solve goes on.
        return state, (state.t, state.y) if event is None else (event.time, event.after)

    def _through(self, number: int, state: State) -> tuple[State, Passed | None]:
        """The state after what happens at a stop; and what that was, if it was an event."""
        schedule, own = self.schedule, (number, state.t, state.y, self.params)
        self.jumps.append(Jumped(number, state.t, state.y, self.loop.accepted))
        passed = schedule.passed(*own, self.config.derivatives)
        if passed is None:
            return state._replace(y=schedule.jumped(*own)), None
        state = state._replace(y=schedule.gone_on(number, passed))
        if schedule.event_of(number) is None:
            return state, None
        self.passed.append(passed)
        if self.watch is not None and not self.watch.is_near(passed.time, state.t):
            self.loop.status = CODES["event"]
        return state, passed

    def _operands(self, k: int) -> Operands:
        """What the attempts within segment `k` read."""
        own = (self.segments.ends[k], self.segments.lower[k], self.segments.upper[k])
        return Operands(*self.params, self.schedule.rtol, self.schedule.atol, *own)

    def finished(self, state: State) -> Solved:
        """What was found, after the last state."""
        record = (tuple(self.jumps), tuple(self.counts))
        solved = _finished(self.config, self.schedule, self.rows, record, state, self.loop)
        waits = 0 if self.watch is None else self.watch.waits
        work = solved.work._replace(transfers=solved.work.transfers + waits)
        return solved._replace(schedule=self.schedule, passed=tuple(self.passed), work=work)


def _finished(
    config: Config,
    schedule: Schedule,
    rows: Rows,
    record: tuple[tuple[Jumped, ...], tuple[int, ...]],
    state: State,
    loop: StepLoop,
) -> Solved:
    def joined(pieces: list[torch.Tensor], like: torch.Tensor) -> torch.Tensor:
        return torch.cat(pieces) if pieces else like

    y = joined(rows.y, state.y[None][:0])
    times = joined(rows.times, state.y.new_zeros(0, 5))
    coefficients = torch.cat(rows.coefficients) if rows.coefficients else None
    before = rows.read()
    terms = None
    if config.terms:
        terms = joined(rows.terms, state.y.new_zeros(0, 3))
    ys = state.y[None]
    if loop.status != CODES["ok"]:
        ys = torch.full_like(ys, math.nan).expand(len(schedule.save_at), *state.y.shape)
    elif len(schedule.save_at) > 1:
        ys = ys.expand(len(schedule.save_at) - schedule.inner, *state.y.shape)
        if before is not None:
            ys = torch.cat([*rows.saved, before, ys])
    work = Work(
        loop.status,
        loop.accepted,
        loop.attempts,
        loop.transfers,
        loop.compile_s,
        loop.compiled,
        loop.iterations,
    )
    kept = recorded(times.detach(), y, *record)
    if config.first_slopes:
        kept = kept._replace(first_slopes=joined(rows.slopes, y))
    starts = torch.cat(rows.starts) if rows.starts else None
    kept = kept._replace(starts=starts)
    return Solved(ys, terms, coefficients, times.detach(), kept, state, work)
