"""Attempts made one by one with PyTorch's own operations, each judged before the next is made."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch

from ..steps.acceptance import CODES, RUNNING, Step, control_error
from .attempt import terms_of_step
from .events.detection import Watch
from .explicit_stages import take_explicit
from .given_steps import GivenSteps
from .host_control import HostControl, Proposal
from .rows import Rows
from .state import Config, Operands, Row, State
from .step_norms import Judgement, judgement_of
from .stepping import dense_of_step, take


@dataclass
class EagerAttempts:
    """Makes attempts until a stop is reached, or no more can be made.

    Attributes
    ----------
    config
    given : GivenSteps, optional
        The steps to take, without control.
    iterations : list of tensor
        Newton's, of each attempt.
    watch : Watch, optional
        Looks at every accepted step for events; one that has any is not taken.
    transfers : int
        How often the host waited for numbers from the device.
    """

    config: Config
    given: GivenSteps | None = None
    iterations: list[torch.Tensor] = field(default_factory=list)
    watch: Watch | None = None
    transfers: int = 0

    def __call__(
        self, state: State, ops: Operands, rows: Rows, stop: float
    ) -> tuple[State, HostControl]:
        """The state at the stop, or before a step with an event; and the counts and the status.

        Parameters
        ----------
        state, ops, rows
        stop : float
            The time of the stop, which `ops` have on the device.
        """
        control, y, slope = HostControl(self.config, state, ops), state.y, state.slope
        self.transfers += 1
        while control.status == RUNNING:
            tried = control.proposed() if self.given is None else self.given.next(stop)
            if tried is None:
                control.status = CODES["failed"]
                break
            row = self._row(control, tried, y, slope)
            step = self._step(row, slope, ops)
            judgement, failure = self._judgement(control, tried, row, step, ops)
            before = copy.copy(control)
            if not control.judged(tried, judgement.error, failure, given=self.given is not None):
                continue
            coefficients = dense_of_step(self.config, row, step, ops) if self.config.dense else None
            if self._has_event(row, coefficients, ops):
                control = before.taken_back(control)
                break
            self._record(rows, row, coefficients, step, ops, judgement)
            y, slope = step.y1, step.slope
        return control.state(y, slope), control

    def _has_event(self, row: Row, coefficients: torch.Tensor | None, ops: Operands) -> bool:
        """Whether an accepted step meets an event."""
        if self.watch is None:
            return False
        assert coefficients is not None
        t, h = row.times[:2]
        return self.watch.look(t, h, row.y, coefficients, ops)

    def _row(
        self, control: HostControl, tried: Proposal, y: torch.Tensor, slope: torch.Tensor
    ) -> Row:
        """The numbers of a step to try, and its start."""
        numbers = [float(x) for x in (tried.t, tried.h, tried.t1, *control.bounds)]
        times = y.new_tensor(numbers)
        if self.config.keeps_slopes:
            times = torch.cat([times, slope.reshape(-1)])
        return Row(times, y, slope if self.config.first_slopes else None)

    def _step(self, row: Row, slope: torch.Tensor, ops: Operands) -> Step:
        step_by = take if self.config.tableau.implicit else take_explicit
        return step_by(self.config, row.times, row.y, slope, ops, order=0)

    def _judgement(
        self, control: HostControl, tried: Proposal, row: Row, step: Step, ops: Operands
    ) -> tuple[Judgement, int]:
        """The numbers that decide, fetched, and the step's own status code."""
        self.transfers += 1
        if not self.config.tableau.implicit:
            return judgement_of(self.config, step, row.y, tried.h, ops), RUNNING
        error = control_error(
            self.config.tableau,
            step,
            row.y,
            row.times[1],
            ops.rtol,
            ops.atol,
            torch.full((), bool(tried.h < control.h), device=row.y.device),
            controlled=self.config.controlled,
            components=self.config.components,
        )
        assert step.failure is not None
        if step.linear_solves is not None:
            self.iterations.append(step.linear_solves)
        found, failure = torch.stack([error, step.failure.to(error.dtype)]).tolist()
        return Judgement(tried.h.dtype.type(found), None), int(failure)

    def _record(
        self,
        rows: Rows,
        row: Row,
        coefficients: torch.Tensor | None,
        step: Step,
        ops: Operands,
        judgement: Judgement,
    ) -> None:
        """Record an accepted step."""
        config, terms = self.config, None
        if config.terms and judgement.terms is not None:
            terms = row.y.new_tensor([float(x) for x in judgement.terms])
        elif config.terms:
            terms = terms_of_step(config, step, row.y, row.times[1], ops)
        rows.append(*(None if x is None else x[None] for x in (*row, coefficients, terms)))
