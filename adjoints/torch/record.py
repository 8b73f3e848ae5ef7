"""The recorded solve: attempts driven from stop to stop, and what a reverse pass needs of them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch

from ..attempts import CODES, RUNNING
from .course import Course, Rows, bounds
from .drive import Drive
from .integrate import evaluate
from .state import Config, Operands, State, Tensors
from .stepping import clipper


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
    drive = Drive(config, differentiable, course)
    ends = (*course.stops.times, None)
    end = course.save_at[-1]
    rows, jumps = Rows(keep), []
    state: State | None = None
    for k, (time, number) in enumerate(zip(ends, course.stops.jumps, strict=True)):
        ops = _operands(params, constants, course, k, end if time is None else time)
        if state is None:
            state = drive.start(y0, ops, end)
        elif config.breaks:
            inside = clipper(config, ops.lower, ops.upper)(state.t)
            slope = config.rhs(inside, state.y, (params, constants))
            state = state._replace(slope=slope, status=torch.full_like(state.status, RUNNING))
        state = drive(state, ops, rows)
        if drive.status != CODES["ok"]:
            break
        if number >= 0 and course.jump is not None:
            jumps.append(Jumped(number, state.t, state.y, drive.accepted))
            state = state._replace(y=course.jump(number, state.t, state.y, (params, constants)))
    assert state is not None
    return _finished(config, course, rows, tuple(jumps), state, drive)


def _operands(params: Tensors, constants: Tensors, course: Course, k: int, stop: Any) -> Operands:
    """What the attempts up to stop number `k` read."""
    stop = torch.as_tensor(stop, dtype=course.t0.dtype, device=course.t0.device)
    lower, upper = (bound[k] for bound in bounds(course))
    return Operands(params, constants, course.rtol, course.atol, stop, lower, upper)


def _finished(
    config: Config,
    course: Course,
    rows: Rows,
    jumps: tuple[Jumped, ...],
    state: State,
    drive: Drive,
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
