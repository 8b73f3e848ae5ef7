"""HIRES: how a plant's growth answers to light, eight species."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register

#: k1 ... k6, k+, k-, k* and the source, in this order.
_RATES = (1.71, 0.43, 8.32, 0.69, 0.035, 8.32, 280.0, 0.69, 0.69, 0.0007)


@register(tags=("kinetics",), stiff=True)
def hires(*, t_end: float = 321.8122) -> Problem:
    r"""The high irradiance response of photomorphogenesis, by eight reacting species.

    .. math::
        y_1' &= -k_1 y_1 + k_2 y_2 + k_6 y_3 + s,
            &\quad y_5' &= -(k_1 + k_5) y_5 + k_2 (y_6 + y_7)\\
        y_2' &= k_1 y_1 - (k_2 + k_3) y_2, & y_6' &= k_4 y_4 + k_1 y_5 - k_2 y_6 + k_- y_7 - r\\
        y_3' &= -(k_1 + k_6) y_3 + k_2 y_4 + k_5 y_5, & y_7' &= r - (k_2 + k_- + k_*) y_7\\
        y_4' &= k_3 y_2 + k_1 y_3 - (k_2 + k_4) y_4, & y_8' &= -y_7'

    with r = k₊ y_6 y_8, start value (1, 0, 0, 0, 0, 0, 0, 0.0057), L = y_1(T), and ``k`` = (1.71,
    0.43, 8.32, 0.69, 0.035, 8.32, 280, 0.69, 0.69, 0.0007): k₁ to k₆, k₊, k₋, k_* and s.

    The sum y_7 + y_8 is conserved, so that the Jacobian is singular, and the last stage of the
    decay, near t = 300, is fast: step sizes fall by two orders of magnitude after a long quiet
    phase.

    Reference: E. Schäfer, J. Math. Biol. 2 (1975) 41-56; E. Hairer, G. Wanner, Solving Ordinary
    Differential Equations II, Springer 1996, section IV.10.
    """
    start = np.zeros(8)
    start[0], start[7] = 1.0, 0.0057
    return Problem(
        name="hires",
        rhs=_rhs,
        y0=start,
        params={"k": np.array(_RATES)},
        t_span=(0.0, t_end),
        loss=_loss,
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    k1, k2, k3, k4, k5, k6, forth, back, out, source = (p["k"][i] for i in range(10))
    bind = forth * y[5] * y[7]
    release = (k2 + back + out) * y[6]
    return xp.stack(
        [
            -k1 * y[0] + k2 * y[1] + k6 * y[2] + source,
            k1 * y[0] - (k2 + k3) * y[1],
            -(k1 + k6) * y[2] + k2 * y[3] + k5 * y[4],
            k3 * y[1] + k1 * y[2] - (k2 + k4) * y[3],
            -(k1 + k5) * y[4] + k2 * (y[5] + y[6]),
            k4 * y[3] + k1 * y[4] - k2 * y[5] + back * y[6] - bind,
            bind - release,
            release - bind,
        ]
    )


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    return ys[-1, 0]
