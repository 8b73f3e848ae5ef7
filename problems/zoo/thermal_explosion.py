"""Heat in a block that reacts, of any size: three dimensions, and not far from the explosion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register


@register(tags=("pde",), stiff=True)
def thermal_explosion(*, n: int = 6, t_end: float = 2.0, saves: int = 4) -> Problem:
    r"""A block whose reaction heats it, in space: which places make it hot.

    .. math::
        u_t = \kappa_1 u_{xx} + \kappa_2 u_{yy} + \kappa_3 u_{zz} + \delta(x, y, z)\, e^u, \qquad
        L = \frac{h^3}{2 m} \sum_{i=1}^{m} \sum_{j,k,l} u_{jkl}(t_i)^2

    on the cube from -1 to 1 with its faces held at u = 0, from u = 0, with central differences at
    `n` × `n` × `n` interior points, h = 2 / (n + 1), and m = `saves` equispaced times up to
    `t_end`. Parameters: ``conductivity`` κ = (1, 1, 0.1), that of a stack of layers, and
    ``activity`` δ, a field of one for each point, 1 + 2 exp(-4 r²) with r the distance from
    (0.3, 0, -0.2).

    Where heat leaves more slowly than the reaction makes it there is no steady state, and u
    becomes infinite in finite time; this block comes to rest with u up to about one. Stiff through
    the conduction, with eigenvalues to -2.1 (n + 1)²; states and parameters grow as n³ each, and
    the factors of a matrix of a step as n⁴, with n⁶ operations: what fits in the plane does not in
    space.

    Reference: D. A. Frank-Kamenetskii, Acta Physicochim. URSS 10 (1939) 365-370; Diffusion and
    Heat Transfer in Chemical Kinetics, 2nd ed., Plenum 1969.
    """
    if n < 1:
        raise ValueError(f"n={n!r} must be at least 1, the number of interior points along a side")
    points = -1.0 + 2.0 * np.arange(1, n + 1) / (n + 1)
    x, y, z = np.meshgrid(points, points, points, indexing="ij")
    return Problem(
        name="thermal_explosion",
        rhs=_rhs,
        y0=np.zeros((n, n, n)),
        params={
            "conductivity": np.array([1.0, 1.0, 0.1]),
            "activity": 1.0 + 2.0 * np.exp(-4.0 * ((x - 0.3) ** 2 + y**2 + (z + 0.2) ** 2)),
        },
        t_span=(0.0, t_end),
        save_at=np.linspace(0.0, t_end, saves + 1)[1:],
        loss=_loss,
    )


def _rhs(t: Any, u: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(u)
    inverse_h = (u.shape[0] + 1) / 2.0
    slope = p["activity"] * xp.exp(u)
    for axis in range(3):
        face = xp.zeros_like(_part(u, axis, slice(1)))
        before = xp.concat([face, _part(u, axis, slice(-1))], axis=axis)
        behind = xp.concat([_part(u, axis, slice(1, None)), face], axis=axis)
        slope = slope + p["conductivity"][axis] * inverse_h**2 * (before - 2.0 * u + behind)
    return slope


def _part(u: Any, axis: int, part: slice) -> Any:
    """Some layers along an axis."""
    return u[(slice(None),) * axis + (part,)]


def _loss(us: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(us)
    cells = us.shape[0] * (us.shape[1] + 1) ** 3
    return 4.0 * xp.sum(us**2) / cells
