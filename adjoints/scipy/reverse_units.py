"""The units and tolerances of the reverse solve of a continuous adjoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..adjoint_units import AdjointUnits, adjoint_units
from .derivatives import Point
from .integrate import Options
from .segments import Schedule
from .trajectory import Trajectory


def units_of(
    point: Point,
    plan: Schedule,
    trajectory: Trajectory,
    dys: np.ndarray,
    dtimes: np.ndarray,
    options: Options,
) -> AdjointUnits:
    """The units of the reverse solve, for a parameter of size one."""
    n = point.system.n
    ys = trajectory.ys
    for event, dtime in zip(trajectory.events, dtimes, strict=True):
        # What the loss knows of a time counts as if it knew it of the state there.
        pulled = point.event_vjp(event.number, event.held, event.before, np.zeros(n), dtime)
        ys, dys = np.vstack([ys, event.before]), np.vstack([dys, pulled[:n]])
    rtol, atol = np.asarray(options.rtol), np.asarray(options.atol)
    one = [np.ones(1)]
    span = np.asarray(plan.span)
    return adjoint_units(ys, trajectory.y0, dys, one, span, rtol, atol)


def options_of(options: Options, units: AdjointUnits, sizes: np.ndarray, n: int) -> Options:
    """Tolerances of ``[w, q]`` in the units of the reverse solve.

    Each parameter has its own size: rates of one array can be ten orders of magnitude apart.
    """
    rtol: float | np.ndarray = options.rtol
    if np.ndim(rtol):
        rtol = np.hstack([rtol, np.full(sizes.size, np.min(rtol))])
    atol = np.hstack([np.broadcast_to(units.atol, n), units.atol_params[0] / sizes])
    return replace(options, rtol=rtol, atol=atol)
