"""The accepted steps of a solve, cut or joined, and taken again with no control."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from ..error_bars.pieces import LOOSEST, joined
from .call import Call
from .forward_pass import Solved


def again(call: Call, solved: Solved, pieces: float) -> Call:
    """A call that takes the steps of a solve again, each in so many pieces.

    A reverse solve has a mesh of its own, on which the error goes with the tolerance: that is
    divided by what the pieces divide the error of the forward steps by.

    Parameters
    ----------
    call : Call
        That made the solve.
    solved : Solved
    pieces : float
        One half: joined in pairs.
    """
    schedule = solved.schedule or call.schedule
    t, h = solved.record.times(schedule)[:, :2].unbind(dim=1)
    stops = torch.tensor(schedule.stops.times, dtype=t.dtype, device=t.device)
    steps = joined(t, h, stops) if pieces < 1 else cut(t, h, int(pieces))
    gain = float(pieces) ** call.config.tableau.order
    tightest = 8 * torch.finfo(t.dtype).eps
    reverse = call.reverse._replace(
        rtol=(call.reverse.rtol / gain).clamp(tightest, LOOSEST), atol=call.reverse.atol / gain
    )
    config = replace(
        call.config,
        given_steps=True,
        max_steps=math.ceil(pieces) * call.config.max_steps,
        through_step_size=False,
    )
    return replace(call, config=config, schedule=schedule._replace(steps=steps), reverse=reverse)


def cut(t: torch.Tensor, h: torch.Tensor, pieces: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Starts and sizes of steps, each cut into so many equal pieces."""
    number = torch.arange(pieces, dtype=h.dtype, device=h.device)
    size = (h / pieces)[:, None]
    return (t[:, None] + size * number).reshape(-1), size.expand(-1, pieces).reshape(-1)
