"""Burgers' equation, of any size: a front that steepens, held by viscosity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register


@register(tags=("pde",), stiff=True)
def burgers(*, n: int = 64, viscosity: float = 0.02, t_end: float = 1.0) -> Problem:
    r"""Viscous Burgers' equation by the method of lines, with a speed at every point.

    .. math::
        u_t + c(x)\, u u_x = \nu u_{xx}, \quad u(t, 0) = u(t, 1) = 0, \quad
        u(0, x) = \sin 2 \pi x + \tfrac12 \sin \pi x, \qquad L = \frac{h}{2} \sum_j u_j(T)^2

    with central differences at the n interior points x_j = j h, h = 1 / (n + 1). Parameters:
    ``viscosity`` ν (0-d) and ``speed`` c_j = 1, one for each point.

    Stiff through the viscosity, with eigenvalues to -4 ν (n + 1)², and nonlinear through the
    front, about ν wide: central differences need h < ν not to oscillate there.

    Reference: J. M. Burgers, Adv. Appl. Mech. 1 (1948) 171-199; W. Hundsdorfer, J. G. Verwer,
    Numerical Solution of Time-Dependent Advection-Diffusion-Reaction Equations, Springer 2003.
    """
    if n < 1:
        raise ValueError(f"n={n!r} must be at least 1, the number of interior points")
    x = np.arange(1, n + 1) / (n + 1)
    return Problem(
        name="burgers",
        rhs=_rhs,
        y0=np.sin(2.0 * np.pi * x) + 0.5 * np.sin(np.pi * x),
        params={"viscosity": viscosity, "speed": np.ones(n)},
        t_span=(0.0, t_end),
        loss=_loss,
    )


def _rhs(t: Any, u: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(u)
    end = xp.zeros_like(u[:1])
    left, right = xp.concat([end, u[:-1]]), xp.concat([u[1:], end])
    inverse_h = u.shape[0] + 1
    convection = p["speed"] * u * (right - left) * (0.5 * inverse_h)
    return p["viscosity"] * inverse_h**2 * (left - 2.0 * u + right) - convection


def _loss(us: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(us)
    return xp.sum(us[-1, ...] ** 2) / (2.0 * (us.shape[-1] + 1))
