"""Rates that switch at an unknown time: the right-hand side jumps where a parameter says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..closed_form import exact_of
from ..problem import Problem
from ..registry import register

_SAVE_AT = np.linspace(0.0, 5.0, 11)[1:]


@register(tags=("switching", "kinetics", "closed-form"))
def switched_rates(*, tau: float = 1.7) -> Problem:
    r"""Two reactions in a row, the first of which is slowed down at a time to be found.

    .. math::
        y_1' = -k(t) y_1, \quad y_2' = k(t) y_1 - d y_2, \quad y(0) = (1, 0.2), \qquad
        k(t) = k_1 \text{ for } t < \tau, \quad k_2 \text{ from then on}

    and L = ½ Σ (y(t_i) - y*)² with y* = (0.3, 0.3), over saves every 0.5 to 5. Parameters:
    ``before`` k_1 = 1.1, ``after`` k_2 = 0.2, ``loss_rate`` d = 0.6, and the time ``tau`` itself,
    at which the equations are declared to have a discontinuity.

    The comparison has no derivative: automatic differentiation of whatever steps a solver takes
    gives dL/dτ = 0. It is (f(τ-) - f(τ+)) times the adjoint at τ.

    Reference: E. Rozenwasser, R. Yusupov, Sensitivity of Automatic Control Systems, CRC 2000.
    """
    return Problem(
        name="switched_rates",
        rhs=_rhs,
        y0=np.array([1.0, 0.2]),
        params={"before": 1.1, "after": 0.2, "loss_rate": 0.6, "tau": tau},
        t_span=(0.0, _SAVE_AT[-1]),
        save_at=_SAVE_AT,
        loss=_loss,
        discontinuities=("tau",),
        exact=exact_of(_solution, _loss),
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    rate = xp.where(t < p["tau"], p["before"], p["after"])
    made = rate * y[0]
    return xp.stack([-made, made - p["loss_rate"] * y[1]])


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.sum((ys - 0.3) ** 2) / 2.0


def _solution(p: Mapping[str, Any], y0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two exponentials on each side of the switch."""
    tau, d = p["tau"], p["loss_rate"]

    def chain(y: np.ndarray, k: Any, s: Any) -> np.ndarray:
        first, second = np.exp(-k * s), np.exp(-d * s)
        return np.stack([y[0] * first, y[1] * second + y[0] * k / (d - k) * (first - second)])

    at_switch = chain(y0, p["before"], tau)
    ys = [
        chain(y0, p["before"], t) if t < np.real(tau) else chain(at_switch, p["after"], t - tau)
        for t in _SAVE_AT
    ]
    return np.stack(ys), np.zeros(0)
