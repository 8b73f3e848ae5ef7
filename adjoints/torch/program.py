"""Gradients of a whole problem on the open PyTorch solver."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ...problems import Problem
from ..error_bars.pieces import PIECES, words_of
from ..program import (
    BareGradient,
    BareLoss,
    Settings,
    TrainingGradient,
    Work,
    gradient_result,
    of_problem,
)
from ..result import STATUSES, GradientResult, Stats
from ..steps.acceptance import CODES
from .call import Call
from .device import numpy_named, put, put_named
from .differentiations import ByForwardMode, ByReversePass, ByTape, Differentiation
from .forward_pass import Solved
from .problem_loss import Found, Named, ProblemLoss
from .solve import solve
from .stats import rhs_evals, stats_of
from .steps_again import again
from .systems.found import solved_how

#: How the adjoints are computed that are no reverse pass of our own.
DIFFERENTIATIONS: dict[str, Callable[[ProblemLoss], Differentiation]] = {
    "tape": ByTape,
    "forward": ByForwardMode,
}


def prepare(problem: Problem, settings: Settings) -> TorchProgram:
    """The gradient of `problem` by the method named in `settings`."""
    loss = ProblemLoss(problem, settings)
    return TorchProgram(loss, DIFFERENTIATIONS.get(settings.method.adjoint, ByReversePass)(loss))


class TorchProgram:
    """A gradient of a problem's loss, differentiated in one of the ways that there are."""

    def __init__(self, loss: ProblemLoss, differentiation: Differentiation) -> None:
        self._loss = loss
        self._differentiation = differentiation

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient as NumPy arrays, with status and counts."""
        return self._result(self._found(*self._put(params, y0)))

    @property
    def engine(self) -> str:
        """What runs it, in words."""
        return self._loss.call.engine.told

    @property
    def order(self) -> int:
        """The order of the solver."""
        return self._loss.call.config.tableau.order

    @property
    def how_second(self) -> str:
        """In words, how the steps of the second gradient differ."""
        return words_of(self._loss.settings)

    def with_second(
        self, params: Mapping[str, np.ndarray], y0: np.ndarray
    ) -> tuple[GradientResult, GradientResult]:
        """The gradient, and that of the same steps cut in two, or joined in pairs."""
        tensors = self._put(params, y0)
        found = self._found(*tensors)
        first = self._result(found)
        if first.status != "ok":
            return first, first
        # What forward mode finds belongs to its transform.
        kept = self._loss.settings.method.adjoint != "forward"
        solved = found.solved if kept else self._solved(*tensors)
        call = again(self._loss.call, solved, PIECES[self._loss.settings.error_bar])
        return first, self._result(self._found(*tensors, call))

    def in_pieces(
        self, params: Mapping[str, np.ndarray], y0: np.ndarray, pieces: int, steps: int
    ) -> GradientResult:
        """The gradient of the same steps, each cut into so many pieces."""
        del steps
        tensors = self._put(params, y0)
        call = again(self._loss.call, self._solved(*tensors), pieces)
        return self._result(self._found(*tensors, call))

    def _result(self, found: Found) -> GradientResult:
        """The result of what was found."""
        forward, reverse = _statuses(found)
        return gradient_result(
            self._loss.problem,
            float(found.loss),
            numpy_named(self._loss.named(found.dparams)),
            found.dy0.cpu().numpy(),
            forward=STATUSES[forward],
            reverse=STATUSES[reverse],
            stats=self._stats(found),
        )

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        return float(self.compiled_primal(*self._put(params, y0)))

    @property
    def compiled(self) -> BareGradient:
        """``(params, y0) -> (loss, dparams, dy0)`` on tensors."""

        def call(params: Named, y0: torch.Tensor) -> tuple[torch.Tensor, Named, torch.Tensor]:
            found = self._found(params, y0)
            return found.loss, self._loss.named(found.dparams), found.dy0

        return call

    @property
    def compiled_primal(self) -> BareLoss:
        """``(params, y0) -> loss`` on tensors."""
        return lambda params, y0: self._loss.alone(self._loss.ordered(params), y0)

    def training_gradient(
        self, params: Named, y0: torch.Tensor, constants: Named, coefficients: Sequence[float] | Any
    ) -> TrainingGradient:
        """Loss and gradient with other constants and coefficients."""
        fixed = self._loss.fixed_of(constants, y0.new_tensor(coefficients))
        own = not fixed.constants and y0.shape == self._loss.problem.y0.shape
        call = None if own else self._loss.call_without_engine(y0)
        found = self._differentiation.found(self._loss.ordered(params), y0, fixed, call)
        forward, reverse = _statuses(found)
        work, back = found.solved.work, found.counts
        done = Work(
            work.accepted,
            work.attempts - work.accepted,
            rhs_evals(self._loss.call.config.tableau, work.attempts, work.iterations),
            0 if back is None else back.rhs_evals + back.vjp_evals,
        )
        status = forward if forward != CODES["ok"] else reverse
        dparams = self._loss.named(found.dparams)
        return TrainingGradient(found.loss, dparams, found.dy0, status, done)

    def _found(self, params: Named, y0: torch.Tensor, call: Call | None = None) -> Found:
        ordered = self._loss.ordered(params)
        return self._differentiation.found(ordered, y0, self._loss.fixed, call)

    def _solved(self, params: Named, y0: torch.Tensor) -> Solved:
        with torch.no_grad():
            return self._loss.solved(self._loss.ordered(params), y0, self._loss.fixed)

    def _put(
        self, params: Mapping[str, np.ndarray], y0: np.ndarray
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        return put_named(params, self._loss.device), put(y0, self._loss.device)

    def _stats(self, found: Found) -> Stats:
        compilation = self._differentiation.compilation
        return stats_of(
            self._loss.call.config.tableau,
            found.solved.work,
            found.counts,
            saved_bytes=self._differentiation.saved_bytes(found),
            compile_s=None if compilation is None else compilation.seconds,
            compiled=None if compilation is None else compilation.compiled,
            derivatives="torch",
            engine=self.engine,
            linear_solver=solved_how(self._loss.call.config, self.engine),
        )


def _statuses(found: Found) -> tuple[int, int]:
    """How the forward pass ended, and a reverse pass of our own."""
    reverse = CODES["ok"] if found.counts is None else found.counts.status
    return found.solved.work.status, reverse


def accepted_times(problem: Problem, solver: str, rtol: Any, atol: Any) -> np.ndarray:
    """The times from which the accepted steps of a problem's solve start."""
    host = torch.device("cpu")
    with torch.no_grad():
        solution = solve(
            problem.rhs,
            put(problem.y0, host),
            problem.save_at,
            put_named(problem.merged(), host),
            solver=solver,
            rtol=rtol,
            atol=atol,
            **of_problem(problem),
            mass=problem.mass,
        )
    return solution.steps[0].numpy()
