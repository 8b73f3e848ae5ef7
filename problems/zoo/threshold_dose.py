"""Doses on demand: one is given each time the drug has fallen to a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..closed_form import exact_of
from ..event import Event
from ..problem import Problem
from ..registry import register

#: More events than there are.
_ROOM = 16

_SAVE_AT = np.arange(5.0, 71.0, 10.0)


@register(tags=("events", "kinetics", "closed-form"))
def threshold_dose() -> Problem:
    r"""Linear clearance, and a dose each time the amount in the body has fallen to a threshold.

    .. math::
        A' = -\frac{CL}{V} A, \quad E' = \frac{A}{V}, \quad (A, E)(0) = (10, 0), \qquad
        A \to A + D \text{ where } A \text{ falls to } \theta

    for 65 hours, with the amount A and the exposure E (area under the concentration). Parameters:
    ``clearance`` CL = 2, ``volume`` V = 20, ``dose`` D = 8, ``threshold`` θ = 4. The loss is the
    distance of the concentration c = A / V from a target, and the mean exposure,

    .. math::
        L = \frac{1}{2} \sum_i (c(t_i) - 0.4)^2 + \frac{E(T)}{T},

    over saves every 10 hours from 5 on. Doses come at log(A(0)/θ) V/CL, and then every
    log(1 + D/θ) V/CL: no time is known before, all change with every parameter, and the jump
    itself is the same whenever it happens.

    Reference: M. Rowland, T. N. Tozer, Clinical Pharmacokinetics and Pharmacodynamics, Lippincott
    2010, chapter 11 (multiple-dose regimens).
    """
    return Problem(
        name="threshold_dose",
        rhs=_rhs,
        y0=np.array([10.0, 0.0]),
        params={"clearance": 2.0, "volume": 20.0, "dose": 8.0, "threshold": 4.0},
        t_span=(0.0, _SAVE_AT[-1]),
        save_at=_SAVE_AT,
        loss=_loss,
        events=(Event(when=_above, jump=_take_dose, direction=-1),),
        max_events=_ROOM,
        exact=exact_of(_solution, _loss, max_events=_ROOM),
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    concentration = y[0] / p["volume"]
    return xp.stack([-p["clearance"] * concentration, concentration])


def _above(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return y[0] - p["threshold"]


def _take_dose(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    return xp.stack([y[0] + p["dose"], y[1]])


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    distance = ys[:, 0] / p["volume"] - 0.4
    return xp.sum(distance**2) / 2.0 + ys[-1, 1] / float(_SAVE_AT[-1])


def _solution(p: Mapping[str, Any], y0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exponentials between the doses; the exposure by the balance of mass."""
    dose, threshold, rate = p["dose"], p["threshold"], p["clearance"] / p["volume"]
    first = np.log(y0[0] / threshold) / rate
    between = np.log((threshold + dose) / threshold) / rate
    doses = first + between * np.arange(_ROOM)
    ys = []
    for t in _SAVE_AT:
        k = int(np.sum(doses.real <= t))
        after = y0[0] if k == 0 else threshold + dose
        amount = after * np.exp(-rate * (t - (0.0 if k == 0 else doses[k - 1])))
        ys.append(np.stack([amount, y0[1] + (y0[0] + k * dose - amount) / p["clearance"]]))
    return np.stack(ys), doses[doses.real <= _SAVE_AT[-1]]
