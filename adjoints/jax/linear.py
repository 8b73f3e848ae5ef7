"""The linear systems of implicit steps: factorised once, solved often, differentiable.

A solve is differentiated by the rule for linear systems, with the factors at hand and their
transpose in reverse; nothing differentiates the elimination.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

#: Up to this size the inverse is formed, by unrolled elimination up to the first size: a call to
#: LAPACK would cost more than the arithmetic, and cannot stand in a single kernel.
UNROLLED, INVERTED = 3, 10

Factors = Any


def factorize(matrix: jax.Array) -> Factors:
    """Factors of a square matrix: its inverse where it is small, else LU with pivoting.

    A singular matrix gives factors that are not finite, or solutions that are not.
    """
    matrix = lax.stop_gradient(matrix)
    size = matrix.shape[0]
    if size > INVERTED:
        lu, _, order = lax.linalg.lu(matrix)
        return lu, order, jnp.argsort(order)
    return _inverse_unrolled(matrix) if size <= UNROLLED else _inverse(matrix)


@jax.custom_jvp
def inverse_of(matrix: jax.Array) -> jax.Array:
    """The inverse of a small matrix; unlike :func:`factorize` it carries its derivative."""
    return factorize(matrix)


@inverse_of.defjvp
def _tangent_of_inverse(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    inverse = inverse_of(*primals)
    return inverse, -inverse @ tangents[0] @ inverse


def solve_with(factors: Factors, right: jax.Array, *, transposed: bool = False) -> jax.Array:
    """The solution of the system, or of the transposed one, for one flat right-hand side."""
    if isinstance(factors, tuple):
        return _solve_triangles(factors, right, transposed)
    # As arithmetic that fuses with its surroundings, rather than a call to a library.
    if transposed:
        return jnp.sum(factors * right[:, None], axis=0)
    return jnp.sum(factors * right[None, :], axis=1)


def _solve_triangles(
    factors: tuple[jax.Array, ...], right: jax.Array, transposed: bool
) -> jax.Array:
    """The two triangular solves, with the order of the rows known both ways."""
    lu, order, back = factors

    def solve(right: jax.Array, *, lower: bool) -> jax.Array:
        return lax.linalg.triangular_solve(
            lu, right, left_side=True, lower=lower, unit_diagonal=lower, transpose_a=transposed
        )

    if transposed:
        return solve(solve(right[:, None], lower=False), lower=True)[back, 0]
    return solve(solve(right[order, None], lower=True), lower=False)[:, 0]


def is_finite(arrays: Any) -> jax.Array:
    """Whether all floating numbers in a tree of arrays are finite."""
    leaves = [leaf for leaf in jax.tree.leaves(arrays) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()


def linear_solver(
    matvec: Callable[[jax.Array], jax.Array],
    factors: Factors,
    solve_flat: Callable[..., jax.Array] = solve_with,
    *,
    transposed: bool = False,
) -> Callable[[jax.Array], jax.Array]:
    """``solve(right)`` for arrays of any shape, differentiable through `matvec`.

    Parameters
    ----------
    matvec : callable
        The product with the matrix. Derivatives of a solution flow to what it closes over.
    factors
        Of the same matrix, on flat vectors.
    solve_flat : callable
        ``solve_flat(factors, right, transposed=...)``.
    transposed : bool
        Whether they are those of its transpose.
    """

    def solve(_: Any, right: jax.Array) -> jax.Array:
        return solve_flat(factors, right.ravel(), transposed=transposed).reshape(right.shape)

    def solve_transposed(_: Any, right: jax.Array) -> jax.Array:
        return solve_flat(factors, right.ravel(), transposed=not transposed).reshape(right.shape)

    return lambda right: lax.custom_linear_solve(matvec, right, solve, solve_transposed)


def _inverse(matrix: jax.Array) -> jax.Array:
    """The inverse by Gauss-Jordan elimination with partial pivoting.

    Rows are chosen by masks: what is mapped over many matrices needs no scattering then.
    """
    n = matrix.shape[0]
    number = jnp.arange(n, dtype=jnp.int32)

    def eliminate(k: jax.Array, both: jax.Array) -> jax.Array:
        column = lax.dynamic_index_in_dim(both, k, axis=1, keepdims=False)
        size = jnp.where(number < k, -1.0, jnp.abs(column))
        pivot = jnp.min(jnp.where(size == jnp.max(size), number, n - 1))
        at_pivot, at_k = (number == pivot)[:, None], (number == k)[:, None]
        upper = jnp.sum(jnp.where(at_pivot, both, 0.0), axis=0)
        lower = lax.dynamic_index_in_dim(both, k, axis=0, keepdims=False)
        upper = (upper / lax.dynamic_index_in_dim(upper, k, keepdims=False))[None]
        both = jnp.where(at_pivot, lower[None], both)
        column = lax.dynamic_index_in_dim(both, k, axis=1)
        return jnp.where(at_k, upper, both - column * upper)

    identity = jnp.eye(n, dtype=matrix.dtype)
    start = jnp.concatenate([matrix, identity], axis=1)
    return lax.fori_loop(jnp.int32(0), jnp.int32(n), eliminate, start)[:, n:]


def _inverse_unrolled(matrix: jax.Array) -> jax.Array:
    """The same, unrolled."""
    n = matrix.shape[0]
    rows = [jnp.concatenate([matrix[i], jnp.eye(n, dtype=matrix.dtype)[i]]) for i in range(n)]
    for column in range(n):
        for below in range(column + 1, n):
            swap = jnp.abs(rows[below][column]) > jnp.abs(rows[column][column])
            upper, lower = rows[column], rows[below]
            rows[column] = jnp.where(swap, lower, upper)
            rows[below] = jnp.where(swap, upper, lower)
        rows[column] = rows[column] / rows[column][column]
        for other in range(n):
            if other != column:
                rows[other] = rows[other] - rows[other][column] * rows[column]
    return jnp.stack([row[n:] for row in rows])


def jacobian_of(function: Callable[[jax.Array], jax.Array], y: jax.Array) -> jax.Array:
    """The Jacobian by forward mode, on flattened arguments and values: shape ``(n, n)``."""
    n = y.size

    def column(direction: jax.Array) -> jax.Array:
        return jax.jvp(function, (y,), (direction.reshape(y.shape),))[1].ravel()

    return jax.vmap(column, out_axes=1)(jnp.eye(n, dtype=y.dtype))
