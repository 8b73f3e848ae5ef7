"""The stages of one Rosenbrock step, for every backend; the linear algebra is the caller's."""

from __future__ import annotations

from collections.abc import Callable

from .runge_kutta import Array, combine
from .tableau import Tableau

Slope = Callable[[Array, Array], Array]


def rosenbrock_stages(
    rhs: Slope,
    tableau: Tableau,
    t: Array,
    y: Array,
    h: Array,
    slope: Array,
    time_slope: Array,
    solve: Callable[[Array], Array],
    mass: Callable[[Array], Array] = lambda u: u,
) -> list[Array]:
    """The stages of one step from ``(t, y)`` over `h`.

    Parameters
    ----------
    rhs : callable
        ``rhs(t, y)``.
    tableau : Tableau
        Of kind ``"rosenbrock"``.
    t, y, h : array
    slope : array
        ``rhs(t, y)``.
    time_slope : array
        The partial derivative of `rhs` by time at ``(t, y)``.
    solve : callable
        Solves with the matrix ``M / gamma - h J``.
    mass : callable
        The product with the mass matrix ``M``, by default the identity.

    References
    ----------
    E. Hairer, G. Wanner, Solving ODEs II, 2nd ed. (1996), IV.7, equation (7.25);
    with a mass matrix VI.4, equation (4.3).
    """
    assert tableau.coupling is not None
    assert tableau.time_weights is not None
    stages: list[Array] = []
    for i in range(tableau.steps):
        right = slope
        if i > 0:
            at = y + h * combine(tableau.a[i], stages)
            right = rhs(t + float(tableau.c[i]) * h, at)
            right = right + mass(combine(tableau.coupling[i], stages))
        if tableau.time_weights[i] != 0.0:
            right = right + float(tableau.time_weights[i]) * h * time_slope
        stages.append(solve(right))
    return stages
