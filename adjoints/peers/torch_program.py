"""What the PyTorch peers share: equations that count, failures as statuses, the ``Program``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...problems import Problem
from ..program import Settings, TrainingGradient, Work, failed_result, gradient_result
from ..result import STATUSES, GradientResult, Stats
from ..torch.autograd_loss import AutogradLoss
from ..torch.saved_bytes import SavedBytes
from .refusals import refuse_jumps

Named = Mapping[str, torch.Tensor]


class Breakdown(Exception):
    """A solve ended early, with one of our statuses."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Counts:
    """Work of one pass."""

    evals: int = 0
    steps: int = 0
    rejected: int = 0


class Equations:
    """The right-hand side ``(t, y) -> dy/dt`` at some parameters, with counts of the work.

    Attributes
    ----------
    params : mapping of str to Tensor
    forward, reverse : Counts
        Work until ``turn_around`` was called, and since.
    """

    def __init__(self, problem: Problem, params: Named, constants: Named, max_steps: int) -> None:
        self.params = params
        self.forward, self.reverse = Counts(), Counts()
        self._now = self.forward
        self._rhs = problem.rhs
        self._constants = constants
        self._max_steps = max_steps

    def __call__(
        self, t: torch.Tensor, y: torch.Tensor, params: Named | None = None
    ) -> torch.Tensor:
        """``rhs(t, y, p)``, with other tensors for the parameters if given."""
        self._now.evals += 1
        return self._rhs(t, y, {**(self.params if params is None else params), **self._constants})

    def turn_around(self) -> None:
        """From now on it is the reverse pass that calls."""
        self._now = self.reverse

    @property
    def phase(self) -> str:
        """``"forward"`` or ``"reverse"``."""
        return "forward" if self._now is self.forward else "reverse"

    def count_steps(self, accepted: int, rejected: int) -> None:
        """Add steps to the pass that goes on; ``Breakdown`` where it has taken too many."""
        self._now.steps += accepted
        self._now.rejected += rejected
        if self._now.steps + self._now.rejected > self._max_steps:
            raise Breakdown("max_steps")


#: ``solve(equations, y0)``: the states at the start and at the saves after it, as one tensor.
Solve = Callable[[Equations, torch.Tensor], torch.Tensor]


