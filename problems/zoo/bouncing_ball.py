"""A bouncing ball: impacts that follow each other ever faster."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..closed_form import exact_of
from ..event import Event
from ..problem import Problem
from ..registry import register

_GRAVITY, _START = 9.81, np.array([1.0, 0.0])


@register(tags=("events", "closed-form"))
def bouncing_ball(*, bounces: int = 20, restitution: float = 0.9) -> Problem:
    r"""A ball that falls, and loses part of its speed at each impact.

    .. math::
        h' = v, \quad v' = -g, \quad (h, v)(0) = (1, 0), \qquad
        v \to -e v \text{ where } h \text{ falls to } 0

    until shortly after the impact number `bounces`. Parameters: ``gravity`` g = 9.81 and
    ``restitution`` e. The loss sees states and times,

    .. math::
        L = \frac{1}{S} \sum_{i=1}^{S} h(t_i)^2 + \frac{1}{n} \sum_{k=1}^{n} \tau_k,

    with saves t_i two fifths of the way through every other flight after an impact, counted from
    the last one, and the times τ_k of the n = `bounces` impacts.

    The flights are a geometric sequence, T_k = e T_{k-1}: each time of impact carries the errors
    of all before it, and a derivative that takes the time of an impact as given is wrong from the
    first one on. With e < 1 the impacts come to a limit, 1.1 after the last with the defaults.
    Steps of second order and more are exact between impacts: what errs here are the events alone.

    Reference: A. van der Schaft, H. Schumacher, An Introduction to Hybrid Dynamical Systems,
    Springer 2000, chapter 2.
    """
    _check(bounces, restitution)
    last = _impacts(_GRAVITY, restitution, _START, bounces + 1)[:, 0]
    save_at = (last[:-1] + 0.4 * np.diff(last))[::-2][::-1]
    loss = functools.partial(_loss, bounces=bounces)
    return Problem(
        name="bouncing_ball",
        rhs=_rhs,
        y0=_START,
        params={"gravity": _GRAVITY, "restitution": restitution},
        t_span=(0.0, save_at[-1]),
        save_at=save_at,
        loss=loss,
        events=(Event(when=_height, jump=_rebound, direction=-1),),
        max_events=bounces,
        exact=exact_of(lambda p, y0: _solution(p, y0, save_at, bounces), loss, max_events=bounces),
    )


def _check(bounces: int, restitution: float) -> None:
    if bounces < 1:
        raise ValueError(f"bounces={bounces!r} must be at least 1")
    if not 0 < restitution <= 1:
        raise ValueError(f"restitution={restitution!r} must be above 0 and at most 1")


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    return xp.stack([y[1], -p["gravity"]])


def _height(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return y[0]


def _rebound(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    return xp.stack([y[0], -p["restitution"] * y[1]])


def _loss(ys: Any, p: Mapping[str, Any], *, bounces: int) -> Any:
    xp = array_namespace(ys)
    return xp.mean(ys[:, 0] ** 2) + xp.mean(p["event_times"][:bounces])


def _impacts(g: Any, e: Any, y0: np.ndarray, count: int) -> np.ndarray:
    """Times of the first `count` impacts and speeds after them, shape ``(count, 2)``."""
    speed = np.sqrt(y0[1] ** 2 + 2 * g * y0[0])
    time = (y0[1] + speed) / g
    found = []
    for _ in range(count):
        speed = e * speed
        found.append((time, speed))
        time = time + 2 * speed / g
    return np.asarray(found)


def _solution(
    p: Mapping[str, Any], y0: np.ndarray, save_at: np.ndarray, bounces: int
) -> tuple[np.ndarray, np.ndarray]:
    """Parabolas between the impacts."""
    g = p["gravity"]
    impacts = _impacts(g, p["restitution"], y0, bounces + 1)
    times, speeds = impacts[:, 0], impacts[:, 1]
    ys = []
    for t in save_at:
        k = int(np.sum(np.real(times) <= t))
        (since, h, v) = (0.0, y0[0], y0[1]) if k == 0 else (times[k - 1], 0.0, speeds[k - 1])
        s = t - since
        ys.append(np.stack([h + v * s - g * s**2 / 2, v - g * s]))
    return np.stack(ys), times[np.real(times) <= save_at[-1]]
