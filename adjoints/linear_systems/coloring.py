"""Columns of a sparse matrix that one product with a vector can give all the entries of."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .pattern import Pattern


def colored_columns(pattern: Pattern) -> np.ndarray:
    """Colors of the columns, of which no two of one color have a row in common.

    Columns get the first color that is free, in the order in which they stand and in that of their
    neighbours; the coloring of fewer colors is taken.

    Parameters
    ----------
    pattern : Pattern

    Returns
    -------
    ndarray of int, shape ``(size,)``
        From 0 on.

    References
    ----------
    A. H. Gebremedhin, F. Manne, A. Pothen, SIAM Review 47 (2005) 629-705, section 3.
    """
    rows, starts = pattern.rows.tolist(), pattern.starts.tolist()
    in_columns = [rows[first:last] for first, last in pairwise(starts)]
    crowded = np.bincount(pattern.rows, minlength=pattern.size)
    neighbours = np.add.reduceat(crowded[pattern.rows], pattern.starts[:-1])
    orders = (np.arange(pattern.size), np.argsort(-neighbours, kind="stable"))
    found = (_greedily(in_columns, order.tolist()) for order in orders)
    return min(found, key=lambda colors: colors.max())


def _greedily(in_columns: list[list[int]], order: list[int]) -> np.ndarray:
    """The first free color for each column in turn; those a row has met are bits of a number."""
    met = [0] * len(in_columns)
    colors = np.empty(len(in_columns), np.int64)
    for column in order:
        taken = 0
        for row in in_columns[column]:
            taken |= met[row]
        own = ~taken & (taken + 1)
        colors[column] = own.bit_length() - 1
        for row in in_columns[column]:
            met[row] |= own
    return colors
