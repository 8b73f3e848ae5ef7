"""Jacobians of large systems by their entries, so that SciPy factorises sparse matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace
from scipy.sparse import csc_matrix

from ..linear_systems.pattern import Pattern

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
