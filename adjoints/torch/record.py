"""The recorded solve: attempts driven from stop to stop, and what a reverse pass needs of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch

from ..attempts import CODES, RUNNING
from ..stops import Stops
from .compiled import compiled, distinct, loop, straight
from .integrate import attempt, evaluate, start
from .state import Config, Operands, State, Tensors

#: Steps that one compiled call takes at most, and numbers that it may write: a larger buffer
#: would cost more to carry along than the calls that it saves.
LONGEST_RUN, LARGEST_RUN = 64, 16384
ENDLESS = math.inf


class Course(NamedTuple):
    """Where a solve goes: its times, its tolerances, and the steps to take where they are given.

    ``jump(number, t, y, (params, constants))`` is the state just after a jump.
    """

    t0: torch.Tensor
    stops: Stops
    save_at: torch.Tensor
    rtol: torch.Tensor
    atol: torch.Tensor
    first_step: torch.Tensor | None = None
    steps: tuple[torch.Tensor, torch.Tensor] | None = None
    jump: Callable[..., torch.Tensor] | None = None


@dataclass
class Rows:
    """The accepted steps, in pieces as they come, if they are to be kept."""

    keep: bool = True
    times: list[torch.Tensor] = field(default_factory=list)
    y: list[torch.Tensor] = field(default_factory=list)
    coefficients: list[torch.Tensor] = field(default_factory=list)
    terms: list[torch.Tensor] = field(default_factory=list)

    def append(self, *piece: torch.Tensor | None) -> None:
        """One piece of rows, each with a leading axis."""
        if not self.keep:
            return
        columns = (self.times, self.y, self.coefficients, self.terms)
        for column, values in zip(columns, piece, strict=True):
            if values is not None:
                column.append(values)


class Jumped(NamedTuple):
    """A jump of the state: its number and time, the state before it, and the rows before it."""

    number: int
    t: torch.Tensor
    before: torch.Tensor
    rows: int


class Record(NamedTuple):
    """What a reverse pass needs of the accepted steps, and the jumps.

    ``t`` are the starts and the end; ``sizes`` the step sizes in 16 bits, which hold what the
    controller proposes exactly, and ``odd`` the numbers and sizes of those steps that they do not
    hold: the first, and those cut short by a stop.
    """

    t: torch.Tensor
    y: torch.Tensor
    sizes: torch.Tensor
    odd: tuple[torch.Tensor, torch.Tensor]
    jumps: tuple[Jumped, ...]

    @property
    def nbytes(self) -> int:
        """The bytes that are kept."""
        befores = (jumped.before for jumped in self.jumps)
        kept = (self.t, self.y, self.sizes, *self.odd, *befores)
        return sum(x.nbytes for x in kept)

    def times(self, course: Course) -> torch.Tensor:
        """Start, size, end and the bounds of the times of every step, shape (steps, 5)."""
        h = self.sizes.to(self.t.dtype).index_copy(0, *self.odd)
        start, end = self.t[:-1], self.t[1:]
        lower, upper = bounds(course)
        segment = torch.bucketize(start, lower[1:], right=False)
        return torch.stack([start, h, end, lower[segment], upper[segment]], dim=1)


def bounds(course: Course) -> tuple[torch.Tensor, torch.Tensor]:
    """The first and last times within each stretch between two stops; endless at both ends."""
    stops = torch.tensor(course.stops.times, dtype=course.t0.dtype, device=course.t0.device)
    endless = torch.full_like(course.t0, ENDLESS)
    lower = torch.cat([-endless[None], torch.nextafter(stops, endless)])
    return lower, torch.cat([torch.nextafter(stops, -endless), endless[None]])


def recorded(times: torch.Tensor, y: torch.Tensor, jumps: tuple[Jumped, ...]) -> Record:
    """The record of steps; `times` as :meth:`Record.times` gives them."""
    t, h = times[:, 0], times[:, 1]
    sizes = h.to(torch.bfloat16)
    odd = (sizes.to(h.dtype) != h).nonzero()[:, 0]
    return Record(torch.cat([t, times[-1:, 2]]), y, sizes, (odd, h[odd]), jumps)


class Work(NamedTuple):
    """How a solve ended and what it cost.

    ``transfers`` counts how often the host waited for numbers from the device.
    """

    status: int
    accepted: int
    attempts: int
    transfers: int
    compile_s: float = 0.0
    compiled: str = ""


class Solved(NamedTuple):
    """A finished solve. ``terms``, ``coefficients`` and ``times`` have one row a step."""

    ys: torch.Tensor
    terms: torch.Tensor | None
    coefficients: torch.Tensor | None
    times: torch.Tensor
    record: Record
    final: State
    work: Work


def solve_recording(
    config: Config,
    y0: torch.Tensor,
    params: Tensors,
    constants: Tensors,
    course: Course,
    *,
    differentiable: bool = False,
    keep: bool = True,
) -> Solved:
    """Solve, and record what a reverse pass needs.

    Parameters
    ----------
    config, y0, params, constants, course
    differentiable : bool
        Whether autograd records every operation (a tape).
    keep : bool
        Whether the accepted steps are recorded; otherwise the record holds the jumps alone.
    """
    drive = _Drive(config, differentiable, course)
    ends = (*course.stops.times, None)
    end = course.save_at[-1]
    rows, jumps = Rows(keep), []
    state: State | None = None
    for k, (time, number) in enumerate(zip(ends, course.stops.jumps, strict=True)):
        ops = _operands(params, constants, course, k, end if time is None else time)
        if state is None:
            state = drive.start(y0, ops, end)
        elif config.breaks:
            slope = config.rhs(_inside(ops, state.t), state.y, (params, constants))
            state = state._replace(slope=slope, status=torch.full_like(state.status, RUNNING))
        state = drive(state, ops, rows)
        if drive.status != CODES["ok"]:
            break
        if number >= 0 and course.jump is not None:
            jumps.append(Jumped(number, state.t, state.y, drive.accepted))
            state = state._replace(y=course.jump(number, state.t, state.y, (params, constants)))
    assert state is not None
    return _finished(config, course, rows, tuple(jumps), state, drive)


def _inside(ops: Operands, t: torch.Tensor) -> torch.Tensor:
    return torch.minimum(torch.maximum(t, ops.lower), ops.upper)


def _operands(params: Tensors, constants: Tensors, course: Course, k: int, stop: Any) -> Operands:
    """What the attempts up to stop number `k` read."""
    stop = torch.as_tensor(stop, dtype=course.t0.dtype, device=course.t0.device)
    lower, upper = (bound[k] for bound in bounds(course))
    return Operands(params, constants, course.rtol, course.atol, stop, lower, upper)


class _Drive:
    """Makes attempts until the next stop is reached, or no more can be made."""

    def __init__(self, config: Config, differentiable: bool, course: Course) -> None:
        self.config, self.course = config, course
        self.differentiable = differentiable
        self.given = None if course.steps is None else list(zip(*course.steps, strict=True))
        self.status, self.accepted, self.attempts, self.transfers = RUNNING, 0, 0, 0
        self.compile_s, self.compiled = 0.0, ""

    def start(self, y0: torch.Tensor, ops: Operands, end: torch.Tensor) -> State:
        """The state before the first attempt."""
        config, course, shape = self.config, self.course, (len(ops.params), len(ops.constants))
        size = () if course.first_step is None else (course.first_step,)

        def begin(t0: torch.Tensor, y0: torch.Tensor, end: torch.Tensor, *rest: Any) -> State:
            first, flat = rest[: len(size)], rest[len(size) :]
            asked = first[0] if first else None
            return start(config, t0, y0, _unflat(shape, flat), asked, end)

        inputs = (course.t0, y0, end, *size, *_flat(ops))
        if config.compile and not self.differentiable:
            key = ("start", config, shape, len(size))
            made = compiled(key, partial(straight, begin), inputs)
            self.compile_s += made.seconds
            if made.call is not None:
                return State(*made.call(*inputs))
        return begin(*inputs)

    def __call__(self, state: State, ops: Operands, rows: Rows) -> State:
        """The state at the stop."""
        if self.config.compile and not self.differentiable and self.given is None:
            done = self._compiled(state, ops, rows)
            if done is not None:
                return done
        self._read(state.accepted, state.attempts, state.status)
        while self.status == RUNNING:
            given = None
            if self.given is not None:
                if self.attempts == len(self.given):
                    self.status = CODES["ok"]
                    break
                given = self.given[self.attempts]
            state = self._look_after(state, ops, given, rows)
        return state

    def _look_after(
        self,
        state: State,
        ops: Operands,
        given: tuple[torch.Tensor, torch.Tensor] | None,
        rows: Rows,
    ) -> State:
        """Make attempts and then look; those made past the end change nothing."""
        config, found, accepted = self.config, [], []
        for _ in range(config.look_every if given is None else 1):
            tried = attempt(config, state, ops, given, differentiable=self.differentiable)
            found.append(tried)
            if config.look_every == 1 or given is not None:
                accepted.append(tried.accept)
                state = tried.state
                continue
            goes_on = state.status == RUNNING
            accepted.append(tried.accept & goes_on)
            pairs = zip(tried.state, state, strict=True)
            state = State(*(torch.where(goes_on, new, old) for new, old in pairs))
        flags = (flag.to(torch.int64) for flag in accepted)
        taken = self._read(state.accepted, state.attempts, state.status, *flags)
        for tried in (x for x, flag in zip(found, taken, strict=True) if flag):
            piece = (tried.row.times, tried.row.y, tried.coefficients, tried.terms)
            rows.append(*(None if x is None else x[None] for x in piece))
        return state

    def _read(self, *numbers: torch.Tensor) -> list[int]:
        """Wait for numbers from the device, the first of which are the counts and the status."""
        found = torch.stack(numbers).tolist()
        self.accepted, self.attempts, self.status = found[:3]
        self.transfers += 1
        return found[3:]

    def _compiled(self, state: State, ops: Operands, rows: Rows) -> State | None:
        """The same by compiled runs of many attempts; ``None`` where there is no compiler."""
        config = self.config
        run, seconds = _run_length(config, state), 0.0
        while True:
            inputs = distinct((*_buffers(config, run, state), *state, *_flat(ops)))
            shape = (len(ops.params), len(ops.constants))
            made = compiled(("run", config, run, shape), partial(_run, config, run, shape), inputs)
            seconds = max(seconds, made.seconds)
            if made.call is None:
                self.compile_s += seconds
                self.compiled = made.reason
                return None
            self.compiled = "yes"
            count, *buffers = made.call(*inputs)
            buffers, state = buffers[:-8], State(*buffers[-8:])
            (filled,) = self._read(state.accepted, state.attempts, state.status, count)
            pieces = iter(buffer[:filled] for buffer in buffers)
            dense = (config.dense, config.terms)
            rows.append(
                next(pieces), next(pieces), *(next(pieces) if wanted else None for wanted in dense)
            )
            if self.status != RUNNING:
                self.compile_s += seconds
                return state


def _flat(ops: Operands) -> Tensors:
    return (*ops[2:], *ops.params, *ops.constants)


def _unflat(shape: tuple[int, int], flat: Tensors) -> Operands:
    rest, named = flat[:5], flat[5:]
    return Operands(named[: shape[0]], named[shape[0] :], *rest)


def _run_length(config: Config, state: State) -> int:
    """Steps of one compiled run."""
    degree = config.tableau.dense.shape[1] if config.dense else 0
    return max(1, min(LONGEST_RUN, LARGEST_RUN // (state.y.numel() * (1 + degree) + 8)))


def _buffers(config: Config, run: int, state: State) -> Tensors:
    """A count, and empty rows for one run."""
    y, shape = state.y, state.y.shape
    buffers = [torch.zeros_like(state.accepted), y.new_zeros(run, 5), y.new_zeros(run, *shape)]
    if config.dense:
        buffers.append(y.new_zeros(run, config.tableau.dense.shape[1], *shape))
    if config.terms:
        buffers.append(y.new_zeros(run, 3))
    return tuple(buffers)


def _run(config: Config, run: int, shape: tuple[int, int], inputs: Tensors) -> Any:
    """A loop of attempts that fills the rows of one run."""
    columns = 3 + config.dense + config.terms

    def condition(count: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        state = State(*rest[columns - 1 : columns + 7])
        return (state.status == RUNNING) & (count < run)

    def body(count: torch.Tensor, *rest: torch.Tensor) -> Tensors:
        buffers, state = rest[: columns - 1], State(*rest[columns - 1 : columns + 7])
        found = attempt(config, state, _unflat(shape, rest[columns + 7 :]))
        piece = (found.row.times, found.row.y, found.coefficients, found.terms)
        written = tuple(
            buffer.index_copy(0, count[None], x[None])
            for buffer, x in zip(buffers, (x for x in piece if x is not None), strict=True)
        )
        return (count + found.accept.to(torch.int64), *written, *found.state)

    return loop(condition, body, inputs[: columns + 8], inputs[columns + 8 :])


def _finished(
    config: Config,
    course: Course,
    rows: Rows,
    jumps: tuple[Jumped, ...],
    state: State,
    drive: _Drive,
) -> Solved:
    def joined(pieces: list[torch.Tensor], like: torch.Tensor) -> torch.Tensor:
        return torch.cat(pieces) if pieces else like

    y = joined(rows.y, state.y[None][:0])
    times = joined(rows.times, state.y.new_zeros(0, 5))
    coefficients = torch.cat(rows.coefficients) if rows.coefficients else None
    terms = None
    if config.terms:
        terms = joined(rows.terms, state.y.new_zeros(0, 3))
    ys = state.y[None]
    if drive.status != CODES["ok"]:
        ys = torch.full_like(ys, math.nan).expand(len(course.save_at), *state.y.shape)
    elif coefficients is not None and len(course.save_at) > 1:
        ys = torch.cat([evaluate(times, y, coefficients, course.save_at[:-1]), ys])
    work = Work(
        drive.status,
        drive.accepted,
        drive.attempts,
        drive.transfers,
        drive.compile_s,
        drive.compiled,
    )
    record = recorded(times.detach(), y, jumps)
    return Solved(ys, terms, coefficients, times.detach(), record, state, work)
