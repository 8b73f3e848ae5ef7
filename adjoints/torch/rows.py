"""The accepted steps of a solve, as they come."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


@dataclass
class Rows:
    """The accepted steps, in pieces as they come, if they are to be kept."""

    keep: bool = True
    times: list[torch.Tensor] = field(default_factory=list)
    y: list[torch.Tensor] = field(default_factory=list)
    slopes: list[torch.Tensor] = field(default_factory=list)
    coefficients: list[torch.Tensor] = field(default_factory=list)
    terms: list[torch.Tensor] = field(default_factory=list)

    def append(self, *piece: torch.Tensor | None) -> None:
        """One piece of rows, each with a leading axis."""
        if not self.keep:
            return
        columns = (self.times, self.y, self.slopes, self.coefficients, self.terms)
        for column, values in zip(columns, piece, strict=True):
            if values is not None:
                column.append(values)
