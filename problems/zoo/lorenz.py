"""Lorenz 1963: chaos, where the gradient itself grows without bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register


@register(tags=("chaotic",))
def lorenz(*, t_end: float = 5.0, saves: int = 50) -> Problem:
    r"""The butterfly, and the time average of its height.

    .. math::
        x' = \sigma (y - x), \quad y' = x (\rho - z) - y, \quad z' = x y - \beta z, \quad
        (x, y, z)(0) = (1, 1, 1), \qquad L = \frac{1}{m} \sum_{i=1}^{m} z(t_i)

    at m = `saves` equispaced times up to `t_end`. Parameters, all 0-d: ``sigma`` = 10,
    ``rho`` = 28, ``beta`` = 8/3.

    Neighbouring solutions part as exp(0.906 t). The gradient of the finite-time average grows
    with them and says nothing about the climate (whose mean height is smooth in rho), and every
    method loses digits at that rate: in double precision nothing is left beyond t of about 40.
    `t_end` sets how hard it is.

    References: E. N. Lorenz, Deterministic nonperiodic flow, J. Atmos. Sci. 20 (1963);
    D. J. Lea, M. R. Allen, T. W. N. Haine, Sensitivity analysis of the climate of a chaotic
    system, Tellus A 52 (2000).
    """
    return Problem(
        name="lorenz",
        rhs=_rhs,
        y0=np.array([1.0, 1.0, 1.0]),
        params={"sigma": 10.0, "rho": 28.0, "beta": 8.0 / 3.0},
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, saves + 1)[1:],
        loss=_loss,
    )


def _rhs(t: Any, u: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(u)
    x, y, z = u[0], u[1], u[2]
    return xp.stack([p["sigma"] * (y - x), x * (p["rho"] - z) - y, x * y - p["beta"] * z])


def _loss(us: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(us)
    return xp.mean(us[:, 2])
