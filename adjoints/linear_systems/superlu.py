"""Sparse factors by SciPy's SuperLU, in the order of elimination that leaves the fewest entries.

References
----------
X. S. Li, ACM Trans. Math. Softw. 31 (2005) 302-325.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .pattern import Pattern

#: A diagonal element so much smaller than the largest of its column still serves as its pivot.
DIAGONAL_PIVOT = 0.1


class Order:
    """An order of elimination, in which matrices of a pattern are put before they are factorized.

    Parameters
    ----------
    pattern : Pattern
    columns : ndarray of int
        The columns in the order in which they are eliminated.
    symmetric : bool
        Whether the rows are in the same order, and pivots are looked for on the diagonal first.
    factorize : callable, optional
        ``factorize(matrix, symmetric=...)``: the factor of a matrix in that order.
    """

    def __init__(
        self,
        pattern: Pattern,
        columns: np.ndarray,
        *,
        symmetric: bool,
        factorize: Callable[..., Any] | None = None,
    ) -> None:
        self._columns = columns
        self._symmetric = symmetric
        self._factorize = factorize or partial(_superlu, order="NATURAL")
        numbered = pattern.matrix(np.arange(1, pattern.entries + 1))
        moved = numbered[:, columns]
        if symmetric:
            moved = moved[columns]
        moved = moved.tocsc()
        moved.sort_indices()
        self._taken = moved.data - 1
        self._moved = moved

    def factor(self, values: np.ndarray) -> Any:
        """The factor of a matrix, by default SuperLU's; ``None`` where it is singular."""
        return self._factorize(self._matrix(values), symmetric=self._symmetric)

    def solve(self, factor: Any, right: np.ndarray, *, transposed: bool) -> np.ndarray:
        """The solutions of the system or the transposed one, right-hand sides in the last axis."""
        columns = right.reshape(-1, right.shape[-1]).T
        if transposed or self._symmetric:
            columns = columns[self._columns]
        found = factor.solve(np.ascontiguousarray(columns), "T" if transposed else "N")
        if self._symmetric or not transposed:
            moved, found = found, np.empty_like(found)
            found[self._columns] = moved
        return found.T.reshape(right.shape)

    def _matrix(self, values: np.ndarray) -> Any:
        from scipy.sparse import csc_matrix

        moved = self._moved
        return csc_matrix((values[self._taken], moved.indices, moved.indptr), shape=moved.shape)


def best_order(pattern: Pattern, values: np.ndarray) -> Order | None:
    """The order whose factors of a matrix have the fewest entries; ``None`` if it is singular."""
    matrix = pattern.matrix(values)
    found: list[tuple[int, bool, np.ndarray]] = []
    for name, symmetric in (("MMD_AT_PLUS_A", True), ("COLAMD", False)):
        factor = _superlu(matrix, order=name, symmetric=symmetric)
        if factor is not None:
            found.append((factor.nnz, symmetric, np.argsort(factor.perm_c)))
    if not found:
        return None
    _, symmetric, columns = min(found, key=lambda one: one[0])
    return Order(pattern, columns, symmetric=symmetric)


def _superlu(matrix: Any, *, order: str, symmetric: bool) -> Any:
    from scipy.sparse.linalg import splu

    threshold = DIAGONAL_PIVOT if symmetric else 1.0
    options = {"SymmetricMode": True} if symmetric else {}
    try:
        return splu(matrix, permc_spec=order, diag_pivot_thresh=threshold, options=options)
    except RuntimeError:  # an exactly singular factor
        return None
