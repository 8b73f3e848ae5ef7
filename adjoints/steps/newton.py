"""Newton's method at the stages of diagonally implicit methods: what all backends share."""

from __future__ import annotations

from typing import Any

import numpy as np

from .runge_kutta import combine
from .tableau import Tableau

MOST_ITERATIONS = 10

#: The share of the tolerance to which stages converge.
NEWTON_TOLERANCE = 1e-2

#: Fractions of a step from which the right-hand side is continued beyond a stop: as many as
#: the order of the method needs.
CONTINUED_FROM = (0.0, 0.25, 0.5, 0.75, 1.0)


def stage_guess(tableau: Tableau, i: int, stages: list[Any]) -> Any:
    """The slope to start from: a parabola through earlier stages, or the one at the same time."""
    c = tableau.c
    same = [j for j in range(1, i) if abs(c[j] - c[i]) < 1e-12]
    if same:
        return stages[same[-1]]
    nodes = range(min(i, 3))
    others = [[c[m] for m in nodes if m != j] for j in nodes]
    weights = [np.prod([(c[i] - x) / (c[j] - x) for x in others[j]]) for j in nodes]
    return combine(np.array(weights), stages)


def continued_weights(tableau: Tableau) -> np.ndarray:
    """Weights of the polynomial through :data:`CONTINUED_FROM` at the method's latest stage."""
    latest = float(np.max(tableau.c))
    return np.array(
        [
            np.prod([(latest - x) / (node - x) for x in CONTINUED_FROM if x != node])
            for node in CONTINUED_FROM
        ]
    )
