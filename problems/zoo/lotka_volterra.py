"""Lotka-Volterra: predator and prey, the first problem of every comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register


@register(tags=("oscillatory",))
def lotka_volterra(*, loss: str = "sum", t_end: float = 10.0) -> Problem:
    r"""Predator and prey, four rates, in one of two published settings.

    .. math::
        u_1' = p_1 u_1 - p_2 u_1 u_2, \quad u_2' = -p_3 u_2 + p_4 u_1 u_2, \quad u(0) = (1, 1)

    with p = (1.5, 1, 3, 1). ``loss="sum"``: L = u1(T) + u2(T), the setting of the Julia adjoint
    comparisons. ``loss="squared_distance"``: L = ‖1 - u(T)‖² / 2, the setting of the SUNDIALS
    CVODES example cvsLotkaVolterra_ASA.

    Smooth and non-stiff: it measures overhead, not robustness.

    References: Y. Ma, V. Dixit, M. Innes, X. Guo, C. Rackauckas, A comparison of automatic
    differentiation and continuous sensitivity analysis for derivatives of differential equation
    solutions, IEEE HPEC 2021, arXiv:1812.01892; A. C. Hindmarsh et al., SUNDIALS, ACM TOMS 31
    (2005).
    """
    losses = {"sum": _sum, "squared_distance": _squared_distance}
    if loss not in losses:
        raise ValueError(f"loss={loss!r} is not known; known: {', '.join(losses)}")
    return Problem(
        name="lotka_volterra",
        rhs=_rhs,
        y0=np.array([1.0, 1.0]),
        params={"p": np.array([1.5, 1.0, 3.0, 1.0])},
        t_span=(0.0, t_end),
        loss=losses[loss],
    )


def _rhs(t: Any, u: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(u)
    p1, p2, p3, p4 = (p["p"][i] for i in range(4))
    return xp.stack([p1 * u[0] - p2 * u[0] * u[1], -p3 * u[1] + p4 * u[0] * u[1]])


def _sum(us: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(us)
    return xp.sum(us[-1, ...])


def _squared_distance(us: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(us)
    return xp.sum((1.0 - us[-1, ...]) ** 2) / 2
