"""Attempts as compiled programs without a loop, called one by one: for large states."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch

from .attempt import attempt, judged
from .compiled_programs import Compiled, compiled
from .program_inputs import Source, flat, open_axes, unflat
from .state import Config, Operands, State, Tensors


class Tried(NamedTuple):
    """What a compiled attempt found.

    ``numbers`` are those of accepted steps and attempts so far, the status, and whether this one
    was accepted; ``row`` is that of a record, with ``None`` for what is not wanted.
    """

    numbers: torch.Tensor
    state: State
    row: tuple[torch.Tensor | None, ...]


class Attempts:
    """Compiled attempts from states and with operands of the shapes of the first."""

    def __init__(self, config: Config, state: State, ops: Operands) -> None:
        self._config = config
        shape = (len(ops.params), len(ops.constants))
        self.made: Compiled = compiled(
            ("attempt", config, shape),
            partial(_attempt, config, shape),
            (*state, *flat(ops)),
            open_axes(config, state.y, (*state, *ops[2:]), sum(shape)),
        )

    def __call__(self, state: State, ops: Operands) -> Tried:
        """One attempt."""
        assert self.made.call is not None
        config, count = self._config, len(State._fields)
        numbers, *found = self.made.call((*state, *flat(ops)))
        times, *rest = found[count:]
        slope = state.slope if config.first_slopes else None
        wanted = (config.dense, config.terms)
        coefficients, terms = (rest.pop(0) if asked else None for asked in wanted)
        return Tried(numbers, State(*found[:count]), (times, state.y, slope, coefficients, terms))


def _attempt(config: Config, shape: tuple[int, int], inputs: Sequence[torch.Tensor]) -> Source:
    del inputs
    count = len(State._fields)

    def function(*inputs: torch.Tensor) -> Tensors:
        state = State(*inputs[:count])
        found = attempt(config, state, unflat(shape, inputs[count:]))
        new = judged(state, found)
        accepted = found.accept.to(torch.int64)
        numbers = torch.stack([new.accepted, new.attempts, new.status, accepted])
        row = (found.row.times, found.coefficients, found.terms)
        return (numbers, *new, *(x for x in row if x is not None))

    return Source(function)
