"""``MassMatrix``: a constant matrix ``M`` of ``M y' = f``, taken apart when a solve is prepared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

Array = Any

#: Up to so many rows a product is written as a sum, which fuses with what surrounds it.
MOST_SUMMED = 16


@dataclass(frozen=True, eq=False)
class MassMatrix:
    """A mass matrix; two are equal where their entries are.

    Where it is singular, the combinations of equations in its left null space have no derivative
    in them: they are algebraic, and determine the components of the state in its right null space,
    of which ``M y'`` says nothing.

    Parameters
    ----------
    matrix : ndarray, shape (n, n)
        In the dtype of the state, to whose rounding its rank is known.

    References
    ----------
    E. Hairer, G. Wanner, Solving ODEs II, 2nd ed. (1996), VI.1, equations (1.16)-(1.20).
    """

    matrix: np.ndarray

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MassMatrix) and self._known == other._known

    def __hash__(self) -> int:
        return hash(self._known)

    @cached_property
    def _known(self) -> tuple[Any, ...]:
        return self.matrix.shape, str(self.matrix.dtype), self.matrix.tobytes()

    @property
    def size(self) -> int:
        """Its rows."""
        return self.matrix.shape[0]

    @cached_property
    def unit(self) -> np.ndarray:
        """The identity of its size."""
        return np.eye(self.size, dtype=self.matrix.dtype)

    @cached_property
    def diagonal(self) -> np.ndarray | None:
        """Its diagonal, where it has no other entries."""
        own = np.diagonal(self.matrix).copy()
        return own if np.array_equal(self.matrix, np.diag(own)) else None

    @cached_property
    def _null_spaces(self) -> tuple[np.ndarray, np.ndarray]:
        """Those on the left and on the right, of rows scaled alike: units of equations differ."""
        exact = self.matrix.astype(np.float64)
        if self.diagonal is not None:
            zero = np.eye(self.size)[:, self.diagonal == 0]
            return zero, zero
        size = np.linalg.norm(exact, axis=1)
        scale = 1 / np.where(size > 0, size, 1.0)
        left, values, right = np.linalg.svd(scale[:, None] * exact)
        rounding = self.size * float(np.finfo(self.matrix.dtype).eps)
        rank = int((values > rounding * values[0]).sum())
        null = scale[:, None] * left[:, rank:]
        return _orthonormal(null), np.ascontiguousarray(right[rank:].T)

    @property
    def left(self) -> np.ndarray:
        """``U``, shape ``(n, k)``: ``U^T f = 0`` are the `k` algebraic equations."""
        return self._null_spaces[0]

    @property
    def right(self) -> np.ndarray:
        """``V``, shape ``(n, k)``: ``M (y + V a) = M y`` whatever `a` is."""
        return self._null_spaces[1]

    @property
    def algebraic(self) -> int:
        """How many algebraic equations there are; 0 of a regular matrix."""
        return self.left.shape[1]

    @cached_property
    def projector(self) -> np.ndarray:
        """``U U^T``, which leaves of equations those that are algebraic."""
        return self.left @ self.left.T

    @cached_property
    def inverse(self) -> np.ndarray:
        """The pseudoinverse, the inverse of a regular one: ``y'`` but for the algebraic part."""
        if self.diagonal is not None:
            known = self.diagonal.astype(np.float64)
            return np.diag(1 / np.where(known != 0, known, np.inf))
        if not self.algebraic:
            return np.linalg.inv(self.matrix.astype(np.float64))
        rounding = self.size * float(np.finfo(self.matrix.dtype).eps)
        return np.linalg.pinv(self.matrix.astype(np.float64), rcond=rounding)

    def times(self, state: Array, *, lead: int = 0) -> Array:
        """``M u`` for an array like the state, or for many, in the first `lead` axes."""
        return product(self.matrix, state, lead=lead)

    def transposed_times(self, state: Array, *, lead: int = 0) -> Array:
        """``M^T u``."""
        return product(self.matrix.T, state, lead=lead)


def product(matrix: np.ndarray, state: Array, *, lead: int = 0) -> Array:
    """A known matrix times an array like the state, or times many, in the first `lead` axes.

    Parameters
    ----------
    matrix : ndarray, shape (m, n)
    state : array
        Of ``n`` elements, those of the first `lead` axes aside.

    Returns
    -------
    array
        Of the same shape where ``m == n``, else with `m` elements in a last axis.
    """
    xp = array_namespace(state)
    before = state.shape[:lead]

    def known(array: np.ndarray) -> Array:
        each = array.reshape((*(1,) * lead, *array.shape))
        return xp.asarray(np.ascontiguousarray(each), dtype=state.dtype, device=device(state))

    rows, columns = matrix.shape
    flat = xp.reshape(state, (*before, columns))
    own = np.diagonal(matrix)
    if rows == columns and np.array_equal(matrix, np.diag(own)):
        found = flat * known(own)
    elif rows * columns <= MOST_SUMMED**2:
        found = xp.sum(flat[..., None, :] * known(matrix), axis=-1)
    else:
        found = xp.matmul(flat[..., None, :], known(matrix.T))[..., 0, :]
    return xp.reshape(found, state.shape if rows == columns else (*before, rows))


def _orthonormal(vectors: np.ndarray) -> np.ndarray:
    """A basis of the space of some columns; unit vectors stay what they are."""
    if not vectors.shape[1]:
        return vectors
    left, _, right = np.linalg.svd(vectors, full_matrices=False)
    return left @ right
