"""Derivatives by the start and the save times of a solve.

A solve itself holds its times fixed. What a shift of them would do is told by the equation: a
saved state moves along the solution, and a start value that is given at a later time belongs, at
the time of before, to a state that lies back. So each state is taken one step further, of a size
that is zero and has the derivative one by its time. With a method of order four, derivatives up
to the fourth are right, those mixed with states and parameters included.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from ..steps.runge_kutta import combine, step_stages
from ..steps.tableaus import tableau
from .call import Call
from .inputs import held
from .mass import slope_by_state
from .state import Tensors
from .transforms import is_batched, unwrapped

Slope = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def moved_by_times(
    call: Call,
    sign: int,
    times: torch.Tensor,
    states: torch.Tensor,
    leaves: Tensors,
    *,
    before: bool = False,
) -> torch.Tensor:
    """States with a derivative by their times; at a stop, by what holds after or before it."""
    n, config, stops = call.smooth, call.config, call.schedule.stops
    sided = [t for t, two in zip(stops.times, stops.sided, strict=True) if two]
    # Times that differ from lane to lane have no stops but the end.
    known = times.detach() if is_batched(times) else held("times", times.detach(), times)
    at_stop = torch.zeros_like(known, dtype=torch.bool)
    if sided:
        at_stop = torch.isin(known, torch.tensor(sided, dtype=known.dtype, device=known.device))
    towards = torch.full_like(known, -math.inf if before else math.inf)
    beside = torch.nextafter(known, towards) - known

    def slope(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return sign * slope_by_state(config, t, y, (leaves[:n], leaves[n:]))

    beside = torch.where(at_stop, beside, torch.zeros_like(beside))
    beside = beside if is_batched(times) else unwrapped(beside)
    return moved(slope, times + beside, states)


def moved(slope: Slope, times: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """`states`, with derivatives by their `times`.

    Parameters
    ----------
    slope : callable
        ``slope(t, y)``, how a state moves with its time.
    times : tensor, shape (m,)
    states : tensor, shape ``(m, *y.shape)``
    """
    rows = [_moved(slope, t, y) for t, y in zip(times, states, strict=True)]
    return torch.stack(rows)


def _moved(slope: Slope, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    method, at = tableau("rk4"), t.detach()
    step = t - at
    _, stages = step_stages(lambda t, y, _: slope(t, y), method, at, y, step, None)
    mean = combine(method.b, stages)
    # Where there is no slope, the state stays what it is, and its derivative is NaN: that of a
    # root at zero. Inner conditions keep the branch that is not taken out of derivatives.
    finite = torch.isfinite(mean)
    change = step * torch.where(finite, mean, torch.zeros_like(mean))
    undefined = torch.sqrt(torch.where(finite, torch.ones_like(mean), step * step))
    return y + torch.where(finite, change, undefined)
