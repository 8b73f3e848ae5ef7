"""What a peer's library lacks, refused in a sentence that says what would do."""

from __future__ import annotations

import numpy as np

from ...problems import Problem
from ...problems.stochastic import SdeProblem
from ..program import Settings


def refuse_jumps(problem: Problem, settings: Settings) -> None:
    """``ValueError`` for a problem whose state jumps, naming methods that can follow it."""
    if problem.jump_times:
        raise ValueError(
            f"method={settings.method.name!r} cannot let the state jump, and problem "
            f"{problem.name!r} has jump_times={problem.jump_times!r}; use method='jax-discrete', "
            "'scipy-forward' or 'scipy-adjoint'"
        )


def refuse_stops(problem: Problem, settings: Settings) -> None:
    """``ValueError`` for a problem whose state jumps or whose equations change at given times."""
    refuse_jumps(problem, settings)
    if problem.discontinuities:
        raise ValueError(
            f"method={settings.method.name!r} cannot step onto given times, and problem "
            f"{problem.name!r} has discontinuities={problem.discontinuities!r}; use "
            "method='jax-discrete', 'scipy-forward' or 'scipy-adjoint'"
        )


def refuse_arrays(settings: Settings) -> None:
    """``ValueError`` for tolerances per component, where a library takes one number for all."""
    for argument, value in (("rtol", settings.rtol), ("atol", settings.atol)):
        if np.ndim(value):
            raise ValueError(
                f"{argument} has shape {np.shape(value)}, and method={settings.method.name!r} "
                "takes one number for all components; pass one, or use method='jax-discrete'"
            )


def refuse_multiplicative_noise(problem: SdeProblem, solver: str, instead: str) -> None:
    """``ValueError`` for a diffusion that depends on the state, where a solver takes none."""
    if not problem.additive:
        raise ValueError(
            f"solver={solver!r} is for additive noise, and the diffusion of problem "
            f"{problem.name!r} depends on the state; use solver={instead!r}"
        )
