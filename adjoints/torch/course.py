"""Where a solve goes, and the accepted steps as they come."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from ..stops import Stops

ENDLESS = math.inf


class Course(NamedTuple):
    """Where a solve goes: its times, its tolerances, and the steps to take where they are given.

    ``jump(number, t, y, (params, constants))`` is the state just after a jump.
    """

    t0: torch.Tensor
    stops: Stops
    save_at: torch.Tensor
    rtol: torch.Tensor
    atol: torch.Tensor
    first_step: torch.Tensor | None = None
    steps: tuple[torch.Tensor, torch.Tensor] | None = None
    jump: Callable[..., torch.Tensor] | None = None


@dataclass
class Rows:
    """The accepted steps, in pieces as they come, if they are to be kept."""

    keep: bool = True
    times: list[torch.Tensor] = field(default_factory=list)
    y: list[torch.Tensor] = field(default_factory=list)
    coefficients: list[torch.Tensor] = field(default_factory=list)
    terms: list[torch.Tensor] = field(default_factory=list)

    def append(self, *piece: torch.Tensor | None) -> None:
        """One piece of rows, each with a leading axis."""
        if not self.keep:
            return
        columns = (self.times, self.y, self.coefficients, self.terms)
        for column, values in zip(columns, piece, strict=True):
            if values is not None:
                column.append(values)


def bounds(course: Course) -> tuple[torch.Tensor, torch.Tensor]:
    """The first and last times within each stretch between two stops; endless at both ends."""
    stops = torch.tensor(course.stops.times, dtype=course.t0.dtype, device=course.t0.device)
    endless = torch.full_like(course.t0, ENDLESS)
    lower = torch.cat([-endless[None], torch.nextafter(stops, endless)])
    return lower, torch.cat([torch.nextafter(stops, -endless), endless[None]])
