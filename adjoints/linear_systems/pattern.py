"""``Pattern``: where the matrix of an implicit step may have entries."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix


class Pattern:
    """The places of a square matrix that may not be zero, by columns, its diagonal among them.

    Two are equal where their places are; they are hashed by their digest, so that programs for the
    same places are the same.

    Parameters
    ----------
    size : int
        Rows, and columns.
    rows, columns : array of int
        The places, in any order, any number of times.

    Attributes
    ----------
    rows, columns : ndarray of int32
        The places in the order of compressed columns: by column, and by row in each.
    digest : int
        Of all this, 63 bits, the same in every process.
    """

    def __init__(self, size: int, rows: Any, columns: Any) -> None:
        self.size = int(size)
        every = np.arange(size)
        places = np.concatenate([np.asarray(columns, np.int64), every]) * size
        places = np.unique(places + np.concatenate([np.asarray(rows, np.int64), every]))
        self.rows = (places % size).astype(np.int32)
        self.columns = (places // size).astype(np.int32)
        digest = hashlib.sha256(b"%d:" % size + places.tobytes()).digest()
        self.digest = int.from_bytes(digest[:8], "little") >> 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Pattern({self.size} x {self.size}, {self.entries} entries)"

    @property
    def entries(self) -> int:
        """How many places there are."""
        return len(self.rows)

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each column begins among the places, and the end."""
        return np.searchsorted(self.columns, np.arange(self.size + 1)).astype(np.int32)

    def joined(self, rows: np.ndarray, columns: np.ndarray) -> Pattern:
        """A pattern of these places and of others."""
        both = ((self.rows, rows), (self.columns, columns))
        return Pattern(self.size, *(np.concatenate(parts) for parts in both))

    def matrix(self, entries: np.ndarray) -> csc_matrix:
        """A matrix of SciPy, of its entries in the order of the places."""
        from scipy.sparse import csc_matrix

        return csc_matrix((entries, self.rows, self.starts), shape=(self.size, self.size))

    @cached_property
    def bands(self) -> tuple[int, int]:
        """How many diagonals there are below the main one, and above it."""
        below = self.rows.astype(np.int64) - self.columns
        return int(max(below.max(), 0)), int(max(-below.min(), 0))
