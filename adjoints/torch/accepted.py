"""The accepted times of a problem's solve, on PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ...problems import Problem
from .device import put, put_named
from .solve import solve


def accepted_times(problem: Problem, solver: str, rtol: Any, atol: Any) -> np.ndarray:
    """The times from which the accepted steps start."""
    host = torch.device("cpu")
    with torch.no_grad():
        solution = solve(
            problem.rhs,
            put(problem.y0, host),
            problem.save_at,
            put_named(problem.merged(), host),
            t0=problem.t_span[0],
            solver=solver,
            rtol=rtol,
            atol=atol,
            discontinuities=problem.discontinuities,
            jump_times=problem.jump_times,
            jump=problem.jump,
        )
    return solution.steps[0].numpy()
