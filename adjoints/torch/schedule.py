"""What happens when in a solve, and how accurately: times, stops, jumps, tolerances."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ..events.crossing import Passed
from ..events.when_event import WhenEvent
from ..steps.stops import Stops, stops_between
from .derivatives import TRANSFORMS, Derivatives
from .device import dtype_name
from .events.stop_map import StopMap
from .state import Tensors

#: The number of what is no jump of a user's: the change to consistent values.
CONSISTENT = -1


class Schedule(NamedTuple):
    """The times and tolerances of a solve, and the steps to take where they are given.

    ``save_at`` does not decrease; its first ``inner`` times lie before the end, all others are
    the end. ``jump(number, t, y, (params, constants))`` is the state just after a jump; jumps at
    the start are the caller's to apply. ``stop_map`` tells what else happens at stops, and
    ``happened`` which events do, in order: their stops are among ``stops``.
    ``consistent(t, y, (params, constants))`` is the state that fulfils the algebraic equations
    there, and a status code; as a jump it has the number :data:`CONSISTENT`, and a solve begins
    with it.
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
    stop_map: StopMap | None = None
    happened: tuple[int, ...] = ()
    consistent: Callable[..., tuple[torch.Tensor, torch.Tensor]] | None = None

    @property
    def events(self) -> tuple[WhenEvent, ...]:
        """The events that are looked for."""
        return () if self.stop_map is None else self.stop_map.events

    def event_of(self, number: int) -> WhenEvent | None:
        """The event that happens under a stop's number, if it is one."""
        if self.stop_map is None or number < self.stop_map.first_event:
            return None
        return self.events[self.happened[number - self.stop_map.first_event]]

    def jumped(
        self,
        number: int,
        t: torch.Tensor,
        y: torch.Tensor,
        params: tuple[Tensors, Tensors],
        derivatives: Derivatives = TRANSFORMS,
    ) -> torch.Tensor:
        """The state just after what happens at a stop, where the solve goes on."""
        if number == CONSISTENT:
            assert self.consistent is not None
            return self.consistent(t, y, params)[0]
        passed = self.passed(number, t, y, params, derivatives)
        if passed is None:
            assert self.jump is not None
            return self.jump(number, t, y, params)
        return self.gone_on(number, passed)

    def gone_on(self, number: int, passed: Passed) -> torch.Tensor:
        """The state with which a solve goes on, or ends."""
        event = self.event_of(number)
        return passed.after if event is not None and event.terminal else passed.held

    def passed(
        self,
        number: int,
        t: torch.Tensor,
        y: torch.Tensor,
        params: tuple[Tensors, Tensors],
        derivatives: Derivatives = TRANSFORMS,
    ) -> Passed | None:
        """What happens at a time that moves; ``None`` where it does not."""
        if self.stop_map is None or not self.stop_map.moves(number):
            return None
        at = next(i for i, numbers in enumerate(self.stops.jumps) if number in numbers)
        # Of several things at one time the first passes from one side to the other.
        switches = self.stops.jumps[at][0] == number
        own = (number, self.event_of(number), t, y, params, derivatives)
        return self.stop_map.passed(*own, switches=switches)

    def with_event(self, which: int, t: float) -> Schedule:
        """The same with a stop more, where an event happens."""
        assert self.stop_map is not None
        number = self.stop_map.first_event + len(self.happened)
        happened = (*self.happened, which)
        if not self.events[which].terminal:
            return self._replace(stops=with_stop(self.stops, t, number), happened=happened)
        inner = int((self.save_at[: self.inner] < t).sum())
        return self._replace(
            stops=ended_at(self.stops, t, number),
            save_at=torch.clamp(self.save_at, max=t),
            inner=inner,
            happened=happened,
        )

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


def with_stop(stops: Stops, t: float, number: int) -> Stops:
    """`stops` and one more at `t`, where what has this number happens."""
    at = bisect.bisect_left(stops.times, t)

    def inserted(row: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
        return (*row[:at], value, *row[at:])

    return Stops(
        times=inserted(stops.times, t),
        first=stops.first,
        sided=inserted(stops.sided, True),
        jumps=inserted(stops.jumps, (number,)),
    )


def ended_at(stops: Stops, t: float, number: int) -> Stops:
    """`stops` up to `t`, where what has this number happens last."""
    at = bisect.bisect_left(stops.times, t)
    return Stops(
        times=(*stops.times[:at], t),
        first=stops.first,
        sided=(*stops.sided[:at], True),
        jumps=(*stops.jumps[:at], (number,)),
    )


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