class TorchPeerProgram:
    """A gradient by autograd of what `solve` returns.

    Parameters
    ----------
    problem : Problem
    settings : Settings
    solve : callable
        ``solve(equations, y0)``: the states at ``start_and_saves(problem)``. It raises
        ``Breakdown``, or an ``AssertionError`` of the library.
    continuous : bool
        Whether the reverse pass is a solve of its own, and not a sweep over the forward steps.
    assertions : mapping of str to str, optional
        How messages of the library's assertions start, and the status that each stands for.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        solve: Solve,
        *,
        continuous: bool,
        assertions: Mapping[str, str] | None = None,
    ) -> None:
        refuse_jumps(problem, settings)
        self._problem = problem
        self._max_steps = settings.max_steps
        self._solve = solve
        self._continuous = continuous
        self._assertions = dict(assertions or {})
        self._autograd = AutogradLoss(self._loss, problem, settings.device)
        self._latest = Equations(problem, {}, {}, settings.max_steps)
        self._saved_bytes: int | None = None

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""
        try:
            loss, _, (dparams, dy0) = self._autograd.gradient(params, y0)
        except (Breakdown, AssertionError) as error:
            status, phase = self._status(error), self._latest.phase
            return failed_result(self._problem, status, phase, stats=self._stats())
        return gradient_result(self._problem, loss, dparams, dy0, stats=self._stats())

    def training_gradient(
        self, params: Named, y0: torch.Tensor, constants: Named, coefficients: Sequence[float] | Any
    ) -> TrainingGradient:
        """Loss and gradient with other constants, for the equations too."""
        del coefficients
        status = "ok"
        try:
            loss, _, dparams, dy0 = self._autograd.differentiate(params, y0, constants)
        except (Breakdown, AssertionError) as error:
            status, loss = self._status(error), y0.new_tensor(torch.nan)
            dparams = {name: torch.full_like(value, torch.nan) for name, value in params.items()}
            dy0 = torch.full_like(y0, torch.nan)
        forward, reverse = self._latest.forward, self._latest.reverse
        backwards = 2 * reverse.evals if self._continuous else forward.evals
        work = Work(forward.steps, forward.rejected, forward.evals, backwards)
        return TrainingGradient(loss, dparams, dy0, STATUSES.index(status), work)

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        try:
            return self._autograd.primal(params, y0)[0]
        except (Breakdown, AssertionError) as error:
            self._status(error)
            return float("nan")

    def compiled(
        self, params: Named, y0: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        """``(params, y0) -> (loss, dparams, dy0)`` on tensors; NaN after a breakdown."""
        try:
            return self._autograd.bare(params, y0)
        except (Breakdown, AssertionError) as error:
            self._status(error)
            nan = {name: torch.full_like(value, torch.nan) for name, value in params.items()}
            return y0.new_tensor(torch.nan), nan, torch.full_like(y0, torch.nan)

    def compiled_primal(self, params: Named, y0: torch.Tensor) -> torch.Tensor:
        """``(params, y0) -> loss`` on tensors; NaN after a breakdown."""
        try:
            return self._autograd.bare_primal(params, y0)
        except (Breakdown, AssertionError) as error:
            self._status(error)
            return y0.new_tensor(torch.nan)

    def _loss(
        self, params: Named, y0: torch.Tensor, constants: Named
    ) -> tuple[torch.Tensor, Equations]:
        problem = self._problem
        self._latest = equations = Equations(problem, params, constants, self._max_steps)
        # Counted once: the hooks take about as long as the operations that they watch.
        count = self._saved_bytes is None and torch.is_grad_enabled()
        counter = SavedBytes(*params.values(), *constants.values(), y0) if count else nullcontext()
        with counter as saved:
            ys = self._solve(equations, y0)[_saves_of(problem)]
            loss = problem.loss(ys, {**params, **constants})
        if saved is not None:
            self._saved_bytes = saved.total
        equations.turn_around()
        return loss, equations

    def _status(self, error: Exception) -> str:
        """The status that `error` stands for; raised again if it stands for none."""
        if isinstance(error, Breakdown):
            return error.status
        for start, status in self._assertions.items():
            if str(error).startswith(start):
                return status
        raise error

    def _stats(self) -> Stats:
        forward, reverse = self._latest.forward, self._latest.reverse
        swept = reverse if self._continuous else forward
        return Stats(
            steps=forward.steps,
            rejected=forward.rejected,
            rhs_evals=forward.evals,
            reverse_steps=swept.steps if self._latest.phase == "reverse" else 0,
            reverse_rejected=reverse.rejected,
            reverse_rhs_evals=reverse.evals,
            vjp_evals=reverse.evals if self._continuous else None,
            saved_bytes=self._saved_bytes,
            derivatives="torch",
        )


def start_and_saves(problem: Problem) -> np.ndarray:
    """The start, and the saves after it; in float64."""
    saves = problem.save_at.astype(np.float64)
    return np.concatenate([[problem.t_span[0]], saves[saves > problem.t_span[0]]])


def _saves_of(problem: Problem) -> slice:
    """Where the saves are among :func:`start_and_saves`."""
    return slice(0 if problem.save_at[0] == problem.t_span[0] else 1, None)


def reverse_tolerance(tolerance: float | np.ndarray, problem: Problem) -> tuple[Any, ...]:
    """A tolerance of time's adjoint, the state, its adjoint, and every parameter.

    What is given per component of the state holds for its adjoint too; for the others, which
    have none of their own, the smallest.
    """
    smallest = float(np.min(tolerance))
    each = np.ravel(tolerance) if np.ndim(tolerance) else smallest
    return (smallest, each, each, *(smallest for _ in problem.params))
