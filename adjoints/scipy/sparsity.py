"""Where the Jacobians of large systems have entries, so that SciPy factorises sparse matrices."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace
from scipy.sparse import csc_matrix

from ...problems import Problem
from ...problems.functions import framework_of
from ..linear_systems.choice import FEWEST_FOR_SUPERLU, kind_for
from ..linear_systems.coloring import colored_columns
from ..linear_systems.pattern import Pattern
from .flat import flat_system, pack

Array = Any


@dataclass(frozen=True, eq=False)
class Colored:
    """The entries of a square matrix, of which products with few vectors give all.

    Attributes
    ----------
    pattern : Pattern
    colors : ndarray of int
        One for each column.
    """

    pattern: Pattern
    colors: np.ndarray

    def matrix(self, entries: np.ndarray) -> csc_matrix:
        """As SciPy takes it."""
        pattern = self.pattern
        return csc_matrix((entries, pattern.rows, pattern.starts), shape=(pattern.size,) * 2)

    def entries(self, function: Callable[[Array], Array], y: Array, jacfwd: Any) -> Array:
        """Those of the Jacobian of `function` at `y`; rows that it does not have are zero."""
        xp, pattern = array_namespace(y), self.pattern
        products = int(self.colors.max()) + 1
        units = xp.asarray((self.colors[None, :] == np.arange(products)[:, None]).astype(float))
        columns = jacfwd(lambda along: function(y + along @ units))(
            xp.zeros(products, dtype=y.dtype)
        )
        inside = pattern.rows < columns.shape[0]
        rows, colors = (
            np.where(inside, x, 0) for x in (pattern.rows, self.colors[pattern.columns])
        )
        found = columns[xp.asarray(rows), xp.asarray(colors)]
        return found * xp.asarray(inside.astype(float))


class Sparsity(NamedTuple):
    """That of a system's Jacobian by its state, and by ``[y, theta]`` with empty rows below.

    The second is ``None`` where it is not sparse.
    """

    state: Colored
    whole: Colored | None


@lru_cache(maxsize=64)
def sparsity_of(problem: Problem) -> Sparsity | None:
    """The patterns that JAX finds; ``None`` where dense matrices serve as well, or nobody knows."""
    if problem.n_states < FEWEST_FOR_SUPERLU or not _found_by_jax(problem):
        return None
    import jax

    from ..linear_systems.discovery import pattern_of

    system, n = flat_system(problem), problem.n_states
    theta = pack(problem.params)

    def by_state(t: Array, y: Array, read: tuple[Array, Any]) -> Array:
        return system.rhs(t, y, *read)

    def by_all(t: Array, z: Array, constants: Any) -> Array:
        return jax.numpy.concatenate([system.rhs(t, z[:n], z[n:], constants), 0.0 * z[n:]])

    with jax.enable_x64(True):
        state = _sparse(pattern_of(by_state, np.ravel(problem.y0), (theta, system.constants)))
        if state is None:
            return None
        z = np.hstack([np.ravel(problem.y0), theta])
        return Sparsity(state, _sparse(pattern_of(by_all, z, system.constants)))


def _found_by_jax(problem: Problem) -> bool:
    """Whether JAX can look at the equations, and is what takes their derivatives."""
    known = all(importlib.util.find_spec(name) is not None for name in ("jax", "asdex"))
    return known and problem.jacobian is None and framework_of(problem.rhs) != "torch"


def _sparse(found: Pattern | str) -> Colored | None:
    if isinstance(found, str):
        return None
    colors = colored_columns(found)
    kind = kind_for("auto", found, int(colors.max()) + 1, bands=False)
    return Colored(found, colors) if kind == "sparse" else None
