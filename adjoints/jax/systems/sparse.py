"""Systems whose matrix is known where it is not zero, banded or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...linear_systems.colored_pattern import ColoredPattern
from ...linear_systems.factorizations import Factorizations, factorizations_of
from ...linear_systems.pattern import Pattern
from ..linear import Factors
from .calls import FACTORIZE_BANDED, SOLVE_BANDED, host_factorize, host_solve


@dataclass(frozen=True)
class Sparse:
    """Matrices with the entries of a pattern, in its order; factorised by SuperLU on the host.

    Parameters
    ----------
    colored : ColoredPattern
    incomplete : bool
        Whether the factors are, and GMRES solves with them.
    """

    colored: ColoredPattern
    incomplete: bool = False

    @property
    def name(self) -> str:
        """With what fills it."""
        return self.colored.name_of("gmres" if self.incomplete else "sparse")

    @property
    def pattern(self) -> Pattern:
        """Where entries may be."""
        return self.colored.pattern

    @property
    def factorizations(self) -> Factorizations:
        """The factors on the host."""
        return factorizations_of(self.pattern, incomplete=self.incomplete)

    def jacobian(self, function: Callable[[jax.Array], jax.Array], y: jax.Array) -> jax.Array:
        """The entries, from one product for each color."""

        def product(direction: jax.Array) -> jax.Array:
            return jax.jvp(function, (y,), (direction.reshape(y.shape),))[1].ravel()

        columns = jax.vmap(product)(jnp.asarray(self.colored.units, y.dtype))
        return _taken(columns.ravel(), self.colored.taken)

    def of_matrix(self, jacobian: jax.Array) -> jax.Array:
        """The entries of the pattern; that there are no others is found out where they are used."""
        return jacobian[self.pattern.rows, self.pattern.columns]

    def shifted(self, jacobian: jax.Array, diagonal: Any, scale: Any) -> jax.Array:
        """Entries, those of the diagonal among them."""
        on_diagonal = jnp.where(self.colored.on_diagonal, diagonal, 0)
        return scale * jacobian + on_diagonal.astype(jacobian.dtype)

    def factorize(self, matrix: jax.Array) -> Factors:
        """The number of a factor, what it is of, and NaN if there is none."""
        matrix = lax.stop_gradient(matrix)
        number = host_factorize(self.factorizations, matrix)
        return number, matrix, jnp.where(number[0] > 0, 0.0, jnp.nan).astype(matrix.dtype)

    def solve(self, factors: Factors, right: jax.Array, *, transposed: bool = False) -> jax.Array:
        """By the factor of that number."""
        number, matrix, _ = factors
        return host_solve(self.factorizations, number, matrix, right, transposed=transposed)

    def whole(
        self, jacobian: jax.Array, product: Callable[[jax.Array], jax.Array], like: jax.Array
    ) -> jax.Array:
        """By the products with a vector of random numbers: an entry may lie beside the pattern."""
        rows, columns = jnp.asarray(self.pattern.rows), jnp.asarray(self.pattern.columns)
        vector = jnp.asarray(self.colored.numbers, like.dtype)
        terms = jacobian * vector[columns]
        own = jax.ops.segment_sum(terms, rows, self.pattern.size)
        size = jax.ops.segment_sum(jnp.abs(terms), rows, self.pattern.size)
        apart = jnp.abs(product(vector.reshape(like.shape)).ravel() - own)
        is_whole = (apart <= np.sqrt(np.finfo(like.dtype).eps) * size).all()
        return jnp.where(is_whole, jacobian, jnp.nan)

    def largest_row_sum(self, jacobian: jax.Array, *, transposed: bool = False) -> jax.Array:
        """By the entries."""
        pattern = self.pattern
        at = jnp.asarray(pattern.columns if transposed else pattern.rows)
        return jnp.max(jax.ops.segment_sum(jnp.abs(jacobian), at, pattern.size))


@dataclass(frozen=True)
class Banded(Sparse):
    """The same, all entries near the diagonal; factorised by LAPACK, in the program itself."""

    @property
    def name(self) -> str:
        """With its bands."""
        return self.colored.banded_name

    def factorize(self, matrix: jax.Array) -> Factors:
        """The factors in LAPACK's storage, flat, and the pivots."""
        matrix, size = lax.stop_gradient(matrix), self.pattern.size
        below, above = self.pattern.bands
        # The entry of each place of the storage, or the zero behind all entries.
        entry = np.full(size * self.colored.leading, self.pattern.entries)
        entry[self.colored.stored] = np.arange(self.pattern.entries)
        stored = _taken(jnp.append(matrix, jnp.zeros(1, matrix.dtype)), entry)
        gives = (
            jax.ShapeDtypeStruct(stored.shape, stored.dtype),
            jax.ShapeDtypeStruct((size,), jnp.int32),
        )
        call = jax.ffi.ffi_call(FACTORIZE_BANDED, gives, vmap_method="expand_dims")
        return tuple(call(stored, above=np.int64(above), below=np.int64(below)))

    def solve(self, factors: Any, right: jax.Array, *, transposed: bool = False) -> jax.Array:
        """By LAPACK."""
        below, above = self.pattern.bands
        gives = jax.ShapeDtypeStruct(right.shape, right.dtype)
        call = jax.ffi.ffi_call(SOLVE_BANDED, gives, vmap_method="expand_dims")
        return call(
            *factors,
            right,
            above=np.int64(above),
            below=np.int64(below),
            transposed=np.int64(transposed),
        )


def _taken(array: jax.Array, places: np.ndarray) -> jax.Array:
    """The elements at places that are known to be there."""
    index = jnp.asarray(places.astype(np.int32))
    return array.at[index].get(mode="promise_in_bounds")
