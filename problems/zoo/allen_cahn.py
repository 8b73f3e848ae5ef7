"""The Allen-Cahn equation, of any size: layers that seem to rest, and then vanish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register


@register(tags=("pde",), stiff=True)
def allen_cahn(
    *, n: int = 64, epsilon: float = 0.01, t_end: float = 70.0, saves: int = 7
) -> Problem:
    r"""Two phases on a line and the layers between them, by the method of lines.

    .. math::
        u_t = \epsilon u_{xx} + r (u - u^3), \quad u(t, \pm 1) = \pm 1, \quad
        u(0, x) = 0.53 x + 0.47 \sin(-1.5 \pi x), \qquad
        L = \frac{h}{2 m} \sum_{i=1}^{m} \sum_j u_j(t_i)^2

    with central differences at the n interior points x_j = -1 + j h, h = 2 / (n + 1), and m =
    `saves` equispaced times up to `t_end`. Parameters, both 0-d: ``epsilon`` ε, which sets the
    width of a layer, about √(2 ε / r), and ``rate`` r = 1.

    Within t of a few units the start becomes three layers, which attract each other exponentially
    little: nothing seems to happen until two of them meet near t = 38 and are gone at once. When,
    hangs on ε, so that the gradient is made where the solution is at rest. Stiff through the
    diffusion, with eigenvalues to -ε (n + 1)² (mildly at the default size). States are many and
    parameters two: forward sensitivities have their best case. Central differences need h well
    below the width.

    References: S. M. Allen, J. W. Cahn, Acta Metall. 27 (1979) 1085-1095; equation, start and span
    as in A.-K. Kassam, L. N. Trefethen, SIAM J. Sci. Comput. 26 (2005) 1214-1233, section 4.
    """
    if n < 1:
        raise ValueError(f"n={n!r} must be at least 1, the number of interior points")
    x = -1.0 + 2.0 * np.arange(1, n + 1) / (n + 1)
    return Problem(
        name="allen_cahn",
        rhs=_rhs,
        y0=0.53 * x + 0.47 * np.sin(-1.5 * np.pi * x),
        params={"epsilon": epsilon, "rate": 1.0},
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, saves + 1)[1:],
        loss=_loss,
    )


def _rhs(t: Any, u: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(u)
    end = xp.ones_like(u[:1])
    left, right = xp.concat([-end, u[:-1]]), xp.concat([u[1:], end])
    inverse_h = (u.shape[0] + 1) / 2.0
    return p["epsilon"] * inverse_h**2 * (left - 2.0 * u + right) + p["rate"] * (u - u**3)


def _loss(us: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(us)
    return xp.sum(us**2) / (us.shape[0] * (us.shape[-1] + 1))
