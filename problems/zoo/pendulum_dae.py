"""The pendulum in Cartesian coordinates, its rod's force an algebraic variable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register

_PARAMS = {"gravity": 9.81, "damping": 0.2}


@register(tags=("oscillatory", "dae"), stiff=True)
def pendulum_dae(
    *, t_end: float = 5.0, n_saves: int = 20, angle: float = 1.5, length: float = 1.0
) -> Problem:
    r"""A damped pendulum in Cartesian coordinates: the rod is a constraint, its force unknown.

    .. math::
        q' = v, \quad v' = -\lambda q - c v - (0, g), \qquad
        0 = |v|^2 - \lambda |q|^2 - g q_2 - c\, q \cdot v

    for the state (q_1, q_2, v_1, v_2, λ), with (g, c) = (9.81, 0.2). The last equation is the
    constraint of constant length, |q|² = l², differentiated twice by time, which makes the index
    1 of 3: it keeps d²|q|²/dt² = 0, whatever the start value. From rest at `angle`, in radians
    from the lowest point, on a rod of `length`; λ starts at its consistent value. The loss
    is half the sum of λ(t_i)², the force in the rod by its length and the mass of the bob, at
    `n_saves` equidistant times after the start: it depends on the algebraic variable alone.

    With q = l (sin φ, -cos φ) it is φ'' = -(g/l) sin φ - c φ' and λ = φ'² + (g/l) cos φ. Only
    solvers for mass matrices take it, which are implicit, hence it counts as stiff.

    Reference: E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, Springer 1996,
    section VII.1.
    """
    start = length * np.array([np.sin(angle), -np.cos(angle)])
    tension = _PARAMS["gravity"] * np.cos(angle) / length
    return Problem(
        name="pendulum_dae",
        rhs=_rhs,
        y0=np.array([*start, 0.0, 0.0, tension]),
        params=_PARAMS,
        mass=np.diag([1.0, 1.0, 1.0, 1.0, 0.0]),
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, n_saves + 1)[1:],
        loss=_loss,
    )


def _rhs(t: Any, y: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(y)
    x, height, v, w, tension = (y[i] for i in range(5))
    g, c = p["gravity"], p["damping"]
    length_kept = v**2 + w**2 - tension * (x**2 + height**2) - g * height - c * (x * v + height * w)
    return xp.stack([v, w, -tension * x - c * v, -tension * height - c * w - g, length_kept])


def _loss(ys: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(ys)
    return xp.sum(ys[:, 4] ** 2) / 2.0
