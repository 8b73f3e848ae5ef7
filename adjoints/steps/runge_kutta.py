"""One explicit Runge-Kutta step, its error, stiffness and dense output, for every backend.

Nothing here knows a framework: arrays are combined by arithmetic, and functions come from the
namespace of the arrays given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from .tableau import Tableau

Array = Any
Rhs = Callable[[Array, Array, Any], Array]


def combine(weights: np.ndarray, stages: Sequence[Array]) -> Array:
    """``sum_i weights[i] stages[i]``, leaving out zero weights.

    `stages` that know a quicker way have a method ``combined``.
    """
    combined = getattr(stages, "combined", None)
    if combined is not None:
        return combined(weights)
    total = None
    for weight, stage in zip(weights.tolist(), stages, strict=False):
        if weight != 0.0:
            term = stage if weight == 1.0 else weight * stage
            total = term if total is None else total + term
    return 0.0 * stages[0] if total is None else total


def step_stages(
    rhs: Rhs,
    tableau: Tableau,
    t: Array,
    y: Array,
    h: Array,
    params: Any,
    first: Array | None = None,
    clip_time: Callable[[Array], Array] = lambda t: t,
) -> tuple[Array, list[Array]]:
    """The new state and the stages that make it.

    Parameters
    ----------
    rhs : callable
        ``rhs(t, y, params)``.
    tableau : Tableau
    t, y, h : array
        Time, state and step size.
    params : pytree
    first : array, optional
        The first stage where it is known (first same as last).
    clip_time : callable
        Keeps stage times on the right side of a discontinuity.

    Returns
    -------
    y1 : array
        The state at ``t + h``.
    stages : list of array
        ``tableau.steps`` stages; :func:`end_stage` makes the next one.
    """
    stages = [rhs(clip_time(t), y, params) if first is None else first]
    for i in range(1, tableau.steps):
        at = y + h * combine(tableau.a[i], stages)
        stages.append(rhs(clip_time(t + float(tableau.c[i]) * h), at, params))
    return y + h * combine(tableau.b, stages), stages


def dense_stages(
    rhs: Rhs,
    tableau: Tableau,
    t: Array,
    y: Array,
    h: Array,
    params: Any,
    stages: Sequence[Array],
    clip_time: Callable[[Array], Array] = lambda t: t,
) -> list[Array]:
    """All stages, those that only dense output needs included."""
    stages = list(stages)
    for i in range(len(stages), tableau.stages):
        at = y + h * combine(tableau.a[i], stages)
        stages.append(rhs(clip_time(t + float(tableau.c[i]) * h), at, params))
    return stages


def dense_coefficients(tableau: Tableau, stages: Sequence[Array]) -> Array:
    """Coefficients of the dense output, shape ``(degree, *y.shape)``."""
    xp = array_namespace(stages[0])
    return xp.stack([combine(column, stages) for column in tableau.dense.T])


def dense_value(coefficients: Array, y: Array, h: Array, fraction: Array) -> Array:
    """The dense output at a `fraction` of the step, by Horner's rule."""
    total = coefficients[-1, ...]
    for m in range(coefficients.shape[0] - 2, -1, -1):
        total = coefficients[m, ...] + fraction * total
    return y + h * fraction * total


def error_slopes(tableau: Tableau, stages: Sequence[Array]) -> tuple[Array, ...]:
    """The embedded error of a step over its size; of two orders for DOP853.

    Parameters
    ----------
    tableau : Tableau
        An adaptive one.
    stages : list of array
        Up to and including the stage at the end of the step.
    """
    known = (tableau.error, tableau.error_low)
    return tuple(combine(weights, stages) for weights in known if weights is not None)


def embedded_error(
    errors: tuple[Array, ...], h: Array, scale: Array | None, components: int | None = None
) -> Array:
    """The norm of the embedded error of a step.

    Parameters
    ----------
    errors : tuple of array
        From :func:`error_slopes`.
    h : array
        The step size.
    scale : array or None
        Divides the error, component by component, before the root mean square is taken;
        ``None`` for the Euclidean norm of the error itself.
    components : int, optional
        Only the first ones of a flat state count (a seminorm).

    Returns
    -------
    array
        A scalar. For DOP853 the error of order 5 is damped by the one of order 3
        (Hairer, Norsett, Wanner, II.10).
    """
    xp = array_namespace(errors[0])

    def square(error: Array) -> Array:
        if scale is not None:
            error = error / scale
        error = counted(error, components)
        total = xp.sum(error * error)
        return total if scale is None else total / _size(error)

    return error_of_squares(tuple(map(square, errors)), h)


def error_of_squares(squares: tuple[Array, ...], h: Array) -> Array:
    """The norm of an embedded error, from the squares of those of :func:`error_slopes`."""
    xp = array_namespace(h)
    high, *low = squares
    if not low:
        return xp.abs(h) * safe_sqrt(high)
    damped = high + 0.01 * low[0]
    positive = damped > 0
    root = safe_sqrt(damped)
    return xp.abs(h) * xp.where(positive, high / xp.where(positive, root, xp.ones_like(root)), high)


def counted(x: Array, components: int | None) -> Array:
    """The first components of a flat state, or all of a state of any shape."""
    return x if components is None else x[:components]


def error_scale(y: Array, y1: Array, rtol: Array, atol: Array) -> Array:
    """``atol + rtol max(|y|, |y1|)``, component by component."""
    xp = array_namespace(y)
    return atol + rtol * xp.maximum(xp.abs(y), xp.abs(y1))


def stiffness_pair(
    tableau: Tableau, stages: Sequence[Array], y: Array, y1: Array, h: Array
) -> tuple[Array, Array] | None:
    """The differences ``k_i - k_j`` and ``g_i - g_j`` of two stages at the same time.

    ``g`` are the states at which the stages were taken. ``None`` where the method has no such
    pair of stages.
    """
    if tableau.stiffness_stages is None:
        return None
    i, j = tableau.stiffness_stages
    state_i = y + h * combine(tableau.a[i], stages)
    state_j = y1 if j == tableau.steps else y + h * combine(tableau.a[j], stages)
    return stages[i] - stages[j], state_i - state_j


def stiffness(pair: tuple[Array, Array]) -> Array:
    """Shampine's estimate of the Jacobian's norm from two slopes at the same time.

    The ratio of the norms of :func:`stiffness_pair`; zero where the two states agree.

    References
    ----------
    L. F. Shampine, ACM Trans. Math. Softw. 3 (1977) 44-53.
    """
    return ratio_of_norms(norm(pair[0]), norm(pair[1]))


def ratio_of_norms(slopes: Array, states: Array) -> Array:
    """The first number over the second, zero where that is."""
    xp = array_namespace(slopes)
    apart = states > 0
    return xp.where(apart, slopes / xp.where(apart, states, xp.ones_like(states)), 0 * states)


def norm(x: Array) -> Array:
    """The Euclidean norm, with derivative zero at zero."""
    return safe_sqrt(array_namespace(x).sum(x * x))


def root_mean_square(x: Array) -> Array:
    """The root mean square, with derivative zero at zero."""
    return safe_sqrt(array_namespace(x).sum(x * x) / _size(x))


def safe_sqrt(x: Array) -> Array:
    """The square root, with value and derivative zero at zero."""
    xp = array_namespace(x)
    positive = x != 0
    return xp.where(positive, xp.sqrt(xp.where(positive, x, xp.ones_like(x))), xp.zeros_like(x))


def _size(x: Array) -> int:
    # PyTorch's compiler may leave a length open: what is made of it must stay as it is.
    return max(1, math.prod(x.shape))
