"""How many entries the factors of a sparse matrix have, without factorising it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from .pattern import Pattern


@lru_cache(maxsize=64)
def fills_up(pattern: Pattern, most: float) -> bool:
    """Whether factors have more than `most` times the entries of the matrix.

    Entries are counted row by row, along the paths of the elimination tree, of the matrix and its
    transpose together in the order of minimum degree in which SuperLU eliminates; not further than
    to `most`.

    References
    ----------
    J. W. H. Liu, SIAM J. Matrix Anal. Appl. 11 (1990) 134-172, sections 5.1 and 5.2.
    """
    left = (most * pattern.entries - pattern.size) / 2
    parent = [-1] * pattern.size
    met = [-1] * pattern.size
    for row, places in enumerate(_rows_below(pattern)):
        met[row] = row
        for place in places:
            while met[place] != row:
                if parent[place] < 0:
                    parent[place] = row
                met[place] = row
                place = parent[place]
                left -= 1
        if left < 0:
            return True
    return False


def _rows_below(pattern: Pattern) -> Iterator[list[int]]:
    """The columns below the diagonal of each row, of the matrix in the order of elimination."""
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import spilu

    # Factors that keep next to nothing come in the order that all entries would have.
    matrix = pattern.matrix(np.where(pattern.rows == pattern.columns, float(pattern.size), 1.0))
    options = {"SymmetricMode": True}
    least = spilu(
        matrix, drop_tol=1.0, fill_factor=1.0, permc_spec="MMD_AT_PLUS_A", options=options
    )
    one, other = least.perm_c[pattern.rows], least.perm_c[pattern.columns]
    places = np.maximum(one, other), np.minimum(one, other)
    below: Any = coo_array((np.ones(pattern.entries), places), shape=matrix.shape).tocsr()
    columns = below.indices.tolist()
    return (columns[first:last] for first, last in pairwise(below.indptr.tolist()))
