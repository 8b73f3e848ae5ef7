"""Looks at every accepted step for events: which happens first, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from ...events.location import PIECES, Located, armed, bracketed, located, resolution_of
from ...events.when_event import WhenEvent
from ...steps.acceptance import CODES, RUNNING
from ..schedule import Schedule
from ..state import Config, Operands, Tensors
from ..stepping import Clip, clipper
from ..transforms import aside, is_wrapped, unwrapped
from .path import EventPath, When, gradients_on, numbers
from .stop_map import value_and_slope


class Seen(NamedTuple):
    """An event on a step: its number among the problem's, and its time.

    ``status`` is that with which the solve ends because of it; ``RUNNING`` where it goes on.
    """

    which: int
    t: float
    status: int


class Watch:
    """Looks for the events of a solve.

    Nothing that it does is differentiated.

    Attributes
    ----------
    seen : Seen, optional
        What the last step that was looked at met.
    waits : int
        How often the host waited for numbers from the device.
    """

    def __init__(
        self,
        config: Config,
        schedule: Schedule,
        y0: torch.Tensor,
        params: Tensors,
        constants: Tensors,
    ) -> None:
        self._config, self._schedule = config, schedule
        self._params = (_plain(params), _plain(constants))
        self._wrapped = any(map(is_wrapped, (y0, *params, *constants)))
        self._events: tuple[WhenEvent, ...] = schedule.events
        self._signs = np.zeros(len(self._events))
        self._directions = np.array([event.direction for event in self._events])
        self._piece = 0.0
        self.seen: Seen | None = None
        self.waits = 0

    @property
    def _whens(self) -> list[When]:
        def when(event: WhenEvent, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return event.when(t, y, self._params)

        return [partial(when, event) for event in self._events]

    def arm(self, t: torch.Tensor, y: torch.Tensor, ops: Operands) -> None:
        """Take the signs of all values at `t`, from which steps within `ops` start."""
        t, y = _plain((t, y))
        clip = self._clip(ops)
        self._signs = self._apart(lambda: self._armed(clip, t, y))

    def _armed(self, clip: Clip, t: torch.Tensor, y: torch.Tensor) -> np.ndarray:
        config = self._config
        slope = config.rhs(clip(t), y, self._params)

        def along(when: When, dt: torch.Tensor) -> torch.Tensor:
            return when(clip(t + dt), y + dt * slope)

        found = [
            value_and_slope(config.derivatives, partial(along, when), torch.zeros_like(t))
            for when in self._whens
        ]
        values, slopes = map(torch.stack, zip(*found, strict=True))
        self.waits += 1
        found = numbers(torch.stack([values, slopes, t.expand_as(values)]))
        return armed(found[0], found[1], self._resolution(found[2]))

    def look(
        self,
        t: torch.Tensor,
        h: torch.Tensor,
        y: torch.Tensor,
        coefficients: torch.Tensor,
        ops: Operands,
    ) -> bool:
        """Whether an event happens on an accepted step, or ends the solve: see ``seen``."""
        t, h, y, coefficients = _plain((t, h, y, coefficients))
        own = (self._whens, self._config.derivatives, ops, self._clip(ops))
        path = EventPath(*own, t, h, y, coefficients)
        found = self._apart(lambda: self._located(path))
        self._signs, self._piece = np.asarray(found.signs), float(h) / PIECES
        self.waits += path.waits
        self.seen = None
        if bool(found.undefined):
            self.seen = Seen(-1, float(t), CODES["event"])
        elif bool(found.happens):
            self.seen = self._seen(int(found.which), float(found.fraction), numbers(t), numbers(h))
        return self.seen is not None

    def _clip(self, ops: Operands) -> Clip:
        return clipper(self._config, *_plain((ops.lower, ops.upper)))

    def _located(self, path: EventPath) -> Located:
        resolution = self._resolution(numbers(path.t)) / numbers(path.h)
        bracket = bracketed(path, self._signs, self._directions, resolution)
        # Where nothing crosses, there is nothing to be halved.
        return located(path, bracket, resolution, _repeat if bracket.crosses.any() else _once_not)

    def _seen(self, which: int, fraction: float, t: np.ndarray, h: np.ndarray) -> Seen:
        schedule, events = self._schedule, self._schedule.stop_map
        assert events is not None
        time = t.dtype.type(t + fraction * h)
        beside = [*schedule.stops.times, float(t)]
        if events.events[which].changes:
            beside += schedule.save_at.tolist()
        status = RUNNING
        if len(schedule.happened) >= events.max_events:
            status = CODES["max_events"]
        if (np.abs(np.array(beside) - time) <= self._resolution(time)).any():
            status = CODES["event"]
        return Seen(which, float(time), status)

    def is_near(self, time: torch.Tensor, t: torch.Tensor) -> bool:
        """Whether an event that was located at `t` does happen about there.

        It may not where its value hardly changes.
        """
        self.waits += 1
        return bool((time.detach() - t.detach()).abs() <= self._piece)

    def passed(self, schedule: Schedule) -> None:
        """Go on with a schedule that has the event in it."""
        self._schedule, self.seen = schedule, None

    def _resolution(self, t: Any) -> np.ndarray:
        end = self._schedule.save_at[-1].item()
        return resolution_of(np.asarray(t), np.asarray(end, np.asarray(t).dtype))

    def _apart(self, run: Callable[[], Any]) -> Any:
        """What `run` returns, with nothing of a transform or a tape around it."""

        def unrecorded() -> Any:
            with gradients_on(self._config.derivatives):
                return run()

        return aside(unrecorded) if self._wrapped else unrecorded()


def _plain(tensors: Sequence[torch.Tensor]) -> Tensors:
    return tuple(unwrapped(x.detach()) for x in tensors)


def _once_not(times: int, turn: Callable[[Any], Any], carry: Any) -> Any:
    del times, turn
    return carry


def _repeat(times: int, turn: Callable[[Any], Any], carry: Any) -> Any:
    for _ in range(times):
        carry = turn(carry)
    return carry
