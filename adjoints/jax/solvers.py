"""The solvers by their names."""

from __future__ import annotations

from ..steps.tableaus import tableau
from .config import Solver
from .dirk import DiagonallyImplicit
from .explicit import ExplicitRungeKutta
from .rosenbrock import Rosenbrock
from .switching import Switching


def find_solver(name: str, newton_tolerance: float = 1e-2, *, argument: str = "solver") -> Solver:
    """The solver called `name`.

    Parameters
    ----------
    name : str
    newton_tolerance : float
        Share of the tolerance to which the stages of a diagonally implicit method converge.
    argument : str
        What the user calls it.

    Raises
    ------
    ValueError
        Where none is called so.
    """
    tab = tableau(name, argument)
    if tab.kind == "auto":
        return Switching(tab, ExplicitRungeKutta(tableau("tsit5")), Rosenbrock(tableau("rodas5p")))
    if tab.kind == "dirk":
        return DiagonallyImplicit(tab, newton_tolerance)
    return Rosenbrock(tab) if tab.kind == "rosenbrock" else ExplicitRungeKutta(tab)
