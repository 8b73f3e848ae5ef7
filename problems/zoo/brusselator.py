"""The Brusselator on a square, of any size: a stiff reaction-diffusion system."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register

#: When the forcing begins.
_FORCED_FROM = 1.1


@register(tags=("pde", "oscillatory"), stiff=True)
def brusselator(*, n: int = 5, t_end: float = 10.0, save_every: float = 0.1) -> Problem:
    r"""Two reacting, diffusing species on an `n` × `n` grid with periodic boundaries.

    .. math::
        u' &= B + u^2 v - (A + 1) u + \frac{\alpha_u}{\Delta x^2} \Delta_5 u + f(x, y, t)\\
        v' &= A u - u^2 v + \frac{\alpha_v}{\Delta x^2} \Delta_5 v

    with Δ₅ the five-point difference, Δx = 1 / (n - 1), x = i Δx and y = j Δx, and a forcing f of
    5 in the disc of radius 0.1 about (0.3, 0.6) from t = 1.1 on: a declared discontinuity. Start
    values u = 22 (y (1 - y))^1.5, v = 27 (x (1 - x))^1.5. L = ½ Σ (1 - y)² over saves every
    `save_every` from 0 on.

    The state has shape (2, n, n). Parameters, one of each for every cell and so 4 n² in all: ``A``
    = 3.4, ``B`` = 1, ``alpha_u`` = ``alpha_v`` = 10. The stiffness grows with n², states and
    parameters together as 6 n²: forward sensitivities become hopeless, and an adjoint whose
    linear systems contain the parameters follows.

    Reference: E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, Springer 1996,
    section IV.10; loss and parameters as in Y. Ma, V. Dixit, M. Innes, X. Guo, C. Rackauckas,
    HPEC 2021, arXiv:1812.01892, whose scaling study ends at t_end = 1.
    """
    if n < 2:
        raise ValueError(f"n={n!r} must be at least 2, the number of grid points along a side")
    x, y = np.meshgrid(np.linspace(0.0, 1.0, n), np.linspace(0.0, 1.0, n), indexing="ij")
    ones = np.ones((n, n))
    return Problem(
        name="brusselator",
        rhs=_rhs,
        y0=np.stack([22.0 * (y * (1.0 - y)) ** 1.5, 27.0 * (x * (1.0 - x)) ** 1.5]),
        params={"A": 3.4 * ones, "B": ones, "alpha_u": 10.0 * ones, "alpha_v": 10.0 * ones},
        constants={"forcing": 5.0 * ((x - 0.3) ** 2 + (y - 0.6) ** 2 <= 0.1**2)},
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, round(t_end / save_every) + 1),
        discontinuities=(_FORCED_FROM,) if t_end > _FORCED_FROM else (),
        loss=_loss,
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    u, v = y[0, ...], y[1, ...]
    scale = (u.shape[0] - 1) ** 2
    react = u**2 * v - p["A"] * u
    forcing = xp.where(t >= _FORCED_FROM, p["forcing"], 0.0 * p["forcing"])
    du = p["B"] + react - u + p["alpha_u"] * scale * _differences(u) + forcing
    dv = p["alpha_v"] * scale * _differences(v) - react
    return xp.stack([du, dv])


def _differences(u: Any) -> Any:
    """The sum over the four neighbours, less four times the value."""
    xp = array_namespace(u)
    neighbours = [xp.roll(u, shift, axis=axis) for axis in (0, 1) for shift in (1, -1)]
    return neighbours[0] + neighbours[1] + neighbours[2] + neighbours[3] - 4.0 * u


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.sum((1.0 - ys) ** 2) / 2.0
