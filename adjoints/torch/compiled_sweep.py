"""The reverse sweep of the discrete adjoint in compiled runs of many steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from .compiled_loops import compiled, distinct, loop
from .recorded_step import Sources, Swept, plus, pull_step
from .state import Config, Operands, Tensors

#: Steps of one compiled run of the sweep, and numbers that it may read.
LONGEST_RUN, LARGEST_RUN = 64, 65536


def sweep_compiled(
    config: Config,
    times: torch.Tensor,
    y: torch.Tensor,
    ops: Operands,
    swept: Swept,
    sources: Sources,
) -> Swept:
    """Step by step in compiled runs; the rows of a run are filled up with what is not read."""
    columns = (times, y, *sources)
    width = sum(x[0].numel() for x in columns if x is not None)
    run = max(1, min(LONGEST_RUN, LARGEST_RUN // width))
    known = tuple(x is not None for x in sources)
    shape = (len(ops.params), len(ops.constants))
    w, dparams, seconds = swept.dy0, swept.dparams, swept.compile_s
    for first in reversed(range(0, len(times), run)):
        block = [x[first : first + run] for x in columns if x is not None]
        count = len(block[0])
        if count < run:
            block = [torch.cat([x, x[:1].expand(run - count, *x.shape[1:])]) for x in block]
        last = torch.full((), count - 1, dtype=torch.int64, device=w.device)
        inputs = distinct((last, w, *dparams, *block, *ops[2:4], *ops.params, *ops.constants))
        key = ("sweep", config, run, known, shape)
        made = compiled(key, partial(_run, config, known, shape), inputs)
        seconds = max(seconds, made.seconds)
        if made.call is None:
            return swept._replace(compiled=made.reason, compile_s=seconds)
        _, w, *dparams = made.call(*inputs)
    return Swept(w, tuple(dparams), seconds, "yes")


def _run(
    config: Config, known: tuple[bool, ...], shape: tuple[int, int], inputs: Tensors
) -> Callable[..., Any]:
    """A loop of steps backwards through the rows of one run."""
    carried = 2 + shape[0]

    def condition(number: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        return number >= 0

    def body(number: torch.Tensor, w: torch.Tensor, *rest: torch.Tensor) -> Tensors:
        dparams, read = rest[: shape[0]], rest[shape[0] :]
        size = 2 + sum(known)
        columns = iter(x.index_select(0, number[None])[0] for x in read[:size])
        rtol, atol, *named = read[size:]
        times, y = next(columns), next(columns)
        own = Sources(*(next(columns) if k else None for k in known))
        params, constants = tuple(named[: shape[0]]), tuple(named[shape[0] :])
        ops = Operands(params, constants, rtol, atol, times[2], times[3], times[4])
        w, added = pull_step(config, ops, times, y, w, own)
        return (number - 1, w, *plus(dparams, added))

    return loop(condition, body, inputs[:carried], inputs[carried:])
