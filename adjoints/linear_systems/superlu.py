"""Sparse factors by SciPy's SuperLU, kept on the host under numbers that a program hands around.

The order of elimination is chosen once for a pattern, by the fewest entries of the factors, and
kept. A factor that a forward pass made of a step is found again by the reverse pass, which has the
same matrix but for rounding.

References
----------
X. S. Li, ACM Trans. Math. Softw. 31 (2005) 302-325.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .pattern import Pattern

#: Bytes of factors that are kept for the reverse pass.
MOST_BYTES = 2 << 30

#: A diagonal element so much smaller than the largest of its column still serves as its pivot.
DIAGONAL_PIVOT = 0.1

#: Bytes of an entry of a factor: its value and its row.
_BYTES_OF_ENTRY = 12

#: Entries by which matrices are told from each other before they are compared.
_SAMPLES = 8

#: How far entries of the same matrix may lie apart, as a share of the largest of their column.
_ROUNDING = 2.0**10


#: The factors of each pattern that this process has met, by its digest.
_of_patterns: dict[int, Factorizations] = {}


def factorizations_of(pattern: Pattern) -> Factorizations:
    """The factors of a pattern, in this process."""
    return _of_patterns.setdefault(pattern.digest, Factorizations(pattern))


def factorizations_by(digest: int) -> Factorizations:
    """Those of a pattern that was met before."""
    return _of_patterns[digest]


@dataclass
class Kept:
    """A factor, and the matrix that it is of.

    ``size`` is that of the matrix, in whole numbers that are next to each other where two matrices
    are the same but for rounding.
    """

    factor: Any
    values: np.ndarray
    size: int

    @property
    def bytes(self) -> int:
        """What it takes."""
        return self.factor.nnz * _BYTES_OF_ENTRY + self.values.nbytes


class Factorizations:
    """Factors of matrices of one pattern, by number.

    Parameters
    ----------
    pattern : Pattern
    """

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self._order: Order | None = None
        self._kept: OrderedDict[int, Kept] = OrderedDict()
        self._by_size: dict[int, list[int]] = {}
        self._found: set[int] = set()
        self._bytes = 0
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._sampled = np.linspace(0, pattern.entries - 1, _SAMPLES).astype(np.int64)

    def factorize(self, values: np.ndarray) -> int:
        """Factorize the matrix with these entries: a number for its factor, 0 if it is singular."""
        values = np.array(values)
        if not np.isfinite(values).all():
            return 0
        return _thread().submit(self._factorize, values).result()

    def _factorize(self, values: np.ndarray) -> int:
        with self._lock:
            self._forget_found()
            size = self._size(values)
            number = self._find(values, size)
            if number:
                return number
            factor = self._factor(values)
            if factor is None:
                return 0
            number = next(self._numbers) % 2**31
            self._kept[number] = Kept(factor, values, size)
            self._bytes += self._kept[number].bytes
            self._by_size.setdefault(size, []).append(number)
            self._make_room()
            return number

    def solve(
        self, number: int, values: np.ndarray, right: np.ndarray, *, transposed: bool
    ) -> np.ndarray:
        """The solutions for right-hand sides, in the last axis; NaN where there is no factor.

        Parameters
        ----------
        number : int
            Of the factor; where it has been dropped since, `values` are factorized again.
        values, right : ndarray
        transposed : bool
            Whether of the transposed system.
        """
        if number == 0:
            return np.full_like(right, np.nan)
        with self._lock:
            kept, order = self._kept.get(number), self._order
        if kept is None:
            return self.solve(self.factorize(values), values, right, transposed=transposed)
        assert order is not None
        return order.solve(kept.factor, right, transposed=transposed)

    def _size(self, values: np.ndarray) -> int:
        """The logarithm of the sum of some entries, in units of how far it may be off."""
        total = float(np.abs(values[self._sampled]).sum(dtype=np.float64))
        unit = 2 * _SAMPLES * _ROUNDING * float(np.finfo(values.dtype).eps)
        return math.floor(math.log2(total) / unit) if total else 0

    def _find(self, values: np.ndarray, size: int) -> int:
        """The number of the factor of this matrix, the last first; 0 where there is none."""
        near, starts = _ROUNDING * np.finfo(values.dtype).eps, self.pattern.starts[:-1]
        alike = [self._by_size.get(size + more, ()) for more in (-1, 0, 1)]
        for number in sorted(itertools.chain(*alike), reverse=True):
            kept = self._kept[number]
            largest = np.maximum.reduceat(np.abs(values), starts)
            apart = np.maximum.reduceat(np.abs(values - kept.values), starts)
            if (apart <= near * largest).all():
                self._found.add(number)
                return number
        return 0

    def _factor(self, values: np.ndarray) -> Any:
        if self._order is None:
            self._order = best_order(self.pattern, values)
            if self._order is None:
                return None
        return self._order.factor(values)

    def _forget_found(self) -> None:
        """Drop what a reverse pass has used."""
        for number in list(self._found):
            self._drop(number)

    def _make_room(self) -> None:
        """Drop the oldest; the last one stays."""
        while self._bytes > MOST_BYTES and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))

    def _drop(self, number: int) -> None:
        kept = self._kept.pop(number)
        self._found.discard(number)
        self._bytes -= kept.bytes
        self._by_size[kept.size].remove(number)
        if not self._by_size[kept.size]:
            del self._by_size[kept.size]


@cache
def _thread() -> ThreadPoolExecutor:
    """The thread that makes factors and drops them.

    SciPy frees the memory of a factor in the Python thread that made it alone; the threads of XLA
    are new ones to Python at each callback.
    """
    return ThreadPoolExecutor(1, "adjointbench-superlu")


class Order:
    """An order of elimination, in which matrices of a pattern are put before they are factorized.

    Parameters
    ----------
    pattern : Pattern
    columns : ndarray of int
        The columns in the order in which they are eliminated.
    symmetric : bool
        Whether the rows are in the same order, and pivots are looked for on the diagonal first.
    """

    def __init__(self, pattern: Pattern, columns: np.ndarray, *, symmetric: bool) -> None:
        self._columns = columns
        self._symmetric = symmetric
        numbered = pattern.matrix(np.arange(1, pattern.entries + 1))
        moved = numbered[:, columns]
        if symmetric:
            moved = moved[columns]
        moved = moved.tocsc()
        moved.sort_indices()
        self._taken = moved.data - 1
        self._moved = moved

    def factor(self, values: np.ndarray) -> Any:
        """The factor of a matrix, SuperLU's object; ``None`` where it is singular."""
        return _superlu(self._matrix(values), "NATURAL", symmetric=self._symmetric)

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
        factor = _superlu(matrix, name, symmetric=symmetric)
        if factor is not None:
            found.append((factor.nnz, symmetric, np.argsort(factor.perm_c)))
    if not found:
        return None
    _, symmetric, columns = min(found, key=lambda one: one[0])
    return Order(pattern, columns, symmetric=symmetric)


def _superlu(matrix: Any, order: str, *, symmetric: bool) -> Any:
    from scipy.sparse.linalg import splu

    threshold = DIAGONAL_PIVOT if symmetric else 1.0
    options = {"SymmetricMode": True} if symmetric else {}
    try:
        return splu(matrix, permc_spec=order, diag_pivot_thresh=threshold, options=options)
    except RuntimeError:  # an exactly singular factor
        return None
