"""The accepted times of a problem's solve, on JAX."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from ...problems import Problem
from .solve import solve


def accepted_times(problem: Problem, solver: str, rtol: Any, atol: Any) -> np.ndarray:
    """The times from which the accepted steps start."""
    with jax.enable_x64(problem.dtype == np.float64):
        solution = solve(
            problem.rhs,
            problem.y0,
            problem.save_at,
            problem.merged(),
            t0=problem.t_span[0],
            solver=solver,
            rtol=rtol,
            atol=atol,
            discontinuities=problem.discontinuities,
            jump_times=problem.jump_times,
            jump=problem.jump,
        )
        return np.asarray(solution.steps[0])
