"""The method ``jax-blackbox``: a problem's gradient by :func:`.blackbox.solve_blackbox`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...problems import Problem
from ..program import Settings, Work, gradient_result
from ..result import STATUSES, GradientResult, Stats
from ..scipy.continuous import adjoint_solve
from . import callback_arrays
from .blackbox_primitive import COUNTS, Blackbox, solve_blackbox
from .compiled_loss import CompiledLoss, LossProgram


def prepare(problem: Problem, settings: Settings) -> BlackboxProgram:
    """The gradient of `problem` by SciPy behind a callback, compiled."""
    box = Blackbox(adjoint_solve(problem, settings, problem.dtype))
    return BlackboxProgram(problem, settings, box)


class BlackboxProgram(LossProgram):
    """The gradient of a problem by :func:`solve_blackbox`, compiled."""

    def __init__(self, problem: Problem, settings: Settings, box: Blackbox) -> None:
        self._source = "jax" if problem.jacobian is None else "problem"

        def loss(params: Any, y0: Any, probe: Any, constants: Any) -> tuple[Any, Any]:
            # Not in the order of the dict that arrives here: JAX sorts its keys.
            theta = callback_arrays.joined([params[name] for name in problem.params], y0.dtype)
            ys, times, report = solve_blackbox(box, theta, y0.reshape(-1), probe, constants)
            p = {**params, **constants, **problem.events_seen_by_loss(times)}
            return problem.loss(ys.reshape((-1, *y0.shape)), p), report

        probe = np.zeros(len(COUNTS), problem.dtype)
        super().__init__(problem, CompiledLoss(loss, problem, settings.device, (probe,)))

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""
        loss, report, (dparams, dy0, probe) = self.loss.gradient(params, y0)
        ahead = dict(zip(COUNTS, map(int, report), strict=True))
        back = dict(zip(COUNTS, map(int, probe), strict=True))
        return gradient_result(
            self.problem,
            loss,
            dparams,
            dy0,
            forward=STATUSES[ahead["status"]],
            reverse=STATUSES[back["status"]],
            stats=self._stats(ahead, back),
        )

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        loss, report = self.loss.primal(params, y0)
        return float("nan") if report[0] else float(loss)

    def status_and_work(self, report: Any, *extra: Any) -> tuple[Any, Work]:
        """From the counts of both passes, those of the reverse pass as the probe's gradient."""
        (probe,) = extra
        ahead = dict(zip(COUNTS, report, strict=True))
        back = dict(zip(COUNTS, probe.astype(report.dtype), strict=True))
        return (
            jnp.where(ahead["status"] == 0, back["status"], ahead["status"]),
            Work(
                ahead["steps"],
                ahead["rejected"],
                ahead["rhs_evals"],
                ahead["rhs_evals"] + back["rhs_evals"],
            ),
        )

    def _stats(self, ahead: dict[str, int], back: dict[str, int]) -> Stats:
        return Stats(
            steps=ahead["steps"],
            rejected=_known(ahead["rejected"]),
            rhs_evals=ahead["rhs_evals"],
            jacobian_evals=ahead["jacobian_evals"] + back["jacobian_evals"],
            linear_solves=ahead["linear_solves"] + back["linear_solves"],
            reverse_steps=back["steps"],
            reverse_rejected=_known(back["rejected"]),
            reverse_rhs_evals=ahead["rhs_evals"],
            vjp_evals=back["rhs_evals"],
            compile_s=self.loss.compile_s,
            derivatives=self._source,
        )


def _known(count: int) -> int | None:
    return None if count < 0 else count
