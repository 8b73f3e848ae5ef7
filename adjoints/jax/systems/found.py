"""Which system serves a solve: where its Jacobian may have entries is found from the equations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from ....problems.jacobian_sparsity import checked_pattern
from ...arguments import check_name
from ...linear_systems.choice import CHOICES, is_dense, kind_for, refusal
from ...linear_systems.colored_pattern import colored
from ...linear_systems.discovery import pattern_of
from ...linear_systems.pattern import Pattern
from ..config import Config
from .calls import handlers
from .sparse import Banded, Sparse
from .system import DENSE, Dense, Matrix, System

Tree = Any


def with_system(
    choice: str, config: Config, y0: jax.Array, params: Tree, sparsity: Any, platform: str
) -> Config:
    """The configuration with the system of an implicit solve; arguments as of :func:`find_system`.

    A native program has its own, and nobody looks for another.

    Raises
    ------
    ValueError
        For a choice or a pattern that makes no sense.
    """
    check_name("linear_solver", choice, CHOICES)
    places = checked_pattern(sparsity, y0.size)
    if config.native or not is_implicit(config):
        return config
    mass = None if config.mass is None else config.mass.matrix
    system = find_system(choice, config.rhs, y0, params, places, platform, mass)
    given = config.jacobian
    return replace(config, system=system, jacobian=given and Entries(given, system))


@dataclass(frozen=True)
class Entries:
    """Those of a matrix that a user's function forms, as a system keeps them."""

    matrix: Callable[..., jax.Array]
    system: System

    def __call__(self, t: jax.Array, y: jax.Array, params: Tree) -> Matrix:
        """The Jacobian."""
        return self.system.of_matrix(self.matrix(t, y, params))


def is_implicit(config: Config) -> bool:
    """Whether there are linear systems to solve."""
    solvers = (config.solver, config.adjoint_solver or config.solver)
    return any(solver.tableau.implicit for solver in solvers)


def solved_how(config: Config) -> str | None:
    """In words, how the linear systems of a solve are solved; ``None`` where there are none."""
    if not is_implicit(config):
        return None
    return "dense" if config.native else config.system.name


def find_system(
    choice: str,
    rhs: Callable[..., jax.Array],
    y0: jax.Array,
    params: Tree,
    given: tuple[np.ndarray, np.ndarray] | None,
    platform: str,
    mass: np.ndarray | None = None,
) -> System:
    """The system for a right-hand side.

    Parameters
    ----------
    choice : str
        One of :data:`~adjointbench.adjoints.linear_systems.choice.CHOICES`.
    rhs : callable
        ``rhs(t, y, params)``; hashable.
    y0, params
        Of the solve; their shapes and types count.
    given : tuple of ndarray, optional
        Rows and columns of the entries, where they are known; else they are found.
    platform : str
    mass : ndarray, optional
        A matrix whose entries have places too.

    Raises
    ------
    ValueError
        Where a banded or a sparse system is asked for and cannot be had.
    """
    if is_dense(choice, y0.size):
        return DENSE
    if platform != "cpu":
        return _without(choice, f"sparse systems are solved on the CPU, not on {platform!r}")
    found = pattern_of(rhs, y0, params) if given is None else Pattern(y0.size, *given)
    if isinstance(found, str):
        return _without(choice, found)
    known = colored(found if mass is None else found.joined(*mass.nonzero()))
    kind = kind_for(choice, known, bands=handlers())
    if kind == "dense":
        return DENSE
    return Banded(known) if kind == "banded" else Sparse(known, incomplete=kind == "gmres")


def _without(choice: str, reason: str) -> System:
    if choice == "auto":
        return Dense(f"dense ({reason})")
    raise ValueError(refusal(choice, reason))
