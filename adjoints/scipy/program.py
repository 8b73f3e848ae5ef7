"""From a flat computation to the program that ``prepare`` returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...problems import Problem
from ..program import NumpyProgram, Settings, failed_result, gradient_result
from ..result import GradientResult, Stats
from .counted import Counts
from .flat import pack, unpack
from .integrate import Options


@dataclass(frozen=True)
class Outcome:
    """What a flat computation found.

    ``status`` is ``"ok"``, or ``phase`` tells where it broke down and the numbers count for
    nothing.
    """

    loss: float = np.nan
    dtheta: np.ndarray = field(default_factory=lambda: np.zeros(0))
    dy0: np.ndarray = field(default_factory=lambda: np.zeros(0))
    status: str = "ok"
    phase: str = "forward"
    message: str = ""
    stats: Stats = field(default_factory=Stats)


class ScipyProgram(NumpyProgram):
    """A prepared gradient by a computation on flat vectors.

    Parameters
    ----------
    problem : Problem
    compute : callable
        ``compute(theta, y0) -> Outcome`` on flat float64 vectors.
    loss : callable
        ``loss(theta, y0) -> float``, NaN after a breakdown.
    compile_s : float
        Seconds spent compiling derivatives.
    """

    def __init__(
        self,
        problem: Problem,
        compute: Callable[[np.ndarray, np.ndarray], Outcome],
        loss: Callable[[np.ndarray, np.ndarray], float],
        compile_s: float | None = None,
    ) -> None:
        super().__init__(problem)
        self._compute = compute
        self._loss = loss
        self._compile_s = compile_s

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""
        out = self._compute(*_flat(params, y0))
        stats = replace(out.stats, compile_s=self._compile_s)
        if out.status != "ok":
            return failed_result(self.problem, out.status, out.phase, out.message, stats)
        # In the problem's own precision, which a gradient may be too large for.
        return gradient_result(self.problem, out.loss, *self._shaped(out), stats=stats)

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        return self._loss(*_flat(params, y0))

    def _shaped(self, out: Outcome) -> tuple[dict[str, np.ndarray], np.ndarray]:
        problem = self.problem
        shapes = {name: value.shape for name, value in problem.params.items()}
        with np.errstate(over="ignore"):
            dtheta, dy0 = (v.astype(problem.dtype) for v in (out.dtheta, out.dy0))
        return unpack(dtheta, shapes), dy0.reshape(problem.y0.shape)


def forward_options(problem: Problem, settings: Settings) -> Options:
    """Solver, tolerances and limits of the forward solve."""
    return Options(
        solver=settings.solver,
        rtol=flat_tolerance(settings.rtol),
        atol=flat_tolerance(settings.atol),
        max_steps=settings.max_steps,
        first_step=settings.first_step,
    )


def flat_tolerance(tolerance: float | np.ndarray) -> float | np.ndarray:
    """A number as it is, an array of the state's shape as a flat one."""
    return tolerance if np.ndim(tolerance) == 0 else np.ravel(tolerance)


def forward_stats(counts: Counts, **others: Any) -> Stats:
    """The counts of a forward solve, and whatever else is known."""
    known: dict[str, Any] = {
        "steps": counts.steps,
        "rejected": counts.rejected,
        "rhs_evals": counts.rhs_evals,
        "jacobian_evals": counts.jacobian_evals,
        "linear_solves": counts.linear_solves,
    }
    return Stats(**{**known, **others})


def _flat(params: Mapping[str, np.ndarray], y0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return pack(params), np.ravel(y0).astype(np.float64)
