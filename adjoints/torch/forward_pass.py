"""The recorded solve: attempts from stop to stop, and what a reverse pass needs of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from ..steps.acceptance import CODES, RUNNING
from .rows import Rows
from .schedule import CONSISTENT, Schedule, Segments
from .state import Config, Operands, State, Tensors
from .step_loop import StepLoop
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
    save_at = schedule.save_at[: schedule.inner] if config.dense and schedule.inner else None
    rows, jumps, counts = Rows(keep, config.window, save_at), [], []
    segments = schedule.segments()
    ops = _operands(params, constants, schedule, segments, 0)
    loop = StepLoop(config, differentiable, schedule)
    begins = None
    if schedule.consistent is not None:
        jumps.append(Jumped(CONSISTENT, schedule.t0, y0, 0))
        y0, begins = schedule.consistent(schedule.t0, y0, (params, constants))
    state = loop.start(y0, ops)
    if begins is not None:
        status = torch.where(begins == RUNNING, state.status, begins)
        state = state._replace(status=status)
    for k, numbers in enumerate(segments.jumps):
        ops = _operands(params, constants, schedule, segments, k)
        if k > 0:
            clip = clipper(config, ops.lower, ops.upper)
            slope = config.rhs(clip(state.t), state.y, (params, constants))
            state = state._replace(slope=slope, status=torch.full_like(state.status, RUNNING))
        state = loop(state, ops, rows, schedule.stops.times[schedule.stops.first + k])
        counts.append(loop.accepted)
        if loop.status != CODES["ok"]:
            break
        for number in numbers:
            jumps.append(Jumped(number, state.t, state.y, loop.accepted))
            state = state._replace(y=schedule.jumped(number, state.t, state.y, (params, constants)))
    record = (tuple(jumps), tuple(counts))
    return _finished(config, schedule, rows, record, state, loop)


def _operands(
    params: Tensors, constants: Tensors, schedule: Schedule, segments: Segments, k: int
) -> Operands:
    """What the attempts within segment `k` read."""
    own = (segments.ends[k], segments.lower[k], segments.upper[k])
    return Operands(params, constants, schedule.rtol, schedule.atol, *own)


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
