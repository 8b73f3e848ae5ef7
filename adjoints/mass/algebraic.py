"""The algebraic equations of a mass matrix: when values are consistent, and how fast they move.

With ``U`` and ``V`` the null spaces of ``M`` on the left and on the right, a solution of
``M y' = f(t, y)`` fulfils ``U^T f(t, y) = 0``. These equations determine what ``M y`` leaves open,
``y = y0 + V a``, where ``U^T f_y V`` is regular: the index is 1. Their derivative by time completes
``M y' = f`` to the equation of the slope,

    (M + U U^T f_y) y' = (I - U U^T) f - U U^T f_t

References
----------
E. Hairer, G. Wanner, Solving ODEs II, 2nd ed. (1996), VI.1 and VI.3.
K. E. Brenan, S. L. Campbell, L. R. Petzold, Numerical Solution of Initial-Value Problems in
Differential-Algebraic Equations, SIAM (1996), 5.3 (consistent initial values).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, device

from .matrix import MassMatrix, product

Array = Any

#: Newton iterations in which consistent values must be found.
MOST_ITERATIONS = 50

#: Newton steps from values that are consistent, whose derivatives are right: of first order after
#: one, of third order after two.
POLISHING = 2

#: What is asked of somebody whose equations are of a higher index.
INDEX = (
    "the algebraic equations do not determine the algebraic unknowns, so that the index is 2 or "
    "more; differentiate the constraints by time until they do, or, where that is so at this y0 "
    "alone, start from another"
)


class Update(NamedTuple):
    """A Newton step towards consistent values: what is to be subtracted, and how exact it is."""

    change: Array
    rounding: Array


def residual(mass: MassMatrix, slope: Array) -> Array:
    """``U^T f``, shape ``(k,)``."""
    return product(mass.left.T, slope)


def constraint_matrix(mass: MassMatrix, jacobian: Array) -> Array:
    """``U^T f_y V``, shape ``(k, k)``, of ``f_y`` in shape ``(n, n)``."""
    return product(mass.right.T, gradient_of_residual(mass, jacobian), lead=1)


def gradient_of_residual(mass: MassMatrix, jacobian: Array) -> Array:
    """``U^T f_y``, shape ``(k, n)``."""
    xp = array_namespace(jacobian)
    turned = xp.permute_dims(jacobian, (1, 0))
    return xp.permute_dims(product(mass.left.T, turned, lead=1), (1, 0))


def newton_update(
    mass: MassMatrix,
    y: Array,
    slope: Array,
    jacobian: Array,
    invert: Callable[[Array], Array],
) -> Update:
    """The Newton step for the algebraic part of a state.

    Parameters
    ----------
    mass : MassMatrix
        A singular one.
    y, slope : array
        The state, and ``f`` there.
    jacobian : array, shape (n, n)
        ``f_y`` there.
    invert : callable
        The inverse of a square matrix, not finite of a singular one; differentiable.

    Returns
    -------
    Update
        Both like `y`; not finite where the system is singular.
    """
    xp = array_namespace(y)
    rows = gradient_of_residual(mass, jacobian)
    inverse = _inverse(product(mass.right.T, rows, lead=1), invert)

    def moved(change: Array, onto: np.ndarray) -> Array:
        return xp.reshape(product(onto, change), y.shape)

    change = xp.sum(inverse * residual(mass, slope)[None, :], axis=1)
    terms = xp.sum(xp.abs(rows) * xp.reshape(xp.abs(y), (1, -1)), axis=1)
    noise = xp.sum(xp.abs(inverse) * terms[None, :], axis=1)
    eps = float(xp.finfo(y.dtype).eps)
    return Update(moved(change, mass.right), eps * moved(noise, np.abs(mass.right)))


def _inverse(matrix: Array, invert: Callable[[Array], Array]) -> Array:
    rows, columns = _scales(matrix)
    scaled = matrix / (rows[:, None] * columns[None, :])
    return invert(scaled) / (columns[:, None] * rows[None, :])


def _scales(matrix: Array) -> tuple[Array, Array]:
    """What divides the rows and the columns of a matrix so that the largest entries are 1.

    A row or a column of zeros stays what it is.
    """
    xp = array_namespace(matrix)

    def size(absolute: Array, axis: int) -> Array:
        largest = xp.max(absolute, axis=axis)
        return xp.where(largest > 0, largest, xp.ones_like(largest))

    absolute = xp.abs(matrix)
    rows = size(absolute, 1)
    return rows, size(absolute / rows[:, None], 0)


def is_regular(matrix: Array) -> Array:
    """Whether a square matrix is regular to rounding, its rows and columns scaled alike."""
    xp = array_namespace(matrix)
    rows, columns = _scales(matrix)
    finite = xp.all(xp.isfinite(matrix))
    scaled = matrix / (rows[:, None] * columns[None, :])
    values = xp.linalg.svdvals(xp.where(finite, scaled, xp.zeros_like(scaled)))
    least = 32 * matrix.shape[0] * float(xp.finfo(matrix.dtype).eps)
    return finite & (values[-1] > least * values[0])


def has_settled(y: Array, update: Update, before: Array) -> Array:
    """Whether a Newton iteration is at an end: its steps, now of rounding size, shrink no more.

    Parameters
    ----------
    y : array
        The state after the step.
    update : Update
        The step.
    before : array
        The :func:`step_size` of the step before.
    """
    return is_rounding(y, update) & (step_size(y, update) >= 0.5 * before)


def is_rounding(y: Array, update: Update) -> Array:
    """Whether a step is so small that one more, whose size is its square, would be rounding."""
    xp = array_namespace(y)
    relative = float(xp.finfo(y.dtype).eps) ** 0.5
    return xp.all(xp.abs(update.change) <= relative * xp.abs(y) + 1e3 * update.rounding)


def step_size(y: Array, update: Update) -> Array:
    """The size of a step in units of the state and of its rounding; zero where nothing changes."""
    xp = array_namespace(y)
    change = xp.abs(update.change)
    unit = xp.abs(y) + update.rounding
    return xp.max(xp.where(change > 0, change / xp.where(unit > 0, unit, change), 0 * change))


def slope_system(
    mass: MassMatrix, slope: Array, jacobian: Array, time_slope: Array
) -> tuple[Array, Array]:
    """Matrix and right side of the system whose solution is ``y'``, flat.

    Parameters
    ----------
    mass : MassMatrix
    slope, time_slope : array
        ``f`` and ``f_t`` at consistent values.
    jacobian : array, shape (n, n)
        ``f_y`` there.
    """
    xp = array_namespace(slope)
    flat = xp.reshape(slope, (-1,))
    matrix = xp.asarray(mass.matrix, dtype=slope.dtype, device=device(slope))
    if not mass.algebraic:
        return matrix, flat
    turned = product(mass.projector, xp.permute_dims(jacobian, (1, 0)), lead=1)
    right = flat - product(mass.projector, flat + xp.reshape(time_slope, (-1,)))
    return matrix + xp.permute_dims(turned, (1, 0)), right
