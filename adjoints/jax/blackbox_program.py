"""The method ``jax-blackbox``: a problem's gradient by :func:`.blackbox.solve_blackbox`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...problems import Problem
from ..program import Settings
from ..result import STATUSES, GradientResult, Stats, failed_result, how_it_ended
from ..scipy.continuous import reverse_options
from ..scipy.flat import flat_system
from ..scipy.program import forward_options
from ..scipy.segments import schedule
from . import callback_arrays
from .blackbox_primitive import COUNTS, Blackbox, solve_blackbox
from .compiled_loss import CompiledLoss


def prepare(problem: Problem, settings: Settings) -> BlackboxProgram:
    """The gradient of `problem` by SciPy behind a callback, compiled."""
    options = forward_options(problem, settings)
    reverse = reverse_options(
        options, settings.adjoint_solver, settings.adjoint_rtol, settings.adjoint_atol
    )
    box = Blackbox(flat_system(problem), schedule(problem), options, reverse)
    return BlackboxProgram(problem, settings, box)


class BlackboxProgram:
    """The gradient of a problem by :func:`solve_blackbox`, compiled."""

    def __init__(self, problem: Problem, settings: Settings, box: Blackbox) -> None:
        self._problem = problem
        self._source = "jax" if problem.jacobian is None else "problem"

        def loss(params: Any, y0: Any, probe: Any, constants: Any) -> tuple[Any, Any]:
            # Not in the order of the dict that arrives here: JAX sorts its keys.
            theta = callback_arrays.joined([params[name] for name in problem.params], y0.dtype)
            ys, report = solve_blackbox(box, theta, y0.reshape(-1), probe, constants)
            p = {**params, **constants}
            return problem.loss(ys.reshape((-1, *y0.shape)), p), report

        probe = np.zeros(len(COUNTS), problem.dtype)
        self._compiled = CompiledLoss(loss, problem, settings.device, (probe,))

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""
        loss, report, (dparams, dy0, probe) = self._compiled.gradient(params, y0)
        ahead = dict(zip(COUNTS, map(int, report), strict=True))
        back = dict(zip(COUNTS, map(int, probe), strict=True))
        stats = self._stats(ahead, back)
        ended = how_it_ended(
            STATUSES[ahead["status"]], STATUSES[back["status"]], loss, dparams, dy0
        )
        if ended is not None:
            return failed_result(self._problem, *ended, stats=stats)
        return GradientResult(float(loss), dparams, dy0, stats=stats)

    def traced_gradient(
        self, params: Any, y0: Any, constants: Any, coefficients: Any
    ) -> tuple[Any, Any, Any, dict[str, Any]]:
        """As that of :class:`~adjointbench.adjoints.jax.program.JaxProgram`.

        The equations keep their own constants; only the loss sees others.
        """
        del coefficients
        found = self._compiled.traced_gradient(params, y0, constants)
        loss, report, (dparams, dy0, probe) = found
        ahead = dict(zip(COUNTS, report, strict=True))
        back = dict(zip(COUNTS, probe.astype(report.dtype), strict=True))
        return (
            loss,
            dparams,
            dy0,
            {
                "status": jnp.where(ahead["status"] == 0, back["status"], ahead["status"]),
                "steps": ahead["steps"],
                "rejected": ahead["rejected"],
                "rhs_evals": ahead["rhs_evals"],
                "reverse_evals": ahead["rhs_evals"] + back["rhs_evals"],
            },
        )

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        loss, report = self._compiled.primal(params, y0)
        return float("nan") if report[0] else float(loss)

    @property
    def compiled(self) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
        """The compiled ``(params, y0) -> (loss, dparams, dy0)`` on JAX arrays."""
        return self._compiled.bare

    @property
    def compiled_primal(self) -> Callable[[Any, Any], Any]:
        """The compiled ``(params, y0) -> loss`` on JAX arrays."""
        return self._compiled.bare_primal

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
            compile_s=self._compiled.compile_s,
            derivatives=self._source,
        )


def _known(count: int) -> int | None:
    return None if count < 0 else count
