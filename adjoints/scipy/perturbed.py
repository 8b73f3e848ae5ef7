"""Whole solves at perturbed parameters and start values, for the methods made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...problems import Problem
from ..gradient import Settings
from ..result import STATUS_MESSAGES
from .flat import BoundSystem, flat_system
from .integrate import Counts, Options
from .primal import solve_primal
from .program import Outcome, ScipyProgram, forward_options, forward_stats
from .segments import Schedule, TimeFunction, Trajectory, schedule

#: ``jacobian(functions) -> (jacobian(t, y) or None)`` for implicit solvers.
JacobianMaker = Callable[[BoundSystem], TimeFunction | None]


class PerturbedSolveError(Exception):
    """A solve at perturbed values broke down."""

    def __init__(self, status: str, component: int) -> None:
        super().__init__(status)
        self.status = status
        self.message = (
            f"in the solve with component {component} of (parameters, start values) perturbed: "
            f"{STATUS_MESSAGES[status]}"
        )


class Experiment:
    """The loss as a function of ``x = [theta, y0]``, one whole solve a value.

    Parameters
    ----------
    problem : Problem
    settings : Settings
    jacobian : callable
        Makes the Jacobian for implicit solvers.
    """

    def __init__(self, problem: Problem, settings: Settings, jacobian: JacobianMaker) -> None:
        self.system = flat_system(problem)
        self.plan: Schedule = schedule(problem)
        self.options: Options = forward_options(problem, settings)
        self._jacobian = jacobian

    def solve(self, x: np.ndarray) -> tuple[complex, Trajectory]:
        """The loss at `x`, NaN after a breakdown, and the solve that led to it."""
        functions = self.system.at(x[: self.system.m])
        trajectory = solve_primal(
            functions,
            x[self.system.m :],
            self.plan,
            self.options,
            jacobian=self._jacobian(functions),
        )
        return functions.loss(trajectory.ys) if trajectory.status == "ok" else np.nan, trajectory

    def program(self, problem: Problem, source: str, differentiate: Differentiate) -> ScipyProgram:
        """The program that differentiates component by component.

        Parameters
        ----------
        problem : Problem
        source : str
            For ``Stats.derivatives``.
        differentiate : callable
            ``differentiate(x, trajectory, loss) -> gradient``, where ``loss(x, j)`` is the loss
            at `x`, perturbed in component `j`.
        """

        def compute(theta: np.ndarray, y0: np.ndarray) -> Outcome:
            return self._gradient(np.hstack([theta, y0]), source, differentiate)

        def loss(theta: np.ndarray, y0: np.ndarray) -> float:
            return float(self.solve(np.hstack([theta, y0]))[0].real)

        return ScipyProgram(problem, compute, loss)

    def _gradient(self, x: np.ndarray, source: str, differentiate: Differentiate) -> Outcome:
        value, trajectory = self.solve(x)
        counts, others = trajectory.counts, Counts()
        stats = forward_stats(counts, derivatives=source)
        if trajectory.status != "ok":
            return Outcome(status=trajectory.status, stats=stats)

        def loss(perturbed: np.ndarray, component: int) -> complex:
            value, trajectory = self.solve(perturbed)
            others.add(trajectory.counts)
            if trajectory.status != "ok":
                raise PerturbedSolveError(trajectory.status, component)
            return value

        try:
            gradient = differentiate(x, trajectory, loss)
        except PerturbedSolveError as error:
            return Outcome(status=error.status, phase="reverse", message=error.message, stats=stats)
        stats = replace(
            stats,
            reverse_steps=others.steps,
            reverse_rejected=others.rejected,
            reverse_rhs_evals=others.rhs_evals,
            jacobian_evals=counts.jacobian_evals + others.jacobian_evals,
            linear_solves=counts.linear_solves + others.linear_solves,
        )
        m = self.system.m
        return Outcome(float(value.real), gradient[:m], gradient[m:], stats=stats)


#: ``differentiate(x, trajectory, loss) -> gradient``.
Differentiate = Callable[[np.ndarray, Trajectory, Callable[[np.ndarray, int], complex]], np.ndarray]
