"""An event as the loop knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax


@dataclass(frozen=True)
class WhenEvent:
    """An event's functions of ``(t, y, params)``; no `jump` leaves the state what it is."""

    value: Callable[..., jax.Array]
    jump: Callable[..., jax.Array] | None
    direction: int
    terminal: bool

    def after(self, t: jax.Array, y: jax.Array, params: Any) -> jax.Array:
        """The state just after."""
        return y if self.jump is None else self.jump(t, y, params)

    @property
    def changes(self) -> bool:
        """Whether anything is not as before it."""
        return self.jump is not None or self.terminal
