"""What happens when in a solve, and how accurately: times, stops, jumps, tolerances."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from ..steps.stops import Stops, stops_between
from .device import dtype_name
from .state import Tensors

#: The number of what is no jump of a user's: the change to consistent values.
CONSISTENT = -1


class Schedule(NamedTuple):
    """The times and tolerances of a solve, and the steps to take where they are given.

    ``save_at`` does not decrease; its first ``inner`` times lie before the end, all others are
    the end. ``jump(number, t, y, (params, constants))`` is the state just after a jump; jumps at
    the start are the caller's to apply. ``consistent(t, y, (params, constants))`` is the state
    that fulfils the algebraic equations there, and a status code; as a jump it has the number
    :data:`CONSISTENT`, and a solve begins with it.
    """

    t0: torch.Tensor
    stops: Stops
    save_at: torch.Tensor
    inner: int
    rtol: torch.Tensor
    atol: torch.Tensor
    first_step: torch.Tensor | None = None
    steps: tuple[torch.Tensor, torch.Tensor] | None = None
    jump: Callable[..., torch.Tensor] | None = None
    consistent: Callable[..., tuple[torch.Tensor, torch.Tensor]] | None = None

    def jumped(
        self, number: int, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """The state just after a jump."""
        if number == CONSISTENT:
            assert self.consistent is not None
            return self.consistent(t, y, params)[0]
        assert self.jump is not None
        return self.jump(number, t, y, params)

    def of_one_lane(self, t0: torch.Tensor, save_at: torch.Tensor) -> Schedule:
        """The same with other times, and no stop before the end."""
        numbers = save_at.tolist()
        dtype = dtype_name(t0)
        stops = stops_between((), (), float(t0), numbers[-1], dtype)
        inner = sum(t < numbers[-1] for t in numbers)
        return self._replace(t0=t0, save_at=save_at, stops=stops, inner=inner)

    def segments(self) -> Segments:
        """The stretches between stops, each with the bounds of the times within it."""
        stops = self.stops
        ends = torch.tensor(stops.times, dtype=self.t0.dtype, device=self.t0.device)
        endless = torch.full_like(ends, math.inf)
        first = stops.first
        if not any(stops.sided):
            bounds = -endless[first:], endless[first:]
            return Segments(ends[first:], *bounds, stops.jumps[first:])
        sided = torch.tensor(stops.sided, device=ends.device)
        after = torch.where(sided, torch.nextafter(ends, endless), -endless)
        before = torch.where(sided, torch.nextafter(ends, -endless), endless)
        lower = torch.cat([-endless[:1], after])[:-1]
        return Segments(ends[first:], lower[first:], before[first:], stops.jumps[first:])


class Segments(NamedTuple):
    """The stretches of a solve between two stops, with one number each in every field.

    Attributes
    ----------
    ends : tensor
    lower, upper : tensor
        The first and last times at which the right-hand side may be evaluated: strictly between
        two stops whose sides differ, endless elsewhere.
    jumps : tuple of tuple of int
        The numbers of the jumps at the end.
    """

    ends: torch.Tensor
    lower: torch.Tensor
    upper: torch.Tensor
    jumps: tuple[tuple[int, ...], ...]
