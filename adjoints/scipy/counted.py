"""The functions that a solver of SciPy calls, counted, and watched for what is not finite."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

Jacobian = Callable[[float, np.ndarray], Any]


@dataclass
class Counts:
    """Work of one solve, over all its pieces."""

    steps: int = 0
    attempts: int = 0
    rhs_evals: int = 0
    jacobian_evals: int = 0
    linear_solves: int = 0
    tells_rejected: bool = False

    @property
    def rejected(self) -> int | None:
        """Rejected steps; ``None`` where the solver does not tell."""
        return self.attempts - self.steps if self.tells_rejected else None

    def add(self, other: Counts) -> None:
        """Count the work of another solve too."""
        self.steps += other.steps
        self.attempts += other.attempts
        self.rhs_evals += other.rhs_evals
        self.jacobian_evals += other.jacobian_evals
        self.linear_solves += other.linear_solves
        self.tells_rejected = other.tells_rejected


class WatchedRhs:
    """Counts evaluations and remembers when one was not finite."""

    def __init__(self, rhs: Callable[[float, np.ndarray], np.ndarray], counts: Counts) -> None:
        self._rhs = rhs
        self._counts = counts
        self._evals = 0
        self._last_nonfinite = -math.inf

    def __call__(self, t: float, y: np.ndarray) -> np.ndarray:
        """The value there."""
        value = self._rhs(t, y)
        self._counts.rhs_evals += 1
        if not np.isfinite(value).all():
            self._last_nonfinite = self._evals
        self._evals += 1
        return value

    def nonfinite_within(self, evals: int) -> bool:
        """Whether one of the last `evals` values was not finite."""
        return self._evals - self._last_nonfinite <= evals


class NonfiniteJacobianError(Exception):
    """A Jacobian with NaN or infinite entries: SciPy would refuse it with a ValueError."""


def watched_jacobian(jacobian: Jacobian, counts: Counts, *, dense: bool) -> Jacobian:
    """`jacobian`, counted, and refused where it is not finite; as a dense array if asked for."""

    def watched(t: float, y: np.ndarray) -> Any:
        value = jacobian(t, y)
        counts.jacobian_evals += 1
        if not np.isfinite(value.data if issparse(value) else value).all():
            raise NonfiniteJacobianError
        return value.toarray() if dense and issparse(value) else value

    return watched
