"""What happens at the stops of a solve where more does than a jump at a time that is held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from ...events.crossing import Passed, Sides, pass_declared, pass_event
from ...events.when_event import WhenEvent
from ...steps.runge_kutta import Rhs
from ..derivatives import PLAIN, Derivatives
from ..state import Tensors

Params = tuple[Tensors, Tensors]
#: Declared times as a function of ``(params, constants)``: one axis, in declared order.
TimesOf = Callable[[Params], torch.Tensor]


@dataclass(frozen=True)
class StopMap:
    """What happens at stops, by their numbers.

    Declared jumps have the numbers 0, 1, ..., declared discontinuities those that follow, and
    events the numbers behind these, in the order in which they happen.

    Attributes
    ----------
    rhs : callable
    jump : callable, optional
        ``jump(number, t, y, params)`` of declared jumps.
    jump_times, discontinuities : callable, optional
        The declared times, where any of them moves.
    jumps, breaks : int
        How many of either are declared.
    moving : frozenset of int
        The numbers of those that move.
    undefined : bool
        Whether derivatives by the declared times are not defined.
    events : tuple of WhenEvent
    max_events : int
    """

    rhs: Rhs
    jump: Callable[..., torch.Tensor] | None = None
    jump_times: TimesOf | None = None
    discontinuities: TimesOf | None = None
    jumps: int = 0
    breaks: int = 0
    moving: frozenset[int] = frozenset()
    undefined: bool = False
    events: tuple[WhenEvent, ...] = ()
    max_events: int = 0

    @property
    def first_event(self) -> int:
        """The number of the first event that happens."""
        return self.jumps + self.breaks

    def moves(self, number: int) -> bool:
        """Whether what has this number happens at a time that has a derivative."""
        return number in self.moving or number >= self.first_event

    def passed(
        self,
        number: int,
        event: WhenEvent | None,
        t: torch.Tensor,
        y: torch.Tensor,
        params: Params,
        derivatives: Derivatives,
        *,
        switches: bool,
    ) -> Passed:
        """What happens at a time that moves.

        Parameters
        ----------
        number : int
        event : WhenEvent, optional
            The one of this number.
        t, y : tensor
            The time that is held, and the state that the solve has there, before.
        params : pair of tuple of tensor
        derivatives : Derivatives
            How those of the functions are taken.
        switches : bool
            Whether the right-hand side behind it is another than before it; if not, both are the
            one behind.
        """

        def run() -> Passed:
            sides = _sides(self.rhs, t.detach(), params, switches=switches)
            if event is not None:
                return _event_passed(event, sides, t, y, params, derivatives)
            return self._declared_passed(number, sides, t, y, params)

        if derivatives is not PLAIN or torch.is_grad_enabled():
            return run()
        # What takes gradients inside is called with gradients on.
        with torch.enable_grad():
            found = run()
        return Passed(*(x.detach() for x in found))

    def _declared_passed(
        self, number: int, sides: Sides, t: torch.Tensor, y: torch.Tensor, params: Params
    ) -> Passed:
        def jump(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            assert self.jump is not None
            return self.jump(number, t, y, params)

        jumps = number < self.jumps
        times = self.jump_times if jumps else self.discontinuities
        assert times is not None
        time = times(params)[number if jumps else number - self.jumps]
        after = jump if jumps else None
        return pass_declared(after, sides, t, y, t + (time - time.detach()))


def _event_passed(
    event: WhenEvent,
    sides: Sides,
    t: torch.Tensor,
    y: torch.Tensor,
    params: Params,
    derivatives: Derivatives,
) -> Passed:
    """What an event that was located at `t` does."""

    def when(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return event.when(t, y, params)

    def after(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return event.after(t, y, params)

    derivative = partial(value_and_slope, derivatives)
    return pass_event(when, after, sides, t, y, derivative, torch.Tensor.detach)


def value_and_slope(
    derivatives: Derivatives, function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A function of one number, and its derivative.

    By reverse mode: for numbers without axes forward mode runs operations that are written in
    Python.
    """
    value, pull = derivatives.vjp(function, x)
    return value, pull(torch.ones_like(value))[0]


def _sides(rhs: Rhs, t: torch.Tensor, params: Params, *, switches: bool) -> Sides:
    """The right-hand side just before and just behind `t`; time keeps its derivative."""
    endless = torch.full_like(t, torch.inf)
    below, above = torch.nextafter(t, -endless), torch.nextafter(t, endless)

    def before(s: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        own = s.detach()
        return rhs(torch.minimum(own, below) + (s - own), y, params)

    def behind(s: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        own = s.detach()
        return rhs(torch.maximum(own, above) + (s - own), y, params)

    return Sides(before if switches else behind, behind)
