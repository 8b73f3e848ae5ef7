"""A damped pendulum that is driven: physical parameters, and a right-hand side with time in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register


@register(tags=("oscillatory", "driven"))
def pendulum(*, angle: float = 1.0, t_end: float = 10.0, saves: int = 20) -> Problem:
    r"""Damped pendulum under a periodic torque.

    .. math::
        \theta'' = -\frac{g}{l} \sin\theta - c\,\theta' + A \cos(\Omega t), \quad
        \theta(0) = \theta_0, \ \theta'(0) = 0, \qquad
        L = \frac{1}{m} \sum_{i=1}^{m} \theta(t_i)^2

    at m = `saves` equispaced times up to `t_end`; the state is (θ, θ').

    Parameters, all 0-d: ``gravity`` g = 9.81, ``length`` l = 1, ``damping`` c = 0.2,
    ``torque`` A = 0.5, ``drive`` Ω = 2. The loss does not see g and l apart, only their ratio:
    its gradient has g L_g + l L_l = 0. What is hard: the equations depend on time explicitly,
    and the phase of the oscillation gathers the error of every period.

    Reference: S. H. Strogatz, Nonlinear Dynamics and Chaos, Westview 2015, sections 6.7 and 8.5.
    """
    return Problem(
        name="pendulum",
        rhs=_rhs,
        y0=np.array([angle, 0.0]),
        params={"gravity": 9.81, "length": 1.0, "damping": 0.2, "torque": 0.5, "drive": 2.0},
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, saves + 1)[1:],
        loss=_loss,
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    pull = -(p["gravity"] / p["length"]) * xp.sin(y[0])
    return xp.stack([y[1], pull - p["damping"] * y[1] + p["torque"] * xp.cos(p["drive"] * t)])


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.mean(ys[:, 0] ** 2)
