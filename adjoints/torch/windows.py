"""The windows of a record of which most states are let go: their steps are taken again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch

from ..arguments import positive_int
from .explicit_stages import take_explicit
from .forward_pass import Jumped, Record
from .schedule import Schedule
from .state import Config, Operands
from .stepping import take


class Window(NamedTuple):
    """Some steps in a row: the number of the first, and the record of all."""

    first: int
    record: Record
    times: torch.Tensor


def windows_backwards(
    config: Config, record: Record, times: torch.Tensor, schedule: Schedule, ops: Operands
) -> Iterator[Window]:
    """The windows of a record from the last, each with all its states.

    Parameters
    ----------
    config, record, schedule
    times : tensor
        Those of the record.
    ops : Operands
    """
    if config.window is None or record.starts is None:
        yield Window(0, record, times)
        return
    ends = [*range(config.window, len(times), config.window), len(times)]
    for number, end in reversed(list(enumerate(ends))):
        first = number * config.window
        rows = tuple(min(max(x - first, 0), end - first) for x in record.rows)
        jumps = tuple(
            jumped._replace(rows=jumped.rows - first)
            for jumped in record.jumps
            if (first < jumped.rows or first == 0) and jumped.rows <= end
        )
        part, y = times[first:end], record.y
        if number < len(record.starts):
            y = _states_again(config, part, record.starts[number], rows, jumps, schedule, ops)
        yield Window(first, record._replace(y=y, jumps=jumps, rows=rows, starts=None), part)


def _states_again(
    config: Config,
    times: torch.Tensor,
    start: torch.Tensor,
    ends: tuple[int, ...],
    jumps: tuple[Jumped, ...],
    schedule: Schedule,
    ops: Operands,
) -> torch.Tensor:
    """The states from which the steps of a window start, by taking all but the last again."""
    step_by = take if config.tableau.implicit else take_explicit
    config = replace(config, terms=False)
    params = (ops.params, ops.constants)
    states, slope = [start], None
    for row in range(1, len(times)):
        step = step_by(config, times[row - 1], states[-1], slope, ops, order=0)
        y, slope = step.y1, None if row in ends else step.slope
        for jumped in jumps:
            if jumped.rows == row:
                y = schedule.jumped(jumped.number, jumped.t, y, params, config.derivatives)
        states.append(y)
    return torch.stack(states)


def window_size(config: Config, adjoint: str, checkpoints: int | None) -> int | None:
    """Steps of a window, so that at most `checkpoints` windows hold ``max_steps`` steps."""
    if checkpoints is None:
        return None
    length = -(-config.max_steps // positive_int("checkpoints", checkpoints))
    beyond = {
        f"adjoint={adjoint!r}": adjoint != "discrete",
        "dense_output=True": config.dense_output,
        f"solver={config.solver!r}, whose steps are kept with their slopes": config.keeps_slopes,
    }
    for name, is_asked in beyond.items():
        if is_asked:
            raise ValueError(
                f"checkpoints={checkpoints!r}: only the discrete adjoint takes steps again, of "
                f"explicit and Rosenbrock solvers, and not with {name}; leave checkpoints out"
            )
    return length
