"""A two-stage transistor amplifier: an electrical circuit whose capacitances are singular."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register

#: C₁ ... C₅, farads.
_CAPACITANCES = 1e-6 * np.arange(1.0, 6.0)

_PARAMS = {
    "resistance": np.array([1000.0, *([9000.0] * 9)]),
    "supply": 6.0,
    "amplitude": 0.1,
    "thermal": 0.026,
    "alpha": 0.99,
    "saturation": 1e-6,
}


@register(tags=("circuit", "dae"), stiff=True)
def transistor_amplifier(*, t_end: float = 0.2, save_every: float = 0.004) -> Problem:
    r"""Voltages at the eight nodes of an amplifier with two transistors.

    .. math::
        C_1 (y_2' - y_1') &= (y_1 - U_e(t)) / R_0, &
        C_1 (y_1' - y_2') &= y_2 / R_1 + (y_2 - U_b) / R_2 + (1 - \alpha) h(y_2 - y_3),\\
        -C_2 y_3' &= y_3 / R_3 - h(y_2 - y_3), &
        C_3 (y_5' - y_4') &= (y_4 - U_b) / R_4 + \alpha h(y_2 - y_3),\\
        C_3 (y_4' - y_5') &= y_5 / R_5 + (y_5 - U_b) / R_6 + (1 - \alpha) h(y_5 - y_6), &
        -C_4 y_6' &= y_6 / R_7 - h(y_5 - y_6),\\
        C_5 (y_8' - y_7') &= (y_7 - U_b) / R_8 + \alpha h(y_5 - y_6), &
        C_5 (y_7' - y_8') &= y_8 / R_9

    with the transistors' h(u) = β (exp(u / U_F) - 1), the signal U_e = A sin(200 π t), C_k = k
    10⁻⁶, R_0 = 1000 and all others 9000, (U_b, A, U_F, α, β) = (6, 0.1, 0.026, 0.99, 10⁻⁶). The
    mass matrix has rank 5, and the index is 1. The loss is half the sum of y_8(t_i)², the amplified
    signal, over saves at multiples of `save_every` after the start.

    Published: y(0.2) = (-0.5562145012262709e-2, 3.006522471903042, 2.849958788608128,
    2.926422536206241, 2.704617865010554, 2.761837778393145, 4.770927631616772,
    1.236995868091548).

    Reference: E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, Springer 1996,
    section VI.1; problem "transamp" of the Test Set for IVP Solvers, F. Mazzia, C. Magherini,
    University of Bari, release 2.4.
    """
    half = _PARAMS["supply"] / 2.0
    return Problem(
        name="transistor_amplifier",
        rhs=_rhs,
        y0=np.array([0.0, half, half, 6.0, half, half, 6.0, 0.0]),
        params=_PARAMS,
        mass=_mass(),
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, round(t_end / save_every) + 1)[1:],
        loss=_loss,
    )


def _mass() -> np.ndarray:
    """Of ``M y' = rhs``, signs as in the equations above."""
    mass = np.zeros((8, 8))
    for (i, j), capacitance in zip(((0, 1), (3, 4), (6, 7)), _CAPACITANCES[::2], strict=True):
        mass[i, i] = mass[j, j] = -capacitance
        mass[i, j] = mass[j, i] = capacitance
    mass[2, 2], mass[5, 5] = -_CAPACITANCES[1], -_CAPACITANCES[3]
    return mass


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    r, supply, alpha = p["resistance"], p["supply"], p["alpha"]
    signal = p["amplitude"] * xp.sin(200.0 * np.pi * t)
    first, second = (
        p["saturation"] * (xp.exp((y[i] - y[i + 1]) / p["thermal"]) - 1.0) for i in (1, 4)
    )
    return xp.stack(
        [
            (y[0] - signal) / r[0],
            y[1] / r[1] + (y[1] - supply) / r[2] + (1.0 - alpha) * first,
            y[2] / r[3] - first,
            (y[3] - supply) / r[4] + alpha * first,
            y[4] / r[5] + (y[4] - supply) / r[6] + (1.0 - alpha) * second,
            y[5] / r[7] - second,
            (y[6] - supply) / r[8] + alpha * second,
            y[7] / r[9],
        ]
    )


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.sum(ys[:, 7] ** 2) / 2.0
