"""Which system serves a solve: where its Jacobian may have entries is found from the equations."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ....problems.jacobian_sparsity import checked_pattern
from ...arguments import check_name
from ...linear_systems.pattern import Pattern
from ..config import Config
from .calls import handlers
from .sparse import Banded, Sparse
from .system import DENSE, Dense, Matrix, System

Tree = Any

#: Systems of fewer unknowns are dense without a look at the equations.
FEWEST_UNKNOWNS = 32

#: Sparse is what has no more entries than this share of all, and no more products than this share
#: of the columns; banded what has no more diagonals than this.
MOST_ENTRIES, MOST_PRODUCTS, MOST_DIAGONALS = 0.2, 0.5, 16

#: Fewer unknowns are eliminated sooner by LAPACK's dense factors than by SuperLU on the host.
FEWEST_FOR_SUPERLU = 100

CHOICES = ("auto", "dense", "banded", "sparse")


def with_system(
    choice: str, config: Config, y0: jax.Array, params: Tree, sparsity: Any, platform: str
) -> Config:
    """The configuration with the system of an implicit solve; arguments as of :func:`find_system`.

    Raises
    ------
    ValueError
        For a choice or a pattern that makes no sense.
    """
    check_name("linear_solver", choice, CHOICES)
    places = checked_pattern(sparsity, y0.size)
    if not is_implicit(config):
        return config
    system = find_system(choice, config.rhs, y0, params, places, platform)
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
) -> System:
    """The system for a right-hand side.

    Parameters
    ----------
    choice : str
        One of :data:`CHOICES`.
    rhs : callable
        ``rhs(t, y, params)``; hashable.
    y0, params
        Of the solve; their shapes and types count.
    given : tuple of ndarray, optional
        Rows and columns of the entries, where they are known; else they are found.
    platform : str

    Raises
    ------
    ValueError
        Where a banded or a sparse system is asked for and cannot be had.
    """
    if choice == "dense" or (choice == "auto" and y0.size < FEWEST_UNKNOWNS):
        return DENSE
    if platform != "cpu":
        return _without(choice, f"sparse systems are solved on the CPU, not on {platform!r}")
    if given is None:
        leaves, structure = jax.tree.flatten(params)
        kinds = tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
        found = _found(rhs, (y0.shape, y0.dtype), structure, kinds)
        if isinstance(found, str):
            return _without(choice, found)
    else:
        found = _colored(Pattern(y0.size, *given))
    return _chosen(choice, *found)


def _chosen(choice: str, pattern: Pattern, colors: np.ndarray) -> System:
    """The system for a pattern."""
    products, size = int(colors.max()) + 1, pattern.size
    if choice == "auto" and (
        pattern.entries > MOST_ENTRIES * size**2 or products > MOST_PRODUCTS * size
    ):
        return DENSE
    can_be_banded = handlers() and sum(pattern.bands) < MOST_DIAGONALS
    if choice == "banded" and not can_be_banded:
        below, above = pattern.bands
        return _without(choice, f"the Jacobian has {below} diagonals below and {above} above")
    if choice == "banded" or (choice == "auto" and can_be_banded):
        return Banded(pattern, colors)
    if choice == "auto" and size < FEWEST_FOR_SUPERLU:
        return DENSE
    return Sparse(pattern, colors)


def _without(choice: str, reason: str) -> System:
    if choice == "auto":
        return Dense(f"dense ({reason})")
    raise ValueError(f"linear_solver={choice!r}: {reason}; use linear_solver='auto' or 'dense'")


@lru_cache(maxsize=64)
def _found(
    rhs: Callable[..., jax.Array], state: Any, structure: Any, kinds: Any
) -> tuple[Pattern, np.ndarray] | str:
    """The pattern of a right-hand side and the colors of its columns, or why it is not known."""
    try:
        import asdex
    except ImportError:
        return "asdex, which finds where the Jacobian has entries, is not installed"

    shape, dtype = state
    with jax.ensure_compile_time_eval():
        y, t = jnp.zeros(shape, dtype), jnp.zeros((), dtype)
        params = jax.tree.unflatten(structure, [jnp.zeros(*kind) for kind in kinds])

    def flat(y: jax.Array, t: jax.Array, params: Tree) -> jax.Array:
        return rhs(t, y, params).ravel()

    try:
        found = asdex.jacobian_sparsity(flat, y, t, params)
    except Exception as error:  # an operation that it does not know
        return f"asdex does not know where the Jacobian has entries: {error!r}"
    return _colored(Pattern(found.n, found.rows, found.cols))


@lru_cache(maxsize=64)
def _colored(pattern: Pattern) -> tuple[Pattern, np.ndarray]:
    import asdex

    places = (pattern.rows, pattern.columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", asdex.DenseColoringWarning)
        colors, _ = asdex.color_cols(
            asdex.SparsityPattern.from_coo(*places, (pattern.size, pattern.size))
        )
    return pattern, np.asarray(colors)
