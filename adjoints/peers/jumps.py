"""Jumps of the state, which most peers do not know."""

from __future__ import annotations

from ...problems import Problem
from ..program import Settings


def refuse_jumps(problem: Problem, settings: Settings) -> None:
    """``ValueError`` for a problem whose state jumps, naming methods that can follow it."""
    if problem.jump_times:
        raise ValueError(
            f"method={settings.method.name!r} cannot let the state jump, and problem "
            f"{problem.name!r} has jump_times={problem.jump_times!r}; use method='jax-discrete', "
            "'scipy-forward' or 'scipy-adjoint'"
        )
