"""An explicit step with its stages in the rows of one matrix, for steps that are taken eagerly.

A sum of stages is one product with a vector then, where term by term it would be two operations
for each: between small right-hand sides that is most of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, overload

import numpy as np
import torch

from ..steps.acceptance import Step
from ..steps.runge_kutta import stiffness_pair
from ..steps.tableau import Tableau
from ..steps.tableaus import tableau
from .state import Config, Operands
from .stepping import clipper


class Stages(Sequence[torch.Tensor]):
    """Slopes that combine themselves: see :func:`~adjointbench.adjoints.steps.runge_kutta.combine`.

    Parameters
    ----------
    most : int
        How many there will be.
    like : tensor
        A state.
    """

    def __init__(self, most: int, like: torch.Tensor) -> None:
        self._rows = like.new_empty(most, *like.shape)
        self._columns = self._rows.view(most, -1).T
        self._count = 0

    @classmethod
    def of(cls, rows: torch.Tensor) -> Stages:
        """Those that are there already, as the rows of a tensor."""
        found = cls.__new__(cls)
        found._rows, found._columns, found._count = rows, rows.view(len(rows), -1).T, len(rows)
        return found

    def append(self, slope: torch.Tensor) -> None:
        """One more."""
        self._rows[self._count].copy_(slope)
        self._count += 1

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> torch.Tensor:
        """All of them as one tensor."""
        return self._rows[: self._count]

    @overload
    def __getitem__(self, i: int) -> torch.Tensor: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[torch.Tensor]: ...
    def __getitem__(self, i: Any) -> Any:
        return self.rows[i]

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(self.rows)

    def combined(self, weights: np.ndarray) -> torch.Tensor:
        """``sum_i weights[i] stages[i]``."""
        return self.sum(on_device(weights[: self._count].tobytes(), self._rows))

    def sum(self, weights: torch.Tensor, onto: torch.Tensor | None = None) -> torch.Tensor:
        """The same, of the first stages, as many as there are weights, and added to a tensor."""
        columns, shape = self._columns[:, : len(weights)], self._rows.shape[1:]
        if onto is None:
            return torch.mv(columns, weights).view(shape)
        return torch.addmv(onto.reshape(-1), columns, weights).view(shape)


def on_device(weights: bytes, like: torch.Tensor) -> torch.Tensor:
    """Numbers in double precision as a tensor of the dtype of another, and where that is."""
    return _on_device(weights, like.dtype, like.device)


@lru_cache(maxsize=512)
def _on_device(weights: bytes, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.tensor(np.frombuffer(weights), dtype=dtype, device=device)


def forward_weights(tab: Tableau) -> list[np.ndarray]:
    """How the slopes lead to each stage after the first, and to the new state at the end."""
    return [*(tab.a[i, :i] for i in range(1, tab.steps)), tab.b[: tab.steps]]


@lru_cache(maxsize=64)
def _joined(
    solver: str, rows: Callable[[Tableau], list[np.ndarray]]
) -> tuple[bytes, tuple[int, ...]]:
    found = rows(tableau(solver))
    return np.concatenate(found).tobytes(), tuple(map(len, found))


def scaled(
    solver: str, rows: Callable[[Tableau], list[np.ndarray]], h: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """The rows of weights that a function makes of a solver's tableau, times the step size."""
    weights, sizes = _joined(solver, rows)
    return torch.split(on_device(weights, h) * h, list(sizes))


def stages_of(
    config: Config, times: torch.Tensor, y: torch.Tensor, first: torch.Tensor | None, ops: Operands
) -> tuple[torch.Tensor, Stages]:
    """The new state, and the stages that make it, with room for the slope there.

    Parameters
    ----------
    config, times, y, first, ops
        As of :func:`.stepping.take`.
    """
    tab, params = config.tableau, (ops.params, ops.constants)
    t, h, _, lower, upper, *_ = times.unbind()
    fractions = on_device(tab.c[: tab.steps].tobytes(), h)
    at = clipper(config, lower, upper)(t + fractions * h).unbind()
    weights, stages = scaled(config.solver, forward_weights, h), Stages(tab.steps + 1, y)
    stages.append(config.rhs(at[0], y, params) if first is None else first)
    for i in range(1, tab.steps):
        stages.append(config.rhs(at[i], stages.sum(weights[i - 1], y), params))
    return stages.sum(weights[-1], y), stages


def take_explicit(
    config: Config,
    times: torch.Tensor,
    y: torch.Tensor,
    first: torch.Tensor | None,
    ops: Operands,
    *,
    order: int = 0,
) -> Step:
    """The same as :func:`.stepping.take` of an explicit solver, on no graph."""
    del order
    y1, stages = stages_of(config, times, y, first, ops)
    _, h, t1, lower, upper, *_ = times.unbind()
    slope = config.rhs(clipper(config, lower, upper)(t1), y1, (ops.params, ops.constants))
    stages.append(slope)
    pair = stiffness_pair(config.tableau, stages, y, y1, h) if config.terms else None
    return Step(y1, stages, slope, pair)
