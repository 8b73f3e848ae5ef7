"""``Event``: where the state crosses a threshold, and what happens to it there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .function_checks import A_SCALAR, LIKE_Y0, check_function, checked_function

#: An array of whatever framework runs the problem: NumPy, JAX or PyTorch.
Array = Any

#: How many events a solve has room for where nothing else is asked. Their times take less than 512
#: bytes: XLA runs a loop whose arrays are larger half as fast.
DEFAULT_MAX_EVENTS = 60

#: What the loss of a problem with events gets their times as.
EVENT_TIMES = "event_times"


@dataclass(frozen=True)
class Event:
    """What happens where ``when(t, y, p)`` passes through zero along the solution.

    Its time is not known before: it is located on the solver's dense output, to rounding, and has a
    derivative. Events are armed again after each: what counts is the next change of sign.

    Parameters
    ----------
    when : callable
        ``when(t, y, p) -> scalar``.
    jump : callable, optional
        ``jump(t, y, p)``, the state just after; by default it stays what it is.
    direction : {-1, 0, 1}
        Whether only falling (-1) or only rising (1) values count.
    terminal : bool
        Whether the solve ends there. Later saves are the state at its end.

    Raises
    ------
    ValueError
        For a direction that is none.

    Notes
    -----
    A value that is zero at the start of the span, or just after a jump, is no event: its sign is
    that to which it moves. A jump that carries another event's value through zero is no event of
    that one. Undefined, and told by the status ``"event"``, are: a value that touches zero to
    within the tolerance and turns back, two events at the same time, and an event at the time of a
    save or of a declared jump.
    """

    when: Callable[[Array, Array, Mapping[str, Array]], Array]
    jump: Callable[[Array, Array, Mapping[str, Array]], Array] | None = None
    direction: int = 0
    terminal: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense whatever the problem."""
        check_function("when", self.when)
        if self.jump is not None:
            check_function("jump", self.jump)
        if self.direction not in (-1, 0, 1):
            raise ValueError(
                f"direction={self.direction!r} must be -1 (falling values), 1 (rising ones) or 0"
            )


def listed_events(events: Any) -> tuple[Event, ...]:
    """`events` as a tuple; refused where something in it is none."""
    listed = (events,) if isinstance(events, Event) else tuple(events)
    for event in listed:
        if not isinstance(event, Event):
            raise ValueError(
                f"events has {event!r}; pass adjointbench.Event(when=..., jump=...) objects"
            )
    return listed


def checked_events(
    events: Event | Sequence[Event], *, t0: float, y0: np.ndarray, p: Mapping[str, np.ndarray]
) -> tuple[Event, ...]:
    """The same events, each function called once; refused where what it returns does not fit."""
    arguments = (np.asarray(t0, dtype=y0.dtype), y0, p)
    checked = []
    for event in listed_events(events):
        when = checked_function("when", event.when, (), A_SCALAR, y0.dtype, *arguments)
        jump = event.jump
        if jump is not None:
            jump = checked_function("event jump", jump, y0.shape, LIKE_Y0, y0.dtype, *arguments)
        checked.append(replace(event, when=when, jump=jump))
    return tuple(checked)


def check_max_events(value: Any) -> int:
    """`value` as a number of events that there is room for."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"max_events={value!r} must be a whole number, 1 or more")
    return int(value)
