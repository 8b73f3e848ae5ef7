"""``System``: how the linear systems of implicit steps are formed and solved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from ..linear import Factors, factorize, jacobian_of, solve_with

#: A Jacobian, or the matrix of a step, as the system keeps it.
Matrix = Any


class System(Protocol):
    """The linear systems of a solve, on flat vectors.

    Systems are compared by value and hashed, so that equal ones need no other program.
    """

    @property
    def name(self) -> str:
        """In words."""
        ...

    def jacobian(self, function: Callable[[jax.Array], jax.Array], y: jax.Array) -> Matrix:
        """The Jacobian of `function` at `y`, by forward mode."""
        ...

    def of_matrix(self, jacobian: jax.Array) -> Matrix:
        """A Jacobian of which all entries are given, shape ``(n, n)``."""
        ...

    def shifted(self, jacobian: Matrix, diagonal: Any, scale: Any) -> Matrix:
        """``diagonal I + scale J``."""
        ...

    def factorize(self, matrix: Matrix) -> Factors:
        """What solves with a matrix; not finite where that is singular."""
        ...

    def solve(self, factors: Factors, right: jax.Array, *, transposed: bool = False) -> jax.Array:
        """The solution of the system, or of the transposed one, for one flat right-hand side."""
        ...

    def whole(
        self, jacobian: Matrix, product: Callable[[jax.Array], jax.Array], like: jax.Array
    ) -> Matrix:
        """`jacobian`, or NaN where it is not what `product` multiplies arrays like `like` with."""
        ...

    def largest_row_sum(self, jacobian: Matrix, *, transposed: bool = False) -> jax.Array:
        """The largest sum of absolute values of a row, or a column: no eigenvalue is larger."""
        ...


@dataclass(frozen=True)
class Dense:
    """Matrices with all their entries."""

    name: str = "dense"

    def jacobian(self, function: Callable[[jax.Array], jax.Array], y: jax.Array) -> jax.Array:
        """All columns."""
        return jacobian_of(function, y)

    def of_matrix(self, jacobian: jax.Array) -> jax.Array:
        """As it is."""
        return jacobian

    def shifted(self, jacobian: jax.Array, diagonal: Any, scale: Any) -> jax.Array:
        """A matrix of the same size."""
        return diagonal * jnp.eye(jacobian.shape[0], dtype=jacobian.dtype) + scale * jacobian

    def factorize(self, matrix: jax.Array) -> Factors:
        """See :func:`~adjointbench.adjoints.jax.linear.factorize`."""
        return factorize(matrix)

    def solve(self, factors: Factors, right: jax.Array, *, transposed: bool = False) -> jax.Array:
        """See :func:`~adjointbench.adjoints.jax.linear.solve_with`."""
        return solve_with(factors, right, transposed=transposed)

    def whole(
        self, jacobian: jax.Array, product: Callable[[jax.Array], jax.Array], like: jax.Array
    ) -> jax.Array:
        """As it is: all of its entries are formed."""
        return jacobian

    def largest_row_sum(self, jacobian: jax.Array, *, transposed: bool = False) -> jax.Array:
        """By all columns."""
        return jnp.max(jnp.sum(jnp.abs(jacobian), axis=0 if transposed else 1))


#: What serves where nothing is known of the matrix.
DENSE = Dense()


@dataclass(frozen=True)
class Transposed:
    """Systems with the transposed of matrices that another system forms: those of an adjoint."""

    system: System

    @property
    def name(self) -> str:
        """That of the other."""
        return self.system.name

    def jacobian(self, function: Callable[[jax.Array], jax.Array], y: jax.Array) -> Matrix:
        """The transpose of that of `function`, whose products are vector-Jacobian products."""
        _, vjp = jax.vjp(function, y)
        return self.system.jacobian(lambda w: vjp(w)[0], jnp.zeros_like(y))

    def of_matrix(self, jacobian: jax.Array) -> Matrix:
        """Of the state's Jacobian, as the other keeps it."""
        return self.system.of_matrix(jacobian)

    def shifted(self, jacobian: Matrix, diagonal: Any, scale: Any) -> Matrix:
        """As of the other."""
        return self.system.shifted(jacobian, diagonal, scale)

    def factorize(self, matrix: Matrix) -> Factors:
        """As of the other."""
        return self.system.factorize(matrix)

    def solve(self, factors: Factors, right: jax.Array, *, transposed: bool = False) -> jax.Array:
        """With the transposed matrix."""
        return self.system.solve(factors, right, transposed=not transposed)

    def whole(
        self, jacobian: Matrix, product: Callable[[jax.Array], jax.Array], like: jax.Array
    ) -> Matrix:
        """As it is: the forward pass has found out for the other."""
        return jacobian

    def largest_row_sum(self, jacobian: Matrix, *, transposed: bool = False) -> jax.Array:
        """By the columns of the other."""
        return self.system.largest_row_sum(jacobian, transposed=not transposed)
