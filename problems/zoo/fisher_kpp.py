"""Fisher-KPP in the plane, of any size: an invasion along a road and around a lake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ..problem import Problem
from ..registry import register

#: How many times faster the invaders spread on the road than elsewhere.
_ROAD = 250.0


@register(tags=("pde",), stiff=True)
def fisher_kpp(*, n: int = 12, t_end: float = 5.0, saves: int = 5) -> Problem:
    r"""A species invades a square of `n` × `n` cells: identify where it grows from sightings.

    .. math::
        u_t = \nabla \cdot (d\, \kappa(x, y) \nabla u) + r(x, y)\, u (1 - u), \qquad
        L = \frac{h^2}{2 m} \sum_{i=1}^{m} \sum_{j,k} (u_{jk}(t_i) - v_{jk}(t_i))^2

    on the unit square, with no flux through its sides, by finite volumes of side h = 1 / n: the
    flux through a face has the harmonic mean of κ in the two cells. κ is 1 on land, 250 on a road
    0.15 ≤ y < 0.25 (a row of cells from n = 10 on) and 0 in a lake of radius 0.15 about
    (0.55, 0.6), into which nothing flows. The start is u = ½ exp(-((x - 0.2)² + (y - 0.5)²) / 0.02)
    on land, the sightings v at the m = `saves` equispaced times are of a front about (0.2, 0.5)
    that goes 0.12 in a unit of time.

    Parameters: ``growth``, a field of one rate r for each cell, 1 + ½ sin 3πx cos 2πy, and
    ``diffusivity`` d = 0.004 (0-d). A front travels at 2 √(r d) and is √(d / r) wide; along the
    road it is fast, and spreads into the land from there. Stiff through the road, with eigenvalues
    to -2000 d n²; states and parameters grow as n² each, and a method that has parameters in its
    linear systems, or a column for each, follows them. In the lake the state is zero, and so is
    the gradient by the growth there.

    References: R. A. Fisher, Ann. Eugenics 7 (1937) 355-369; J. D. Murray, Mathematical Biology I,
    Springer 2002, section 13.2, for the equation; H. Berestycki, J.-M. Roquejoffre, L. Rossi, J.
    Math. Biol. 66 (2013) 743-766, for roads, which are lines with a density of their own there.
    """
    if n < 1:
        raise ValueError(f"n={n!r} must be at least 1, the number of cells along a side")
    centres = (np.arange(n) + 0.5) / n
    x, y = np.meshgrid(centres, centres, indexing="ij")
    land = (x - 0.55) ** 2 + (y - 0.6) ** 2 >= 0.15**2
    kappa = np.where((y >= 0.15) & (y < 0.25), _ROAD, 1.0) * land
    from_start = (x - 0.2) ** 2 + (y - 0.5) ** 2
    times = np.linspace(0.0, t_end, saves + 1)[1:]
    return Problem(
        name="fisher_kpp",
        rhs=_rhs,
        y0=0.5 * np.exp(-from_start / 0.02) * land,
        params={
            "growth": 1.0 + 0.5 * np.sin(3.0 * np.pi * x) * np.cos(2.0 * np.pi * y),
            "diffusivity": 0.004,
        },
        constants={
            "across_x": _faces(kappa[1:, :], kappa[:-1, :]),
            "across_y": _faces(kappa[:, 1:], kappa[:, :-1]),
            "sightings": _front(np.sqrt(from_start), times) * land,
        },
        t_span=(0.0, t_end),
        save_at=times,
        loss=_loss,
    )


def _faces(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Harmonic means: zero where one of two cells lets nothing through."""
    return 2.0 * one * other / np.maximum(one + other, 1.0)


def _front(distance: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The sightings at all times, on land and water."""
    return 0.5 * (1.0 - np.tanh((distance - 0.12 * times[:, None, None]) / 0.1))


def _rhs(t: Any, u: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(u)
    side = xp.zeros_like(u[:1, :])
    right = xp.concat([p["across_x"] * (u[1:, :] - u[:-1, :]), side])
    left = xp.concat([side, right[:-1, :]])
    side = xp.zeros_like(u[:, :1])
    upper = xp.concat([p["across_y"] * (u[:, 1:] - u[:, :-1]), side], axis=1)
    lower = xp.concat([side, upper[:, :-1]], axis=1)
    spread = u.shape[0] ** 2 * (right - left + upper - lower)
    return p["diffusivity"] * spread + p["growth"] * u * (1.0 - u)


def _loss(us: Any, p: Mapping[str, Any]) -> Any:
    xp = array_namespace(us)
    cells = us.shape[0] * us.shape[1] * us.shape[2]
    return xp.sum((us - p["sightings"]) ** 2) / (2.0 * cells)
