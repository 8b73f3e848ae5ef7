"""Where the Jacobian of a right-hand side may differ from zero: positions given by the user."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: Row and column of each entry, sorted by columns and then by rows.
Pattern = tuple[np.ndarray, np.ndarray]

#: Groups of columns that are moved at once: at most so many, and so many for each entry of a row.
_MOST_GROUPS, _GROUPS_PER_ENTRY = 32, 4

#: How far components are moved, of their size; and what counts as rounding of a slope.
_STEP, _ROUNDING = 1e-3, 1e3

#: As many missing entries are named.
_NAMED = 3

#: What the two index arrays are called in sentences.
_AXES = ("rows", "columns")


class Sparse(Protocol):
    """A sparse array or matrix of SciPy, of any format."""

    def tocoo(self) -> Any:
        """The same by coordinates."""


def checked_pattern(
    given: Sparse | ArrayLike | tuple[ArrayLike, ArrayLike] | None, n: int
) -> Pattern | None:
    """The entries of a pattern, each once.

    Parameters
    ----------
    given : sparse array, array_like of shape (n, n), pair of array_like, or None
        Entries that a sparse array stores, whatever their value; those of a dense one that are not
        zero; or a tuple of the rows and the columns.
    n : int
        Components of the state.

    Returns
    -------
    (ndarray, ndarray) or None
        Rows and columns.

    Raises
    ------
    ValueError
        Where it is none of these, of another shape, or out of range.
    """
    if given is None:
        return None
    by_coordinates = getattr(given, "tocoo", None)
    if isinstance(given, tuple):
        rows, columns = _of_pair(given, n)
    elif by_coordinates is not None:
        entries = by_coordinates()
        _check_shape(entries.shape, n)
        rows, columns = entries.row, entries.col
    else:
        rows, columns = _of_matrix(given, n)
    places = np.unique(np.asarray(columns, dtype=np.int64) * n + rows)
    return (places % n).astype(np.intp), (places // n).astype(np.intp)


def _of_pair(given: tuple[Any, ...], n: int) -> Pattern:
    if len(given) != 2:
        raise ValueError(
            f"jacobian_sparsity is a tuple of {len(given)}; pass the pair (rows, columns)"
        )
    rows, columns = (_indices(name, part, n) for name, part in zip(_AXES, given, strict=True))
    if rows.shape != columns.shape:
        raise ValueError(
            f"jacobian_sparsity has {rows.size} rows and {columns.size} columns; pass one of each "
            "for every entry"
        )
    return rows, columns


def _indices(name: str, given: Any, n: int) -> np.ndarray:
    found = np.asarray(given)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise ValueError(
            f"jacobian_sparsity: the {name} have shape {found.shape} and dtype {found.dtype}; "
            "they must be a list of whole numbers"
        )
    outside = found[(found < 0) | (found >= n)]
    if outside.size:
        raise ValueError(
            f"jacobian_sparsity: {outside[0]} is among the {name}, which run from 0 to {n - 1}, "
            "the last component of the flattened y0"
        )
    return found.astype(np.int64)


def _of_matrix(given: Any, n: int) -> Pattern:
    matrix = np.asarray(given)
    if matrix.dtype.kind not in "biuf":
        raise ValueError(
            f"jacobian_sparsity={given!r} must be a sparse array of SciPy, a boolean (n, n) array "
            "or a tuple of row and column indices"
        )
    _check_shape(matrix.shape, n)
    rows, columns = np.nonzero(matrix)
    return rows, columns


def _check_shape(shape: tuple[int, ...], n: int) -> None:
    if tuple(shape) != (n, n):
        raise ValueError(
            f"jacobian_sparsity has shape {tuple(shape)}; it must be ({n}, {n}), (n, n) with "
            "n = y0.size"
        )


def check_complete(
    pattern: Pattern,
    rhs: Callable[..., Any],
    t_span: tuple[float, float],
    y0: np.ndarray,
    p: Mapping[str, np.ndarray],
) -> None:
    """Refuse a pattern that lacks an entry which the right-hand side shows near the start.

    Components are moved in groups drawn at random: a slope outside of the rows that the pattern
    has in the columns of a group must not change. Two draws are made, one at the start and one in
    the middle of the span, of four groups an entry of a row, at most 32. Entries that are missing
    all along a diagonal are found, a single one most of the time, and up to 32 states always; what
    shows in other states than those near `y0` is not.

    Raises
    ------
    ValueError
        Naming entries.
    """
    n, rng = y0.size, np.random.default_rng(0)
    a_row = math.ceil(len(pattern[0]) / n)
    groups = n if n <= _MOST_GROUPS else min(_MOST_GROUPS, _GROUPS_PER_ENTRY * max(a_row, 2))
    for t in (t_span[0], (t_span[0] + t_span[1]) / 2):
        slopes = _Slopes(rhs, t, y0, p, rng)
        for missing in _missing(pattern, slopes, rng.permutation(np.arange(n) % groups)):
            named = ", ".join(f"({row}, {column})" for row, column in missing)
            raise ValueError(
                f"jacobian_sparsity lacks entries, among them {named} as (row, column): that "
                "component of rhs changes with that one of y; add them, or leave the pattern out"
            )


class _Slopes:
    """The right-hand side about a state near the start, in which nothing is zero by accident."""

    def __init__(
        self,
        rhs: Callable[..., Any],
        t: float,
        y0: np.ndarray,
        p: Mapping[str, np.ndarray],
        rng: np.random.Generator,
    ) -> None:
        self._rhs, self._p, self._shape = rhs, p, y0.shape
        self._t = np.asarray(t, dtype=y0.dtype)
        sizes = np.abs(y0.ravel())
        sizes = sizes + (_STEP * sizes.max() or 1.0)
        away, self._step = (
            (_STEP * sizes * rng.uniform(0.5, 1.0, y0.size)).astype(y0.dtype) for _ in range(2)
        )
        self._state = y0.ravel() + away
        self._here = self._at(self._state)
        self._rounding = _ROUNDING * np.finfo(y0.dtype).eps * np.abs(self._here)

    def changed(self, columns: np.ndarray) -> np.ndarray:
        """Which rows change when the components `columns` are moved; NaN is no change."""
        state = self._state.copy()
        state[columns] += self._step[columns]
        with np.errstate(invalid="ignore"):
            return np.abs(self._at(state) - self._here) > self._rounding

    def _at(self, state: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return self._rhs(self._t.copy(), state.reshape(self._shape), dict(self._p)).ravel()


def _missing(
    pattern: Pattern, slopes: _Slopes, group_of: np.ndarray
) -> Iterator[list[tuple[int, int]]]:
    """Entries that a pattern lacks, some of each group of columns that shows any."""
    rows, columns = pattern
    by_group = np.argsort(group_of[columns], kind="stable")
    ends = np.cumsum(np.bincount(group_of[columns], minlength=group_of.max() + 1))
    for group, allowed in enumerate(np.split(rows[by_group], ends[:-1])):
        moved = np.flatnonzero(group_of == group)
        changed = slopes.changed(moved)
        changed[allowed] = False
        found = np.flatnonzero(changed)[:_NAMED]
        if found.size:
            yield [(int(row), _column_of(slopes, int(row), moved)) for row in found]


def _column_of(slopes: _Slopes, row: int, columns: np.ndarray) -> int:
    """One of the `columns` that moves `row`, by halving."""
    while columns.size > 1:
        half = columns[: columns.size // 2]
        columns = half if slopes.changed(half)[row] else columns[half.size :]
    return int(columns[0])
