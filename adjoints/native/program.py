"""The gradient of a problem by its native program."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...problems import Problem
from ..error_bars.pieces import PIECES, words_of
from ..events.held_program import with_held_times
from ..program import NumpyProgram, Program, Settings, failed_result, gradient_result
from ..result import GradientResult, Stats
from ..scipy.flat import pack, unpack
from ..steps.tableaus import tableau
from .compiled_loop import CompiledLoop, Found
from .compiler import NoCompilerError
from .translation import UntranslatableError

Params = Mapping[str, np.ndarray]


def prepare(problem: Problem, settings: Settings) -> Program:
    """The gradient of `problem`, compiled; anew where parameters move a time."""
    return with_held_times(NativeProgram)(problem, settings)


class NativeProgram(NumpyProgram):
    """A prepared gradient by a compiled loop.

    Parameters
    ----------
    problem : Problem
    settings : Settings
    """

    def __init__(self, problem: Problem, settings: Settings) -> None:
        super().__init__(problem)
        self._settings = settings
        self._tableau = tableau(settings.solver)
        started = time.perf_counter()
        try:
            self._loop = CompiledLoop(
                problem,
                self._tableau,
                settings.rtol,
                settings.atol,
                settings.first_step,
                settings.max_steps,
            )
        except (UntranslatableError, NoCompilerError) as error:
            raise ValueError(
                f"method={settings.method.name!r} does not take problem {problem.name!r}: {error}; "
                "use jax-discrete, torch-discrete or scipy-adjoint"
            ) from error
        self._compile_s = time.perf_counter() - started

    def gradient(self, params: Params, y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""
        return self._result(self._loop(pack(params), y0))

    def primal(self, params: Params, y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        return self._loop(pack(params), y0, wanted=False).loss

    @property
    def order(self) -> int:
        """That of the solver."""
        return self._tableau.order

    @property
    def how_second(self) -> str:
        """In words, how the steps of the second gradient differ."""
        return words_of(self._settings)

    def with_second(self, params: Params, y0: np.ndarray) -> tuple[GradientResult, GradientResult]:
        """The gradient, and that of the same steps cut in two, or joined in pairs."""
        first = self.gradient(params, y0)
        if first.status != "ok":
            return first, first
        pieces = int(PIECES[self._settings.error_bar])
        return first, self.in_pieces(params, y0, pieces, first.stats.steps or 1)

    def in_pieces(self, params: Params, y0: np.ndarray, pieces: int, steps: int) -> GradientResult:
        """The gradient of the same steps, each cut into so many pieces; none: joined in pairs."""
        return self._result(self._loop(pack(params), y0, pieces=pieces))

    def _result(self, found: Found) -> GradientResult:
        stats = self._stats(found)
        if found.status != "ok":
            return failed_result(self.problem, found.status, "forward", stats=stats)
        shapes = {name: value.shape for name, value in self.problem.params.items()}
        dparams = unpack(found.dtheta, shapes)
        return gradient_result(self.problem, found.loss, dparams, found.dy0, stats=stats)

    def _stats(self, found: Found) -> Stats:
        tab = self._tableau
        back = found.swept * tab.steps
        jacobians = found.attempts + found.swept if tab.implicit else None
        solves = (found.attempts + 2 * found.swept) * tab.steps if tab.implicit else None
        return Stats(
            steps=found.steps,
            rejected=found.attempts - found.steps,
            rhs_evals=(2 if tab.adaptive else 1) + found.attempts * tab.steps,
            reverse_steps=found.swept,
            reverse_rejected=0,
            reverse_rhs_evals=back,
            vjp_evals=back,
            compile_s=self._compile_s,
            engine="native",
            derivatives="symbolic",
            jacobian_evals=jacobians,
            linear_solves=solves,
        )


def accepted_times(problem: Problem, solver: str, rtol: Any, atol: Any) -> np.ndarray:
    """The times from which the accepted steps of a problem's solve start."""
    loop = CompiledLoop(problem, tableau(solver), rtol, atol)
    return loop.accepted_times(pack(problem.params), problem.y0)
