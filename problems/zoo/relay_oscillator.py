"""A thermostat: a relay with hysteresis, whose mode is part of the state."""

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

_SAVE_AT = 0.15 + 0.45 * np.arange(18)


@register(tags=("events", "oscillatory", "closed-form"))
def relay_oscillator() -> Problem:
    r"""A room that is heated until it is warm, and left alone until it is cold.

    .. math::
        T' = -a (T - T_o) + q m, \quad m' = 0, \quad (T, m)(0) = (15, 1), \qquad
        m \to 0 \text{ where } T \text{ rises to } T_u, \quad
        m \to 1 \text{ where it falls to } T_l

    and L = ½ mean (T(t_i) - 20)² over saves every 0.45 from 0.15 to 7.8. Parameters: ``cooling``
    a = 0.5, ``outside`` T_o = 5, ``heating`` q = 12.5, ``lower`` T_l = 18, ``upper`` T_u = 22. The
    mode m is a component of the state that only the events change: what is carried on of the
    gradient is cut off by each, but for the time at which it happens.

    A limit cycle from the first switch on, with 10 switches of two kinds: what the parameters
    change is above all when they happen, and the change grows with every period.

    Reference: A. van der Schaft, H. Schumacher, An Introduction to Hybrid Dynamical Systems,
    Springer 2000, chapter 2.
    """
    return Problem(
        name="relay_oscillator",
        rhs=_rhs,
        y0=np.array([15.0, 1.0]),
        params={"cooling": 0.5, "outside": 5.0, "heating": 12.5, "lower": 18.0, "upper": 22.0},
        t_span=(0.0, _SAVE_AT[-1]),
        save_at=_SAVE_AT,
        loss=_loss,
        events=(
            Event(when=_above_upper, jump=_switch_off, direction=1),
            Event(when=_above_lower, jump=_switch_on, direction=-1),
        ),
        max_events=_ROOM,
        exact=exact_of(_solution, _loss, max_events=_ROOM),
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    warming = p["heating"] * y[1] - p["cooling"] * (y[0] - p["outside"])
    return xp.stack([warming, xp.zeros_like(y[1])])


def _above_upper(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return y[0] - p["upper"]


def _above_lower(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return y[0] - p["lower"]


def _switch_off(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    return xp.stack([y[0], xp.zeros_like(y[1])])


def _switch_on(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    return xp.stack([y[0], xp.ones_like(y[1])])


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.mean((ys[:, 0] - 20.0) ** 2) / 2.0


def _solution(p: Mapping[str, Any], y0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exponentials towards the equilibrium of each mode, from switch to switch."""
    ys, times = [], []
    since, start, mode = 0.0, y0[0], y0[1]
    end, heats = 0.0, True
    while len(ys) < len(_SAVE_AT):
        rest = p["outside"] + p["heating"] * mode / p["cooling"]
        goal = p["upper"] if heats else p["lower"]
        end = since + np.log((start - rest) / (goal - rest)) / p["cooling"]
        for t in _SAVE_AT[len(ys) :]:
            if t > np.real(end):
                break
            fading = np.exp(-p["cooling"] * (t - since))
            ys.append(np.stack([rest + (start - rest) * fading, mode]))
        times.append(end)
        heats = not heats
        since, start, mode = end, goal, float(heats)
    return np.stack(ys), np.asarray(times[:-1])
