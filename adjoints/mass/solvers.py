"""Which solvers take a mass matrix, and how one is given to ``solve``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...problems.validation import checked_mass
from .matrix import MassMatrix

#: Those of the open solvers that do: Rosenbrock methods.
OPEN_SOLVERS = ("rodas5p", "rodas4p")

#: What moves a time carries the state along the right-hand side, which is no slope here.
NOT_WITH_MASS = (
    "a mass matrix does not go with events or with times that move with parameters; leave one of "
    "them out, or solve the equations for their slopes"
)


def check_takes_mass(solver: str) -> None:
    """Refuse an open solver without mass matrices.

    Raises
    ------
    ValueError
    """
    if solver not in OPEN_SOLVERS:
        raise ValueError(
            f"solver={solver!r} does not take a mass matrix; use one of: {', '.join(OPEN_SOLVERS)}"
        )


def mass_of(mass: Any, n: int, dtype: Any) -> MassMatrix | None:
    """The mass matrix of a state of `n` components, taken apart.

    Raises
    ------
    ValueError
        Where it is none.
    """
    checked = checked_mass(mass, n, np.dtype(dtype))
    if checked is None or np.array_equal(checked, np.eye(n)):
        return None
    return MassMatrix(checked)
