"""Lag time: the state jumps when a parameter says that absorption begins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..closed_form import exact_of
from ..problem import Problem
from ..registry import register

_SAVE_AT = np.array([0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0])


@register(tags=("switching", "jumps", "kinetics", "closed-form"))
def lag_time(*, lag: float = 0.8) -> Problem:
    r"""A drug that is taken at the start, and whose absorption begins after a lag.

    .. math::
        D' = -k_a D, \quad C' = k_a D - \frac{CL}{V} C, \quad (D, C)(0) = (5, 12), \qquad
        D \to D + F \cdot 100 \text{ at } t = t_{lag}

    and L = ½ Σ (C(t_i) / V - c_i)² against concentrations c_i that were measured at nine times
    within 12 hours. Parameters: ``lag``, the time of the jump itself; ``absorption`` k_a = 1.2,
    ``clearance`` CL = 3, ``volume`` V = 20, ``available`` F = 0.9. At the start there is what was
    left of the day before. Every save after the lag knows it by the time since, so that dL/dt_lag
    is as large as any other slope, and no step of any solver has it.

    Reference: P. L. Bonate, Pharmacokinetic-Pharmacodynamic Modeling and Simulation, Springer
    2011; the curve is that of H. Bateman, Proc. Cambridge Philos. Soc. 15 (1910) 423.
    """
    constants = {"measured": np.array([0.7, 1.4, 2.8, 3.7, 4.1, 3.8, 3.1, 2.2, 1.3])}
    return Problem(
        name="lag_time",
        rhs=_rhs,
        y0=np.array([5.0, 12.0]),
        params={"lag": lag, "absorption": 1.2, "clearance": 3.0, "volume": 20.0, "available": 0.9},
        constants=constants,
        t_span=(0.0, _SAVE_AT[-1]),
        save_at=_SAVE_AT,
        jump_times=("lag",),
        jump=_absorb,
        loss=_loss,
        exact=exact_of(_solution, _loss, constants),
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    absorbed = p["absorption"] * y[0]
    return xp.stack([-absorbed, absorbed - p["clearance"] / p["volume"] * y[1]])


def _absorb(i: int, t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    return xp.stack([y[0] + 100.0 * p["available"], y[1]])


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.sum((ys[:, 1] / p["volume"] - p["measured"]) ** 2) / 2.0


def _solution(p: Mapping[str, Any], y0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bateman's function, of what there was at the start and of the dose since the lag."""
    k, e = p["absorption"], p["clearance"] / p["volume"]

    def flow(depot: Any, central: Any, s: Any) -> np.ndarray:
        absorbing, eliminating = np.exp(-k * s), np.exp(-e * s)
        carried = k / (k - e) * (eliminating - absorbing)
        return np.stack([depot * absorbing, central * eliminating + depot * carried])

    ys = []
    for t in _SAVE_AT:
        state = flow(y0[0], y0[1], t)
        if t >= np.real(p["lag"]):
            state = state + flow(100.0 * p["available"], 0.0, t - p["lag"])
        ys.append(state)
    return np.stack(ys), np.zeros(0)
