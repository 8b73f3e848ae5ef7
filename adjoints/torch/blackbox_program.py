"""The method ``torch-blackbox``: a problem's gradient by :func:`.blackbox_function.solve_blackbox`.

Results are tensors of the problem's dtype on the device asked for; the solve itself is SciPy's, on
the host. The loss is differentiated by PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ...problems import Problem
from ..program import BareGradient, BareLoss, Settings, TrainingGradient, Work, gradient_result
from ..result import STATUSES, GradientResult, Stats
from ..scipy.continuous import adjoint_solve
from ..scipy.program import forward_stats
from .autograd_loss import AutogradLoss
from .blackbox_function import Blackbox, Done, joined, solve_blackbox


def prepare(problem: Problem, settings: Settings) -> BlackboxProgram:
    """The gradient of `problem` by SciPy behind an operation of autograd."""
    box = Blackbox(adjoint_solve(problem, settings))
    return BlackboxProgram(problem, settings, box)


class BlackboxProgram:
    """The gradient of a problem by :func:`solve_blackbox`; its derivatives are compiled."""

    def __init__(self, problem: Problem, settings: Settings, box: Blackbox) -> None:
        self._problem = problem

        def loss(params: Any, y0: Any, constants: Any) -> tuple[torch.Tensor, Done]:
            theta = joined([params[name] for name in problem.params])
            ys, times, done = solve_blackbox(box, theta, y0)
            seen = problem.events_seen_by_loss(times)
            return problem.loss(ys, {**params, **constants, **seen}), done

        self._differentiable = AutogradLoss(loss, problem, settings.device)
        self._compile_s = box.compile()
        self._source = box.source

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""
        loss, done, (dparams, dy0) = self._differentiable.gradient(params, y0)
        return gradient_result(
            self._problem,
            loss,
            dparams,
            dy0,
            forward=done.trajectory.status,
            reverse=done.reverse_status,
            stats=self._stats(done),
        )

    def training_gradient(
        self, params: Any, y0: torch.Tensor, constants: Any, coefficients: Sequence[float] | Any
    ) -> TrainingGradient:
        """Loss and gradient with other constants.

        The equations keep their own constants; only the loss sees others.
        """
        del coefficients
        loss, done, dparams, dy0 = self._differentiable.differentiate(params, y0, constants)
        stats = self._stats(done)
        forward = done.trajectory.status
        status = STATUSES.index(done.reverse_status if forward == "ok" else forward)
        counts = (stats.steps, stats.rejected, stats.rhs_evals, stats.vjp_evals)
        work = Work(*(count or 0 for count in counts))
        return TrainingGradient(loss, dparams, dy0, status, work)

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        loss, done = self._differentiable.primal(params, y0)
        return loss if done.trajectory.status == "ok" else float("nan")

    @property
    def compiled(self) -> BareGradient:
        """``(params, y0) -> (loss, dparams, dy0)`` on tensors."""
        return self._differentiable.bare

    @property
    def compiled_primal(self) -> BareLoss:
        """``(params, y0) -> loss`` on tensors."""
        return self._differentiable.bare_primal

    def _stats(self, done: Done) -> Stats:
        ahead = done.trajectory.counts
        known: dict[str, Any] = {
            "compile_s": self._compile_s,
            "derivatives": self._source,
            "saved_bytes": done.trajectory.saved_bytes(),
        }
        if done.trajectory.status == "ok" and done.adjoint is not None:
            back = done.adjoint.counts
            known |= {
                "reverse_steps": back.steps,
                "reverse_rejected": back.rejected,
                "reverse_rhs_evals": 0,
                "vjp_evals": back.rhs_evals,
                "jacobian_evals": ahead.jacobian_evals + back.jacobian_evals,
                "linear_solves": ahead.linear_solves + back.linear_solves,
            }
        return forward_stats(ahead, **known)
