"""The coefficients of a one-step method, whatever its kind; shared by every backend.

A step from ``(t, y)`` over ``h`` evaluates the stages

    k_i = f(t + c_i h, y + h sum_j a_ij k_j)

of which the first ``steps`` make the new state ``y1 = y + h sum_i b_i k_i``. The next stage is
``f(t + h, y1)``, the first stage of the following step. Stages after that serve dense output
only, ``y(t + x h) = y + h sum_i k_i sum_m dense[i, m] x^(m+1)``. Implicit methods, whose stages
are defined otherwise and combined in the same way, are in
:mod:`~adjointbench.adjoints.steps.rosenbrock_tableaus` and
:mod:`~adjointbench.adjoints.steps.dirk_tableaus`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Tableau:
    """A one-step method with embedded error and dense output.

    Attributes
    ----------
    name, order : str, int
        Its name, and the order of the solution that is carried on.
    error_order : int
        Order of the embedded solution; the error estimate shrinks as ``h**(error_order+1)``.
    c : ndarray, shape (stages,)
    a : ndarray, shape (stages, stages)
        Strictly lower triangular; with a diagonal for a diagonally implicit method.
    steps : int
        Stages that make the new state; stage number ``steps`` is ``f(t + h, y1)``.
    error : ndarray, shape (stages,), or None
        Weights of the error estimate; ``None`` for a fixed-step method.
    error_low : ndarray or None
        Weights of a second estimate that damps the first (DOP853).
    dense : ndarray, shape (stages, degree)
        Dense output in powers of the fraction of the step.
    stiffness_stages : pair of int, or None
        Two stages at the same time, whose difference estimates the stiffness (Shampine 1977);
        of an implicit method the first, the second being the new state.
    source : str
    kind : {"explicit", "rosenbrock", "dirk", "auto"}
        How the stages are defined.
    weights : ndarray or None
        Weights of the new state where they are not the row ``a[steps]``.
    gamma : float
        The coefficient of the Jacobian in the matrix of an implicit step.
    coupling, time_weights : ndarray or None
        Of a Rosenbrock method: how earlier stages and the time derivative enter a stage.
    """

    name: str
    order: int
    error_order: int
    c: np.ndarray
    a: np.ndarray
    steps: int
    error: np.ndarray | None
    dense: np.ndarray
    source: str
    error_low: np.ndarray | None = None
    stiffness_stages: tuple[int, int] | None = None
    kind: str = "explicit"
    weights: np.ndarray | None = None
    gamma: float = 0.0
    coupling: np.ndarray | None = None
    time_weights: np.ndarray | None = None

    @property
    def b(self) -> np.ndarray:
        """Weights of the new state: by default the row of the stage ``f(t + h, y1)``."""
        return self.a[self.steps] if self.weights is None else self.weights

    @property
    def implicit(self) -> bool:
        """Whether a step solves linear systems."""
        return self.kind != "explicit"

    @property
    def stiffly_accurate(self) -> bool:
        """Whether the last stage of a diagonally implicit method is taken at the new state."""
        return self.kind == "dirk" and np.array_equal(self.b[: self.steps], self.a[self.steps - 1])

    @property
    def stages(self) -> int:
        """Stages in all, those for dense output included."""
        return len(self.c)

    @property
    def adaptive(self) -> bool:
        """Whether it has an error estimate."""
        return self.error is not None


def lower(rows: list[list[float]]) -> np.ndarray:
    """A square array from the rows of a lower triangle."""
    square = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        square[i, : len(row)] = row
    return square
