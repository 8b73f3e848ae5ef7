"""Factors of sparse matrices, kept on the host under numbers that a program hands around.

The order of elimination is chosen once for a pattern, and kept. A factor that a forward pass made
of a step is found again by the reverse pass, which has the same matrix but for rounding.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .gmres import order_of_bandwidth
from .pattern import Pattern
from .superlu import Order, best_order

#: Bytes of factors that are kept for the reverse pass.
MOST_BYTES = 2 << 30

#: Bytes of an entry of a factor: its value and its row.
_BYTES_OF_ENTRY = 12

#: Entries by which matrices are told from each other before they are compared.
_SAMPLES = 8

#: How far entries of the same matrix may lie apart, as a share of the largest of their column.
_ROUNDING = 2.0**10

#: All factors of this process, of one kind and one pattern each.
_known: dict[int, Factorizations] = {}


def factorizations_of(pattern: Pattern, *, incomplete: bool = False) -> Factorizations:
    """The factors of a pattern, in this process; or the incomplete ones, with GMRES."""
    key = pattern.digest ^ int(incomplete)
    if key not in _known:
        found = Factorizations(pattern, key)
        if incomplete:
            found = Factorizations(pattern, key, order_of_bandwidth, factorizations_of(pattern))
        _known.setdefault(key, found)
    return _known[key]


def factorizations_by(key: int) -> Factorizations:
    """Those that were asked for before."""
    return _known[key]


@dataclass
class Kept:
    """A factor, and the matrix that it is of.

    ``size`` is that of the matrix, in whole numbers that are next to each other where two matrices
    are the same but for rounding; ``instead`` the number of another factor of it.
    """

    factor: Any
    values: np.ndarray
    size: int
    instead: int = 0

    @property
    def bytes(self) -> int:
        """What it takes."""
        return self.factor.nnz * _BYTES_OF_ENTRY + self.values.nbytes


class Factorizations:
    """Factors of matrices of one pattern, by number.

    Parameters
    ----------
    pattern : Pattern
    key : int
        By which a program asks for them.
    order_for : callable
        ``order_for(pattern, values)``: the order of elimination, by the first matrix; ``None``
        where that is singular.
    instead : Factorizations, optional
        What solves a transposed system that these do not: the step that it belongs to has been
        taken, and cannot be made smaller.
    """

    def __init__(
        self,
        pattern: Pattern,
        key: int = 0,
        order_for: Callable[[Pattern, np.ndarray], Order | None] = best_order,
        instead: Factorizations | None = None,
    ) -> None:
        self.pattern = pattern
        self.key = key
        self._order_for = order_for
        self._instead = instead
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
        found = order.solve(kept.factor, right, transposed=transposed)
        solved = np.isfinite(found).all() or not np.isfinite(right).all()
        if solved or self._instead is None or not transposed:
            return found
        kept.instead = kept.instead or self._instead.factorize(values)
        return self._instead.solve(kept.instead, values, right, transposed=True)

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
            self._order = self._order_for(self.pattern, values)
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
