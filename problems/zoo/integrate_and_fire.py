"""A neuron fit to its spikes: the loss sees nothing but times of events."""

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

_END = 185.0

#: Of another neuron, which fires faster.
_SPIKES = 16.0 + 20.5 * np.arange(8)


@register(tags=("events", "closed-form"))
def integrate_and_fire() -> Problem:
    r"""A leaky integrate-and-fire neuron, fit to given spike times.

    .. math::
        \tau_m V' = -(V - V_r) + R I, \quad V(0) = -65, \qquad
        V \to V_{reset} \text{ where } V \text{ rises to } \theta

    for 185 ms, in which it fires 8 times, and

    .. math::
        L = \frac{1}{8} \sum_{k=1}^{8} (t_k - s_k)^2

    for its spike times t_k and those of a neuron that fires faster, s_k = 16 + 20.5 (k - 1).
    Parameters: ``membrane`` τ_m = 20 ms, ``rest`` V_r = -65, ``drive`` R I = 25, ``threshold``
    θ = -50, ``reset`` V_reset = -70 mV.

    The state at the only save, the end, takes no part: a method that takes the times of events as
    given finds a gradient of zero. The jump forgets the state, so that what happened before a
    spike is known after it by its time alone.

    Reference: W. Gerstner, W. M. Kistler, R. Naud, L. Paninski, Neuronal Dynamics, Cambridge 2014,
    section 1.3.
    """
    constants = {"spikes": _SPIKES}
    return Problem(
        name="integrate_and_fire",
        rhs=_rhs,
        y0=np.array([-65.0]),
        params={
            "membrane": 20.0,
            "rest": -65.0,
            "drive": 25.0,
            "threshold": -50.0,
            "reset": -70.0,
        },
        constants=constants,
        t_span=(0.0, _END),
        loss=_loss,
        events=(Event(when=_above, jump=_reset, direction=1),),
        max_events=_ROOM,
        exact=exact_of(_solution, _loss, constants, _ROOM),
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return (p["rest"] + p["drive"] - y) / p["membrane"]


def _above(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return y[0] - p["threshold"]


def _reset(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    return xp.zeros_like(y) + p["reset"]


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    given = p["spikes"]
    return xp.mean((p["event_times"][: given.shape[0]] - given) ** 2)


def _solution(p: Mapping[str, Any], y0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exponentials towards the rest of the driven neuron, all but the first the same."""
    rest = p["rest"] + p["drive"]
    first = p["membrane"] * np.log((rest - y0[0]) / (rest - p["threshold"]))
    between = p["membrane"] * np.log((rest - p["reset"]) / (rest - p["threshold"]))
    times = first + between * np.arange(_ROOM)
    times = times[times.real <= _END]
    fading = np.exp(-(_END - times[-1]) / p["membrane"])
    return np.stack([np.stack([rest + (p["reset"] - rest) * fading])]), times
