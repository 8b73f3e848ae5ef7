"""The loop of attempts from stop to stop, eager or in compiled runs of many."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from ..steps.acceptance import CODES, RUNNING
from .attempt import attempt, judged, rejected, start
from .compiled_loops import compiled, distinct, loop, straight
from .eager_attempts import EagerAttempts
from .eager_start import start_eagerly
from .given_steps import GivenSteps, given_step
from .host_control import Proposal
from .kept_graphs import KeptGraphs
from .rows import Rows
from .schedule import Schedule
from .state import Attempt, Config, Operands, State, Tensors

#: Steps that one compiled call takes at most, and numbers that it may write: a larger buffer
#: would cost more to carry along than the calls that it saves.
LONGEST_RUN, LARGEST_RUN = 64, 16384


class StepLoop:
    """Makes attempts until the next stop is reached, or no more can be made."""

    def __init__(
        self,
        config: Config,
        differentiable: bool,
        schedule: Schedule,
        graphs: KeptGraphs | None = None,
    ) -> None:
        self.config, self.schedule, self.graphs = config, schedule, graphs
        self.differentiable = differentiable
        self.given = None if schedule.steps is None else GivenSteps(schedule.t0, *schedule.steps)
        self.status, self.accepted, self.attempts, self.transfers = RUNNING, 0, 0, 0
        self.compiled, self._seconds = "", dict[str, float]()
        self._iterations: list[torch.Tensor] = []

    @property
    def compile_s(self) -> float:
        """Seconds that it took to compile what is in use, however often it is used."""
        return sum(self._seconds.values())

    @property
    def iterations(self) -> int:
        """Newton's iterations in all attempts."""
        return int(torch.stack(self._iterations).sum()) if self._iterations else 0

    @property
    def _judges_on_host(self) -> bool:
        """Whether attempts that are not compiled are judged by numbers on the host."""
        return not self.differentiable and (self.given is not None or self.config.look_every == 1)

    def start(self, y0: torch.Tensor, ops: Operands) -> State:
        """The state before the first attempt."""
        config, schedule, shape = self.config, self.schedule, (len(ops.params), len(ops.constants))
        if self._judges_on_host and not config.compile:
            return start_eagerly(config, self.graphs, schedule, y0, ops)
        end = schedule.save_at[-1]
        size = () if schedule.first_step is None else (schedule.first_step,)

        def begin(t0: torch.Tensor, y0: torch.Tensor, end: torch.Tensor, *rest: Any) -> State:
            first, flat = rest[: len(size)], rest[len(size) :]
            asked = first[0] if first else None
            return start(config, t0, y0, _unflat(shape, flat), asked, end)

        inputs = (schedule.t0, y0, end, *size, *_flat(ops))
        if config.compile and not self.differentiable:
            key = ("start", config, shape, len(size))
            made = compiled(key, partial(straight, begin), inputs)
            self._seconds["start"] = made.seconds
            if made.call is not None:
                return State(*made.call(*inputs))
        return begin(*inputs)

    def __call__(self, state: State, ops: Operands, rows: Rows, stop: float) -> State:
        """The state at the stop, whose time the host knows as well."""
        if self.config.compile and not self.differentiable and self.given is None:
            done = self._compiled(state, ops, rows)
            if done is not None:
                return done
        if self._judges_on_host:
            return self._eagerly(state, ops, rows, stop)
        self._read(state.accepted, state.attempts, state.status)
        while self.status == RUNNING:
            if self.given is None and self.config.look_every > 1:
                state = self._look_seldom(state, ops, rows)
                continue
            given = None
            if self.given is not None:
                given = self.given.next(stop)
                if given is None:
                    self.status = CODES["failed"]
                    break
            state = self._look_at_once(state, ops, given, rows)
        return state

    def _eagerly(self, state: State, ops: Operands, rows: Rows, stop: float) -> State:
        """Make attempts that are judged on the host."""
        attempts = EagerAttempts(self.config, self.given, self.graphs, self._iterations)
        state, control = attempts(state, ops, rows, stop)
        self.accepted, self.attempts = control.accepted, control.attempts
        self.status, self.transfers = control.status, self.transfers + attempts.transfers
        return state

    def _look_at_once(
        self, state: State, ops: Operands, given: Proposal | None, rows: Rows
    ) -> State:
        """Make one attempt on autograd's graph; of a rejected one none is kept."""
        own = None if given is None else given_step(given, state.t)
        tried = attempt(self.config, state, ops, own, differentiable=self.differentiable)
        new = tried.state
        if tried.iterations is not None:
            self._iterations.append(tried.iterations)
        (taken,) = self._read(new.accepted, new.attempts, new.status, tried.accept.to(torch.int64))
        if not taken:
            return rejected(state, new)
        _append(rows, tried)
        return new

    def _look_seldom(self, state: State, ops: Operands, rows: Rows) -> State:
        """Make attempts and then look; those made past the end change nothing."""
        found, accepted = [], []
        for _ in range(self.config.look_every):
            tried = attempt(self.config, state, ops, differentiable=self.differentiable)
            goes_on = state.status == RUNNING
            found.append(tried)
            if tried.iterations is not None:
                self._iterations.append(tried.iterations * goes_on)
            accepted.append((tried.accept & goes_on).to(torch.int64))
            pairs = zip(judged(state, tried), state, strict=True)
            state = State(*(torch.where(goes_on, new, old) for new, old in pairs))
        taken = self._read(state.accepted, state.attempts, state.status, *accepted)
        for tried in (x for x, flag in zip(found, taken, strict=True) if flag):
            _append(rows, tried)
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
        run = _run_length(config, state)
        while True:
            inputs = distinct((*_buffers(config, run, state), *state, *_flat(ops)))
            shape = (len(ops.params), len(ops.constants))
            made = compiled(("run", config, run, shape), partial(_run, config, run, shape), inputs)
            self._seconds["run"] = made.seconds
            if made.call is None:
                self.compiled = made.reason
                return None
            self.compiled = "yes"
            count, *buffers = made.call(*inputs)
            buffers, state = buffers[:-8], State(*buffers[-8:])
            (filled,) = self._read(state.accepted, state.attempts, state.status, count)
            pieces = iter(buffer[:filled] for buffer in buffers)
            wanted = (True, True, config.first_slopes, config.dense, config.terms)
            rows.append(*(next(pieces) if kept else None for kept in wanted))
            if self.status != RUNNING:
                return state


