"""The time to the ground: a solve that ends at an event, whose time is the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..closed_form import exact_of
from ..event import Event
from ..problem import Problem
from ..registry import register


@register(tags=("events", "closed-form"))
def falling_time() -> Problem:
    r"""A body that falls through air, and how long it takes to the ground.

    .. math::
        h' = v, \quad v' = -g + c v^2, \quad (h, v)(0) = (100, -2), \qquad
        L = \tau \text{ with } h(\tau) = 0,

    where the solve ends; the end of the span, 20, is not reached. Parameters: ``gravity``
    g = 9.81, ``drag`` c = 0.01. The state at the save, which is that on the ground, takes no part.
    The velocity is a hyperbolic tangent, and

    .. math::
        \tau = \frac{\operatorname{arcosh}(e^{c h_0} \cosh b) - b}{\sqrt{g c}}, \qquad
        b = \operatorname{artanh}(-v_0 \sqrt{c / g}).

    That time is no state and no step size: a solver that finds it by looking where it stopped
    has no derivative of it, or that of the end of its last step.

    Reference: J. R. Taylor, Classical Mechanics, University Science Books 2005, section 2.4
    (quadratic air resistance).
    """
    return Problem(
        name="falling_time",
        rhs=_rhs,
        y0=np.array([100.0, -2.0]),
        params={"gravity": 9.81, "drag": 0.01},
        t_span=(0.0, 20.0),
        loss=_loss,
        events=(Event(when=_height, direction=-1, terminal=True),),
        max_events=1,
        exact=exact_of(_solution, _loss, max_events=1),
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    return xp.stack([y[1], p["drag"] * y[1] ** 2 - p["gravity"]])


def _height(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    return y[0]


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    return p["event_times"][0]


def _solution(p: Mapping[str, Any], y0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The formulas of the docstring, and the velocity on the ground."""
    g, c = p["gravity"], p["drag"]
    start = np.arctanh(-y0[1] * np.sqrt(c / g))
    reached = np.arccosh(np.exp(c * y0[0]) * np.cosh(start))
    time = (reached - start) / np.sqrt(g * c)
    velocity = -np.sqrt(g / c) * np.tanh(reached)
    return np.stack([np.stack([0 * velocity, velocity])]), np.stack([time])
