"""PKPD: a drug taken every day, its distribution in the body, and its effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register

#: Doses are planned until this time.
_LAST_DOSE = 240.0

_PARAMS = {
    "absorption": 1.0,
    "clearance": 1.0,
    "central_volume": 20.0,
    "flow": 2.0,
    "volume": 10.0,
    "kin": 10.0,
    "kout": 2.0,
    "ic50": 2.0,
    "imax": 1.0,
    "sigmoidicity": 1.0,
    "vmax": 0.0,
    "km": 2.0,
    "second_flow": 0.5,
    "second_volume": 100.0,
}


@register(tags=("kinetics", "jumps"), stiff=True)
def pkpd(
    *, t_end: float = 50.0, save_every: float = 0.5, dose: float = 100.0, interval: float = 24.0
) -> Problem:
    r"""Repeated doses of a drug: depot, three compartments, and an inhibited response.

    .. math::
        D' &= -k_a D, \qquad c = C / V_c\\
        C' &= k_a D - (CL + \frac{V_{max}}{K_m + c} + Q + Q_2)\, c + \frac{Q}{V_p} P
              + \frac{Q_2}{V_{p2}} P_2\\
        P' &= Q c - \frac{Q}{V_p} P, \qquad P_2' = Q_2 c - \frac{Q_2}{V_{p2}} P_2\\
        R' &= K_{in} \left(1 - \frac{I_{max} c^\gamma}{IC_{50}^\gamma + c^\gamma}\right) - K_{out} R

    for the state (D, C, P, P₂, R), from a first dose at t = 0. At every multiple of `interval`
    until 240 the depot gains `dose`: the state jumps, and the adjoint is carried back through
    the jump. Doses after `t_end` do not happen: with the default span those at 24 and 48 do.
    L = ½ Σ (1 - y_j(t_i))² over saves every `save_every` from 0 on. The 14 parameters are those
    of the source; V_max = 0 takes no part in a log-parameter gradient.

    The compartments start at 2.2e-16 instead of zero, as the derivative of c^γ by γ needs log c.
    Only mildly stiff; after each dose the step size must fall at once.

    Reference: Y. Ma, V. Dixit, M. Innes, X. Guo, C. Rackauckas, HPEC 2021, arXiv:1812.01892.
    """
    if not interval > 0:
        raise ValueError(f"interval={interval!r} must be positive, for example 24.0")
    count = int(min(_LAST_DOSE, t_end) / interval + 1e-9)
    none = float(np.finfo(np.float64).eps)
    return Problem(
        name="pkpd",
        rhs=_rhs,
        y0=np.array([dose, none, none, none, 5.0]),
        params=_PARAMS,
        constants={"dose": np.array([dose, 0.0, 0.0, 0.0, 0.0])},
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, round(t_end / save_every) + 1),
        jump_times=tuple(interval * i for i in range(1, count + 1)),
        jump=_take_dose if count else None,
        loss=_loss,
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    depot, central, first, second, response = (y[i] for i in range(5))
    c = central / p["central_volume"]
    absorbed = p["absorption"] * depot
    to_first = p["flow"] * (c - first / p["volume"])
    to_second = p["second_flow"] * (c - second / p["second_volume"])
    eliminated = (p["clearance"] + p["vmax"] / (p["km"] + c)) * c
    power = c ** p["sigmoidicity"]
    inhibited = p["imax"] * power / (p["ic50"] ** p["sigmoidicity"] + power)
    return xp.stack(
        [
            -absorbed,
            absorbed - eliminated - to_first - to_second,
            to_first,
            to_second,
            p["kin"] * (1.0 - inhibited) - p["kout"] * response,
        ]
    )


def _take_dose(i: int, t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return y + p["dose"]


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.sum((1.0 - ys) ** 2) / 2.0
