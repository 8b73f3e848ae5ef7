"""The accepted steps of a solve, as they come."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from .attempt import evaluate


@dataclass
class Rows:
    """The accepted steps, in pieces as they come, if they are to be kept.

    Attributes
    ----------
    keep : bool
        Whether anything is.
    window : int, optional
        States that are kept at the end. Of as many before only the first is kept, in ``starts``;
        the saves on those steps are read off before, into ``saved``. ``open_times`` are the times
        of those that are kept.
    save_at : tensor, optional
        The times of the saves before the end.
    """

    keep: bool = True
    window: int | None = None
    save_at: torch.Tensor | None = None
    times: list[torch.Tensor] = field(default_factory=list)
    y: list[torch.Tensor] = field(default_factory=list)
    slopes: list[torch.Tensor] = field(default_factory=list)
    coefficients: list[torch.Tensor] = field(default_factory=list)
    terms: list[torch.Tensor] = field(default_factory=list)
    starts: list[torch.Tensor] = field(default_factory=list)
    saved: list[torch.Tensor] = field(default_factory=list)
    open_times: list[torch.Tensor] = field(default_factory=list)
    count: int = 0

    def append(self, *piece: torch.Tensor | None) -> None:
        """One piece of rows, each with a leading axis."""
        if not self.keep:
            return
        columns = (self.times, self.y, self.slopes, self.coefficients, self.terms)
        for column, values in zip(columns, piece, strict=True):
            if values is not None:
                column.append(values)
        if piece[0] is not None:
            self.open_times.append(piece[0])
            self.count += len(piece[0])
        while self.window is not None and self.count > self.window * (1 + len(self.starts)):
            self._close(self.window)

    def read(self, end: int | None = None) -> torch.Tensor | None:
        """The saves on the steps that are kept, those up to row `end` of them; read once each."""
        first = sum(map(len, self.saved))
        if self.save_at is None or not self.coefficients:
            return None
        times = torch.cat(self.open_times)
        save_at = self.save_at[first:]
        if end is not None:
            save_at = save_at[save_at < times[end, 0]]
        y, coefficients = torch.cat(self.y), torch.cat(self.coefficients)
        return evaluate(times[:end], y[:end], coefficients[:end], save_at)

    def _close(self, window: int) -> None:
        """Let go of the oldest window's states but the first."""
        found = self.read(window)
        if found is not None:
            self.saved.append(found)
        y = torch.cat(self.y)
        self.starts.append(y[:1].clone())
        self.y = [y[window:].clone()]
        self.open_times = [torch.cat(self.open_times)[window:]]
        if self.coefficients:
            self.coefficients = [torch.cat(self.coefficients)[window:].clone()]
