"""The values of events along one accepted step, from its dense output, as numbers on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...steps.runge_kutta import dense_value
from ..derivatives import PLAIN, Derivatives
from ..device import dtype_name
from ..state import Operands
from ..stepping import Clip

#: ``when(t, y)``, with its parameters.
When = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class EventPath:
    """A :class:`~adjointbench.adjoints.events.location.Path` of tensors, read off as numbers.

    Attributes
    ----------
    whens : sequence of callable
    derivatives : Derivatives
        How theirs are taken.
    ops : Operands
        Of the step.
    clip : callable
        Keeps times on its side of stops.
    t, h, y, coefficients : tensor
        Its start, its size, the state there and the coefficients of its dense output.
    waits : int
        How often the host waited for numbers from the device.
    """

    whens: Sequence[When]
    derivatives: Derivatives
    ops: Operands
    clip: Clip
    t: torch.Tensor
    h: torch.Tensor
    y: torch.Tensor
    coefficients: torch.Tensor
    waits: int = 0

    def with_slopes(self, fractions: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """Values and their derivatives by the fraction, shapes ``(len(fractions), E)``."""
        at = self.y.new_tensor(fractions)
        columns = [self._with_slope(when, at) for when in self.whens]
        values, slopes = zip(*columns, strict=True)
        found = torch.stack([torch.stack(values, dim=1), torch.stack(slopes, dim=1)])
        self.waits += 1
        values, slopes = numbers(found)
        return values, slopes

    def values(self, fractions: np.ndarray) -> np.ndarray:
        """Values of shape ``(k, E)`` at fractions of that shape, each event at its own."""
        at = self.y.new_tensor(fractions.tolist())
        pairs = zip(self.whens, at.unbind(dim=1), strict=True)
        columns = [self._along_rows(when, column) for when, column in pairs]
        self.waits += 1
        return numbers(torch.stack(columns, dim=1))

    def spreads(self, fractions: np.ndarray) -> np.ndarray:
        """By how much the tolerance moves each value at its fraction, shape ``(E,)``."""
        pairs = zip(self.whens, fractions.tolist(), strict=True)
        # A value that turns back nowhere is asked for at the start of the step.
        found = [self._spread(when, at) if at > 0 else 0.0 for when, at in pairs]
        return np.array(found, fractions.dtype)

    def _at(self, fraction: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Time and state."""
        t = self.clip(self.t + fraction * self.h)
        return t, dense_value(self.coefficients, self.y, self.h, fraction)

    def _along(self, when: When) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda fraction: when(*self._at(fraction))

    def _along_rows(self, when: When, at: torch.Tensor) -> torch.Tensor:
        along = self._along(when)
        return along(at[0])[None] if len(at) == 1 else self.derivatives.rows(along, at)

    def _with_slope(self, when: When, at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Each value depends on its own fraction: one product has the slopes of all."""
        values, pull = self.derivatives.vjp(lambda at: self._along_rows(when, at), at)
        return values, pull(torch.ones_like(values))[0]

    def _spread(self, when: When, fraction: float) -> float:
        t, y = self._at(self.y.new_tensor(fraction))
        value, pull = self.derivatives.vjp(lambda y: when(t, y), y)
        (slope,) = pull(torch.ones_like(value))
        scale = self.ops.atol + self.ops.rtol * y.abs()
        self.waits += 1
        return float((slope.abs() * scale).sum().detach())


def numbers(found: torch.Tensor) -> np.ndarray:
    """The numbers of a tensor, fetched from its device."""
    # By a list, as inside a transform no tensor has an array.
    return np.array(found.detach().tolist(), dtype_name(found))


def gradients_on(derivatives: Derivatives) -> torch.set_grad_enabled:
    """Around functions that may take gradients inside, and around others."""
    return torch.set_grad_enabled(derivatives is PLAIN)
