"""An event as the loop of an open solver knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...problems import Event

#: An array of whatever framework runs the equations.
Array = Any


@dataclass(frozen=True)
class WhenEvent:
    """An event's functions of ``(t, y, params)``; no `jump` leaves the state what it is."""

    when: Callable[..., Array]
    jump: Callable[..., Array] | None
    direction: int
    terminal: bool

    @classmethod
    def of(cls, event: Event, when: Callable[[Any], Any], jump: Callable[[Any], Any]) -> WhenEvent:
        """The event of a problem, each of its functions as the loop calls it.

        Parameters
        ----------
        event : Event
        when, jump : callable
            What the loop makes of the user's function of that name.
        """
        own = None if event.jump is None else jump(event.jump)
        return cls(when(event.when), own, event.direction, event.terminal)

    def after(self, t: Array, y: Array, params: Any) -> Array:
        """The state just after."""
        return y if self.jump is None else self.jump(t, y, params)

    @property
    def changes(self) -> bool:
        """Whether anything is not as before it."""
        return self.jump is not None or self.terminal
