"""What the user of a solve declares: its stops, and what happens there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from ...steps.stops import Stops, check_jumps
from ..inputs import Times
from ..user_functions import UserFunctions
from .declared import declared_stops, declared_times
from .stop_map import StopMap


def stops_of_solve(
    times: Times,
    discontinuities: Iterable[Any],
    jump_times: Iterable[Any],
    jump: Any,
    user: UserFunctions,
    like: torch.Tensor,
) -> tuple[UserFunctions, Stops, StopMap, tuple[float, ...]]:
    """What a user declared: functions with the times that move, stops, and the times of jumps."""
    smooth, found = user.smooth, []
    for argument, given in (("discontinuities", discontinuities), ("jump_times", jump_times)):
        own = (argument, given, like, smooth)
        declared, smooth = declared_times(*own, backwards=times.backwards)
        found.append(declared)
    breaks, jumps = found
    check_jumps(jumps.values, jump)
    stop_map = StopMap(user.rhs, user.jump, events=user.events)
    saves = times.saves.tolist()
    stops, stop_map = declared_stops(breaks, jumps, stop_map, times.start, saves, times.saves.dtype)
    if times.own and (len(stops.times) > 1 or user.events):
        raise ValueError(
            "t0 or save_at differs from lane to lane under vmap; with discontinuities, jumps or "
            "events between them, call solve once for each instead"
        )
    return user._replace(smooth=smooth), stops, stop_map, jumps.values