def _append(rows: Rows, tried: Attempt) -> None:
    piece = (*tried.row, tried.coefficients, tried.terms)
    rows.append(*(None if x is None else x[None] for x in piece))


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
    if config.first_slopes:
        buffers.append(torch.zeros_like(buffers[2]))
    if config.dense:
        buffers.append(y.new_zeros(run, config.tableau.dense.shape[1], *shape))
    if config.terms:
        buffers.append(y.new_zeros(run, 3))
    return tuple(buffers)


def _run(config: Config, run: int, shape: tuple[int, int], inputs: Tensors) -> Any:
    """A loop of attempts that fills the rows of one run."""
    columns = 3 + config.first_slopes + config.dense + config.terms

    def condition(count: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        state = State(*rest[columns - 1 : columns + 7])
        return (state.status == RUNNING) & (count < run)

    def body(count: torch.Tensor, *rest: torch.Tensor) -> Tensors:
        buffers, state = rest[: columns - 1], State(*rest[columns - 1 : columns + 7])
        found = attempt(config, state, _unflat(shape, rest[columns + 7 :]))
        piece = (*found.row, found.coefficients, found.terms)
        written = tuple(
            buffer.index_copy(0, count[None], x[None])
            for buffer, x in zip(buffers, (x for x in piece if x is not None), strict=True)
        )
        return (count + found.accept.to(torch.int64), *written, *judged(state, found))

    return loop(condition, body, inputs[: columns + 8], inputs[columns + 8 :])
