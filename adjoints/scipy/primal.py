"""The loss alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .derivatives import Derivatives
from .event_search import search_of
from .flat import BoundSystem
from .integrate import Options
from .segments import Plan, Schedule, TimeFunction
from .trajectory import Trajectory, solve


def solve_primal(
    functions: BoundSystem,
    y0: np.ndarray,
    plan: Schedule,
    options: Options,
    *,
    jacobian: TimeFunction | None,
    keep: bool = False,
) -> Trajectory:
    """Integrate the state alone."""
    return solve(
        functions.rhs,
        y0,
        plan,
        options,
        jump=functions.jump,
        jacobian=jacobian,
        keep=keep,
        search=search_of(functions, options),
    )


def loss_of(functions: BoundSystem, trajectory: Trajectory) -> complex:
    """The loss of a solve of the state alone, NaN where it broke down."""
    if trajectory.status != "ok":
        return np.nan
    return functions.loss(trajectory.ys, trajectory.event_times(functions.system.times_seen))


def primal_loss(
    derivatives: Derivatives, plan: Plan, options: Options
) -> Callable[[np.ndarray, np.ndarray], float]:
    """``loss(theta, y0)``, NaN where the solve breaks down."""

    def loss(theta: np.ndarray, y0: np.ndarray) -> float:
        with derivatives.active():
            point = derivatives.at(theta)
            jacobian = point.jacobian_for_solver
            trajectory = solve_primal(point, y0, plan.at(theta), options, jacobian=jacobian)
        return float(loss_of(point, trajectory).real)

    return loss
