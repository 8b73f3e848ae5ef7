"""Problems whose times move, on methods that know jumps at given times alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

import numpy as np

from ...problems import Problem
from ...problems.moving_times import moves
from ..program import NumpyProgram, Program, Settings, failed_result
from ..result import GradientResult
from .held_times import held_problem

Params = Mapping[str, np.ndarray]
#: ``build(problem, settings)``.
Build = Callable[[Problem, Settings], Program]

#: How many programs are kept.
KEPT = 8


def with_held_times(build: Build) -> Build:
    """`build`, for problems whose times move as well."""

    def built(problem: Problem, settings: Settings) -> Program:
        if not moves(problem):
            return build(problem, settings)
        return HeldProgram(problem, settings, build)

    return built


class HeldProgram(NumpyProgram):
    """The gradient of a problem by that of the same problem with its times held.

    It is built anew, and compiled, where a call's parameters move a time.

    Parameters
    ----------
    problem : Problem
    settings : Settings
    build : callable
        Makes the program of a problem without moving times.
    """

    def __init__(self, problem: Problem, settings: Settings, build: Build) -> None:
        super().__init__(problem)
        self._settings, self._build = settings, build
        self._programs: OrderedDict[tuple[float, ...], Program] = OrderedDict()
        # What it cannot take is told here.
        self._at(problem.params)

    def gradient(self, params: Params, y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""
        program = self._at(params)
        if program is None:
            return failed_result(self.problem, "event", "forward")
        return program.gradient(params, y0)

    def primal(self, params: Params, y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        program = self._at(params)
        return float("nan") if program is None else program.primal(params, y0)

    def _at(self, params: Params) -> Program | None:
        """The program with the times of `params`; ``None`` where these have no derivative."""
        held = held_problem(self.problem, params)
        if held is None:
            return None
        key = (*held.jump_times, *held.discontinuities)
        if key not in self._programs:
            self._programs[key] = self._build(held, self._settings)
        self._programs.move_to_end(key)
        if len(self._programs) > KEPT:
            self._programs.popitem(last=False)
        return self._programs[key]
