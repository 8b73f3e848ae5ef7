"""The graphs of a forward pass that a reverse sweep reads instead of evaluating all again.

Kept where they cost little: of small states, whose time is that of dispatching operations, and no
more than stays in a core's cache. The first steps have theirs then, and those after them do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from .evaluations import EvaluatedField, Evaluation
from .state import Config, Tensors

#: States of which graphs are kept; smaller ones are swept in blocks, and larger ones by what is
#: evaluated again, which costs less than the memory.
SMALLEST, LARGEST = 9, 1024

#: Bytes of graphs of one solve.
MOST_BYTES = 2**20


class Evaluations(NamedTuple):
    """Those of one step: at its start, at the other stages of the new state, and at its end.

    As they are kept, ``start`` is ``None``: it is the end of the step before, or made again.
    ``end`` is ``None`` where nothing reads the slope there; ``more`` are those of the stages that
    only dense output has.
    """

    start: Evaluation | None
    stages: Sequence[Evaluation]
    end: Evaluation | None
    more: Sequence[Evaluation] = ()


class KeptGraphs:
    """The graphs of the first steps.

    Attributes
    ----------
    field : EvaluatedField
        What the attempts evaluate, by whose leaves the graphs are differentiated.
    config : Config
        Of the attempts whose graphs are kept.
    start : Evaluation
        At the start of the first step.
    steps : list of Evaluations
        One for each step, from the first.
    """

    def __init__(self, config: Config, params: Tensors) -> None:
        self.field = EvaluatedField(config.rhs, params)
        self.config = replace(config, rhs=self.field)
        self.start: Evaluation | None = None
        self.steps: list[Evaluations] = []
        self._bytes_each = 0

    def first_slope(self, t: torch.Tensor, y: torch.Tensor, constants: Tensors) -> torch.Tensor:
        """The slope at the start, by whose graph is told what the others keep."""
        start, self._bytes_each = self.field.measured(t, y, constants)
        if self.has_room:
            self.start = start
        return start.slope.detach()

    @property
    def nbytes(self) -> int:
        """The bytes that are kept, if all evaluations keep as many as the first."""
        made = sum(1 + len(step.stages) + len(step.more) for step in self.steps)
        return self._bytes_each * (made + (self.start is not None))

    @property
    def has_room(self) -> bool:
        """Whether there is room for one step more."""
        return self.nbytes + self._bytes_each * self.config.tableau.stages <= MOST_BYTES

    def append(self, noted: Sequence[Evaluation]) -> None:
        """Those of an accepted step from a known slope, in the order in which they were made."""
        inner = self.config.tableau.steps - 1
        self.steps.append(Evaluations(None, noted[:inner], noted[inner], noted[inner + 1 :]))


def kept_graphs(config: Config, y: torch.Tensor, params: Tensors) -> KeptGraphs | None:
    """What keeps the graphs of a solve from `y`, where that is worth it."""
    few = config.compile or config.look_every > 1 or config.window is not None
    if config.tableau.implicit or few or not SMALLEST <= y.numel() <= LARGEST:
        return None
    return KeptGraphs(config, params)
