"""The heat equation on a rod, of any size: identify the source from the final temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register

#: From this many points on, an explicit solver takes thousands of steps for stability alone.
_STIFF_FROM = 100

#: From more points on, the Jacobian is left to be found: as a full matrix it outgrows its use.
_JACOBIAN_UP_TO = 128


@register(tags=("pde", "linear"))
def heat_equation(*, n: int = 32, t_end: float = 1.0) -> Problem:
    r"""Heat conduction in a rod with its ends held at zero, by the method of lines.

    .. math::
        u_t = \alpha u_{xx} + s(x), \quad u(t, 0) = u(t, 1) = 0, \quad
        u(0, x) = \sin \pi x, \qquad L = \frac{h}{2} \sum_j (u_j(T) - v_j)^2

    with second-order central differences at the n interior points x_j = j h, h = 1 / (n + 1), and
    the target v(x) = x (1 - x).

    Parameters: ``diffusivity`` α = 0.1 (0-d) and ``source`` s_j = exp(-50 (x_j - 0.3)²), one for
    each point, so that there are as many parameters as states and an adjoint is the natural
    choice. The eigenvalues reach -4 α (n + 1)²: mildly stiff at the default size, and stiff (with
    an implicit solver by default) from n = 100 on. Up to n = 128 the Jacobian comes with it, as a
    full matrix.

    Reference: R. J. LeVeque, Finite Difference Methods for Ordinary and Partial Differential
    Equations, SIAM 2007, chapter 9.
    """
    if n < 1:
        raise ValueError(f"n={n!r} must be at least 1, the number of interior points")
    x = np.arange(1, n + 1) / (n + 1)
    return Problem(
        name="heat_equation",
        rhs=_rhs,
        jacobian=_jacobian if n <= _JACOBIAN_UP_TO else None,
        y0=np.sin(np.pi * x),
        params={"diffusivity": 0.1, "source": np.exp(-50.0 * (x - 0.3) ** 2)},
        constants={"target": x * (1.0 - x)},
        t_span=(0.0, t_end),
        loss=_loss,
        stiff=n >= _STIFF_FROM,
    )


def _rhs(t: Any, u: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(u)
    end = xp.zeros_like(u[:1])
    left, right = xp.concat([end, u[:-1]]), xp.concat([u[1:], end])
    scale = (u.shape[0] + 1) ** 2
    return p["diffusivity"] * scale * (left - 2.0 * u + right) + p["source"]


def _jacobian(t: Any, u: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(u)
    n = u.shape[0]
    ones = xp.ones_like(u)
    square = ones[:, None] * ones[None, :]
    # Bands cut from a square of ones: the standard has no diagonal matrix but `eye`, which
    # would need the device.
    upper = xp.triu(square, k=1) - xp.triu(square, k=2)
    lower = xp.tril(square, k=-1) - xp.tril(square, k=-2)
    diagonal = xp.triu(square) - xp.triu(square, k=1)
    return p["diffusivity"] * (n + 1) ** 2 * (lower - 2.0 * diagonal + upper)


def _loss(us: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(us)
    distance = us[-1, ...] - p["target"]
    return xp.sum(distance**2) / (2.0 * (us.shape[-1] + 1))
