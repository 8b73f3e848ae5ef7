"""The times at which a solve must stop: where its equations break or its state jumps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Stops:
    """Times to step onto before the end, and the number of the jump at each stop.

    ``jumps`` has one entry more than ``times``: the last is for the end. -1 is no jump.
    """

    times: tuple[float, ...]
    jumps: tuple[int, ...]


def stops_between(
    discontinuities: Iterable[float], jump_times: Iterable[float], start: float, end: float
) -> Stops:
    """The stops of a solve from `start` to `end`; those outside are left out.

    A jump at `end` belongs to the solve, one at `start` does too and is the caller's to apply.
    """
    numbers = {float(t): i for i, t in enumerate(jump_times)}
    inside = {float(t) for t in (*discontinuities, *numbers) if start < float(t) < end}
    times = tuple(sorted(inside))
    return Stops(times, (*(numbers.get(t, -1) for t in times), numbers.get(end, -1)))
