"""The loss alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .derivatives import Derivatives
from .flat import BoundSystem
from .integrate import Options
from .segments import Schedule, TimeFunction, Trajectory, solve


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
        functions.rhs, y0, plan, options, jump=functions.jump, jacobian=jacobian, keep=keep
    )


def primal_loss(
    derivatives: Derivatives, plan: Schedule, options: Options
) -> Callable[[np.ndarray, np.ndarray], float]:
    """``loss(theta, y0)``, NaN where the solve breaks down."""

    def loss(theta: np.ndarray, y0: np.ndarray) -> float:
        with derivatives.active():
            point = derivatives.at(theta)
            trajectory = solve_primal(point, y0, plan, options, jacobian=point.jacobian_for_solver)
        return float(point.loss(trajectory.ys).real) if trajectory.status == "ok" else np.nan

    return loss
