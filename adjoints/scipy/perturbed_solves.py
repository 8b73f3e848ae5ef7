"""Whole solves at perturbed parameters and start values, for the methods made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ...problems import Problem
from ..program import Settings
from ..result import STATUS_MESSAGES
from .counted import Counts
from .flat import BoundSystem, flat_system
from .integrate import Options
from .primal import loss_of, solve_primal
from .program import Outcome, ScipyProgram, forward_options, forward_stats
from .segments import Plan, TimeFunction, plan_of
from .trajectory import Trajectory

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


class PerturbedLoss:
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
        self.plan: Plan = plan_of(problem)
        self.options: Options = forward_options(problem, settings)
        self._jacobian = jacobian

    def solve(self, x: np.ndarray) -> tuple[complex, Trajectory]:
        """The loss at `x`, NaN after a breakdown, and the solve that led to it."""
        functions = self.system.at(x[: self.system.m])
        trajectory = solve_primal(
            functions,
            x[self.system.m :],
            self.plan.at(x[: self.system.m]),
            self.options,
            jacobian=self._jacobian(functions),
        )
        return loss_of(functions, trajectory), trajectory

    def sizes(self, x: np.ndarray, trajectory: Trajectory) -> np.ndarray:
        """The size of every component of `x`, in whose units it is perturbed.

        Of a parameter its own, or where it is zero that of its array; where all of the array is
        zero, what changes the right-hand side by as much as it is. Of a start value its own too,
        but not less than what the tolerances can tell from zero, as far as its component ever
        gets there.
        """
        m, options = self.system.m, self.options
        theta, start = x[:m], np.abs(x[m:])
        reached = np.abs(trajectory.ys).max(axis=0)
        least = np.where(start == 0, np.inf, options.atol / np.asarray(options.rtol))
        start = np.maximum(start, np.minimum(least, reached))
        start = np.where(start == 0, max(reached.max(), start.max()) or 1.0, start)
        sizes = self.system.parameter_sizes(theta, self.plan.at(theta).span)
        unknown = [np.full(leaf.size, not leaf.any()) for leaf in self.system.leaves(theta)]
        for j in np.flatnonzero(np.hstack([np.zeros(0), *unknown])).tolist():
            sizes[j] = self._size_by_effect(theta, j, sizes[j], trajectory)
        return np.hstack([sizes, start])

    def _size_by_effect(
        self, theta: np.ndarray, j: int, guess: float, trajectory: Trajectory
    ) -> float:
        """The size of a parameter that is zero, from what `guess` in its place does.

        Some component of the right-hand side, seen at the saves, changes by as much as it is, or
        as would carry the state to what it is; or some component of the state, by a jump. What
        takes part in the loss alone has no unit that could be known.
        """
        moved = theta + guess * (np.arange(theta.size) == j)
        here, there = self.system.at(theta), self.system.at(moved)
        ys, plan = trajectory.ys, self.plan.at(theta)
        save_at = plan.save_at
        last = len(save_at) - 1
        with np.errstate(all="ignore"):
            slopes = [(here.rhs(t, y), there.rhs(t, y)) for t, y in zip(save_at, ys, strict=True)]
            jumps = [
                (here.jump(i, t, y), there.jump(i, t, y))
                for i, t in plan.jumps
                for y in ys[[min(int(np.searchsorted(save_at, t)), last)]]
            ]
        carrying = np.abs(ys).max(axis=0) / plan.span
        found = _shares(slopes, carrying) + _shares(jumps, np.abs(ys).max(axis=0))
        return guess * min(found) if found else 1.0

    def program(self, problem: Problem, source: str, differentiate: Differentiate) -> ScipyProgram:
        """The program that differentiates component by component.

        Parameters
        ----------
        problem : Problem
        source : str
            For ``Stats.derivatives``.
        differentiate : callable
            ``differentiate(x, sizes, loss) -> gradient``, where ``sizes`` are those of
            :meth:`sizes`, and ``loss(x, j)`` is the loss at `x`, perturbed in component `j`.
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
            value, there = self.solve(perturbed)
            others.add(there.counts)
            if there.status != "ok":
                raise PerturbedSolveError(there.status, component)
            if there.order != trajectory.order:
                raise PerturbedSolveError("event", component)
            return value

        try:
            gradient = differentiate(x, self.sizes(x, trajectory), loss)
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


def _shares(pairs: list[tuple[np.ndarray, np.ndarray]], usual: np.ndarray) -> list[float]:
    """How large vectors are, at least as `usual`, by what they change; where they change at all."""
    if not pairs:
        return []
    before, after = (np.array(side) for side in zip(*pairs, strict=True))
    usual = np.maximum(np.abs(before).max(axis=0), usual)
    change = np.abs(after - before).max(axis=0)
    # Below that it is rounding.
    seen = np.isfinite(change) & (change > 1e-12 * usual) & (usual > 0)
    return (usual[seen] / change[seen]).tolist()


#: ``differentiate(x, sizes, loss) -> gradient``.
Differentiate = Callable[[np.ndarray, np.ndarray, Callable[[np.ndarray, int], complex]], np.ndarray]
