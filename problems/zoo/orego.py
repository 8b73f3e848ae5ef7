"""Oregonator: the Belousov-Zhabotinskii reaction, a stiff limit cycle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register


@register(tags=("kinetics", "oscillatory"), stiff=True)
def orego(*, t_end: float = 360.0) -> Problem:
    r"""The Oregonator: three species on a limit cycle with jumps of five orders of magnitude.

    .. math::
        y_1' = s (y_2 + y_1 (1 - q y_1 - y_2)), \quad
        y_2' = (y_3 - (1 + y_1) y_2) / s, \quad
        y_3' = w (y_1 - y_3), \qquad L = y_3(T)

    from (1, 2, 3) with s = 77.27, q = 8.375e-6, w = 0.161.

    In each period y_1 rises from 1 to 1e5 and falls again within fractions of a second; stiff
    and gentle phases alternate. The gradient grows with the number of periods, as the parameters
    change the period.

    Reference: R. J. Field, R. M. Noyes, J. Chem. Phys. 60 (1974) 1877-1884; E. Hairer, G. Wanner,
    Solving Ordinary Differential Equations II, Springer 1996, section IV.10.
    """
    return Problem(
        name="orego",
        rhs=_rhs,
        jacobian=_jacobian,
        y0=np.array([1.0, 2.0, 3.0]),
        params={"s": 77.27, "q": 8.375e-6, "w": 0.161},
        t_span=(0.0, t_end),
        loss=_loss,
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    s, q, w = p["s"], p["q"], p["w"]
    first = s * (y[1] + y[0] * (1.0 - q * y[0] - y[1]))
    return xp.stack([first, (y[2] - (1.0 + y[0]) * y[1]) / s, w * (y[0] - y[2])])


def _jacobian(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    s, q, w = p["s"], p["q"], p["w"]
    zero = xp.zeros_like(y[0])
    return xp.stack(
        [
            xp.stack([s * (1.0 - 2.0 * q * y[0] - y[1]), s * (1.0 - y[0]), zero]),
            xp.stack([-y[1] / s, -(1.0 + y[0]) / s, 1.0 / s + zero]),
            xp.stack([w + zero, zero, zero - w]),
        ]
    )


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    return ys[-1, 2]
