"""Van der Pol: from a gentle oscillation to extreme stiffness with one parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register

#: Where the explicit solvers begin to be limited by stability instead of accuracy.
_STIFF_FROM = 50.0


@register(tags=("oscillatory",))
def van_der_pol(*, mu: float = 1.0, t_end: float | None = None) -> Problem:
    r"""Relaxation oscillation whose stiffness grows with the square of `mu`.

    .. math::
        y_1' = y_2, \quad y_2' = \mu (1 - y_1^2) y_2 - y_1, \quad y(0) = (2, 0), \qquad L = y_1(T)

    with T = `t_end`, by default 10 or mu / 2, whichever is larger: the period is about
    1.614 mu for large mu, so that the end lies on the first slow branch, before the jump. Stiff
    from mu = 50 on; published up to mu = 1e6.

    Integrated backwards the fast direction grows as fast as it decays forwards, by a factor
    exp(3 mu) per unit of time near the start: a state that is reconstructed backwards
    (backsolve) is lost at once.

    Reference: E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, Springer 1996,
    section IV.1.
    """
    if not mu > 0:
        raise ValueError(f"mu={mu!r} must be positive, for example 1.0 or 1e3")
    return Problem(
        name="van_der_pol",
        rhs=_rhs,
        jacobian=_jacobian,
        y0=np.array([2.0, 0.0]),
        params={"mu": mu},
        t_span=(0.0, max(10.0, mu / 2) if t_end is None else t_end),
        loss=_loss,
        stiff=mu >= _STIFF_FROM,
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    return xp.stack([y[1], p["mu"] * (1.0 - y[0] ** 2) * y[1] - y[0]])


def _jacobian(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    mu = p["mu"]
    zero, one = xp.zeros_like(y[0]), xp.ones_like(y[0])
    lower = xp.stack([-2.0 * mu * y[0] * y[1] - 1.0, mu * (1.0 - y[0] ** 2)])
    return xp.stack([xp.stack([zero, one]), lower])


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    return ys[-1, 0]
