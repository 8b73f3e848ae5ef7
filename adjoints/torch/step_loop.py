"""The loop of attempts from stop to stop, eager or in compiled runs of many."""

from __future__ import annotations

from typing import Any

import torch

from ..steps.acceptance import CODES, RUNNING
from .attempt import attempt, judged, rejected, start
from .compiled_programs import Compiled, compiled
from .compiled_runs import run_compiled
from .compiled_steps import Attempts
from .eager_attempts import EagerAttempts
from .eager_start import start_eagerly
from .events.detection import Watch
from .given_steps import GivenSteps, given_step
from .host_control import Proposal
from .program_inputs import Source, in_loops, open_axes, unflat
from .rows import Rows
from .schedule import Schedule
from .state import Attempt, Config, Operands, State


class StepLoop:
    """Makes attempts until the next stop is reached, or no more can be made."""

    def __init__(self, config: Config, differentiable: bool, schedule: Schedule) -> None:
        self.config, self.schedule = config, schedule
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
            return start_eagerly(config, schedule, y0, ops)
        end = schedule.save_at[-1]
        size = () if schedule.first_step is None else (schedule.first_step,)

        def begin(t0: torch.Tensor, y0: torch.Tensor, end: torch.Tensor, *rest: Any) -> State:
            first, named = rest[: len(size)], rest[len(size) :]
            asked = first[0] if first else None
            return start(config, t0, y0, unflat(shape, named), asked, end)

        along = (schedule.t0, y0, end, *size, *ops[2:])
        inputs = (*along, *ops.params, *ops.constants)
        if config.compile and not self.differentiable:
            axes = open_axes(config, y0, along, sum(shape))
            key = ("start", config, shape, len(size))
            made = compiled(key, lambda inputs: Source(begin), inputs, axes)
            self._seconds["start"] = made.seconds
            if made.call is not None:
                return State(*made.call(inputs))
        return begin(*inputs)

    def __call__(
        self, state: State, ops: Operands, rows: Rows, stop: float, watch: Watch | None = None
    ) -> State:
        """The state at the stop, whose time the host knows as well.

        Where a `watch` sees an event before, it is the state before the step with it.
        """
        if self.config.compile and not self.differentiable and self.given is None:
            done = self._compiled(state, ops, rows)
            if done is not None:
                return done
        if self._judges_on_host:
            return self._eagerly(state, ops, rows, stop, watch)
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
            state = self._look_at_once(state, ops, given, rows, watch)
            if watch is not None and watch.seen is not None:
                break
        return state

    def _eagerly(
        self, state: State, ops: Operands, rows: Rows, stop: float, watch: Watch | None
    ) -> State:
        """Make attempts that are judged on the host."""
        attempts = EagerAttempts(self.config, self.given, self._iterations, watch)
        state, control = attempts(state, ops, rows, stop)
        self.accepted, self.attempts = control.accepted, control.attempts
        self.status, self.transfers = control.status, self.transfers + attempts.transfers
        return state

    def _look_at_once(
        self,
        state: State,
        ops: Operands,
        given: Proposal | None,
        rows: Rows,
        watch: Watch | None = None,
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
        if watch is not None and tried.coefficients is not None:
            t, h = tried.row.times[:2]
            if watch.look(t, h, tried.row.y, tried.coefficients, ops):
                return self._taken_back(state, new)
        _append(rows, tried)
        return new

    def _taken_back(self, state: State, tried: State) -> State:
        """The state before an attempt that was accepted, as if it had been rejected."""
        self.accepted -= 1
        full = self.attempts >= self.config.max_steps
        self.status = CODES["max_steps"] if full else RUNNING
        status = torch.full_like(state.status, self.status)
        return state._replace(attempts=tried.attempts, status=status)

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
        return self._read_together(torch.stack(numbers))

    def _read_together(self, numbers: torch.Tensor) -> list[int]:
        """The same of numbers in one tensor."""
        found = numbers.tolist()
        self.accepted, self.attempts, self.status = found[:3]
        self.transfers += 1
        return found[3:]

    def _compiled(self, state: State, ops: Operands, rows: Rows) -> State | None:
        """The same by compiled programs; ``None`` where there is no compiler."""
        done = self._by_runs if in_loops(state.y) else self._by_steps
        return done(state, ops, rows)

    def _by_runs(self, state: State, ops: Operands, rows: Rows) -> State | None:
        """By runs of many attempts each."""
        while True:
            made, run = run_compiled(self.config, state, ops)
            if not self._is_compiled("run", made):
                return None
            count, pieces, state = run()
            (filled,) = self._read(state.accepted, state.attempts, state.status, count)
            rows.append(*(None if x is None else x[:filled] for x in pieces))
            if self.status != RUNNING:
                return state

    def _by_steps(self, state: State, ops: Operands, rows: Rows) -> State | None:
        """By one attempt after the other."""
        attempts = Attempts(self.config, state, ops)
        if not self._is_compiled("attempt", attempts.made):
            return None
        while True:
            tried = attempts(state, ops)
            (taken,) = self._read_together(tried.numbers)
            if taken:
                rows.append(*(None if x is None else x[None] for x in tried.row))
            state = tried.state
            if self.status != RUNNING:
                return state

    def _is_compiled(self, part: str, made: Compiled) -> bool:
        """Whether there is a program, after its seconds and the reason were noted."""
        self._seconds[part] = made.seconds
        self.compiled = "yes" if made.call is not None else made.reason
        return made.call is not None


def _append(rows: Rows, tried: Attempt) -> None:
    piece = (*tried.row, tried.coefficients, tried.terms)
    rows.append(*(None if x is None else x[None] for x in piece))
