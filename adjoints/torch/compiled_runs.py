"""Attempts as compiled loops, in runs of many: for small states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from ..steps.acceptance import RUNNING
from .attempt import attempt, judged
from .compiled_loops import distinct, loop
from .compiled_programs import Compiled, compiled
from .program_inputs import Source, flat, unflat
from .state import Config, Operands, State, Tensors

#: Steps that one compiled call takes at most, and numbers that it may write: a larger buffer
#: would cost more to carry along than the calls that it saves.
LONGEST_RUN, LARGEST_RUN = 64, 16384

#: How many steps a run took, their rows with ``None`` for what is not wanted, and the last state.
Ran = tuple[torch.Tensor, tuple[torch.Tensor | None, ...], State]


def run_compiled(config: Config, state: State, ops: Operands) -> tuple[Compiled, Callable[[], Ran]]:
    """A run of attempts from `state`, and how to take it if there is a program."""
    run, shape = _run_length(config, state), (len(ops.params), len(ops.constants))
    inputs = distinct((*_buffers(config, run, state), *state, *flat(ops)))
    made = compiled(("run", config, run, shape), partial(_run, config, run, shape), inputs)

    def take() -> Ran:
        assert made.call is not None
        count, *found = made.call(inputs)
        buffers, end = iter(found[: -len(State._fields)]), found[-len(State._fields) :]
        wanted = (True, True, config.first_slopes, config.dense, config.terms)
        return count, tuple(next(buffers) if kept else None for kept in wanted), State(*end)

    return made, take


def _run_length(config: Config, state: State) -> int:
    """Steps of one compiled run."""
    degree = config.tableau.dense.shape[1] if config.dense else 0
    return max(1, min(LONGEST_RUN, LARGEST_RUN // (state.y.numel() * (1 + degree) + 8)))


def _buffers(config: Config, run: int, state: State) -> Tensors:
    """A count, and empty rows for one run."""
    y, shape = state.y, state.y.shape
    buffers = [torch.zeros_like(state.accepted), y.new_zeros(run, 5), y.new_zeros(run, *shape)]
    if config.first_slopes:
        buffers.append(torch.zeros_like(buffers[2]))
    if config.dense:
        buffers.append(y.new_zeros(run, config.tableau.dense.shape[1], *shape))
    if config.terms:
        buffers.append(y.new_zeros(run, 3))
    return tuple(buffers)


def _run(config: Config, run: int, shape: tuple[int, int], inputs: Sequence[Any]) -> Source:
    """A loop of attempts that fills the rows of one run."""
    columns = 3 + config.first_slopes + config.dense + config.terms

    def condition(count: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        state = State(*rest[columns - 1 : columns + 7])
        return (state.status == RUNNING) & (count < run)

    def body(count: torch.Tensor, *rest: torch.Tensor) -> Tensors:
        buffers, state = rest[: columns - 1], State(*rest[columns - 1 : columns + 7])
        found = attempt(config, state, unflat(shape, rest[columns + 7 :]))
        piece = (*found.row, found.coefficients, found.terms)
        written = tuple(
            buffer.index_copy(0, count[None], x[None])
            for buffer, x in zip(buffers, (x for x in piece if x is not None), strict=True)
        )
        return (count + found.accept.to(torch.int64), *written, *judged(state, found))

    return loop(condition, body, inputs[: columns + 8], inputs[columns + 8 :])
