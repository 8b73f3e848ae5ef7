"""The reverse sweep of the discrete adjoint in compiled runs of many steps, or step by step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from .compiled_loops import distinct, loop
from .compiled_programs import compiled
from .compiled_pull import sweep_by_steps
from .program_inputs import Source, in_loops
from .recorded_step import Sources, Swept, plus, pull_slope, pull_step
from .state import Config, Operands, Tensors

#: Steps of one compiled run of the sweep, and numbers that it may read, slopes aside.
LONGEST_RUN, LARGEST_RUN = 64, 65536


def sweep_compiled(
    config: Config,
    times: torch.Tensor,
    y: torch.Tensor,
    slopes: torch.Tensor | None,
    ops: Operands,
    swept: Swept,
    sources: Sources,
) -> Swept:
    """By compiled programs: large states step by step, small ones in runs.

    The rows of a run are filled up with what is not read.
    """
    columns = (times, y, slopes, *sources)
    if not in_loops(y[0]):
        return sweep_by_steps(config, columns, ops, swept)
    width = sum(x[0].numel() for x in (times, y, *sources) if x is not None)
    run = max(1, min(LONGEST_RUN, LARGEST_RUN // width))
    known = tuple(x is not None for x in columns[2:])
    carried, dparams, seconds = swept.carried, swept.dparams, swept.compile_s
    whole = len(times) <= run and swept.dslope is not None
    shape = (len(carried), len(ops.params), len(ops.constants), whole)
    for first in reversed(range(0, len(times), run)):
        block = [x[first : first + run] for x in columns if x is not None]
        count = len(block[0])
        if count < run:
            block = [torch.cat([x, x[:1].expand(run - count, *x.shape[1:])]) for x in block]
        last = torch.full((), count - 1, dtype=torch.int64, device=y.device)
        inputs = distinct(
            (last, *carried, *dparams, *block, *ops[2:4], *ops.params, *ops.constants)
        )
        key = ("sweep", config, run, known, shape)
        made = compiled(key, partial(_run, config, known, shape), inputs)
        seconds = max(seconds, made.seconds)
        if made.call is None:
            return swept._replace(compiled=made.reason, compile_s=seconds)
        _, *found = made.call(inputs)
        carried, dparams = tuple(found[: shape[0]]), tuple(found[shape[0] :])
    if whole:
        swept, carried = swept._replace(dslope=None), carried[:1]
    return swept.carried_on(carried, dparams)._replace(compile_s=seconds, compiled="yes")


def _run(
    config: Config,
    known: tuple[bool, ...],
    shape: tuple[int, int, int, bool],
    inputs: Sequence[torch.Tensor],
) -> Source:
    """A loop of steps backwards through the rows of one run, and whether to the very start."""
    last, ends, size = shape[0], shape[0] + shape[1], 2 + sum(known)

    def condition(number: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        return number >= 0

    def body(number: torch.Tensor, *rest: torch.Tensor) -> Tensors:
        carried, dparams, read = rest[:last], rest[last:ends], rest[ends:]
        columns = iter(x.index_select(0, number[None])[0] for x in read[:size])
        times, y = next(columns), next(columns)
        first, *own = (next(columns) if k else None for k in known)
        own = (first, carried, Sources(*own))
        carried, added = pull_step(config, operands(times, read), times, y, *own)
        return (number - 1, *carried, *plus(dparams, added))

    def operands(times: torch.Tensor, read: Tensors) -> Operands:
        rtol, atol, *named = read[size:]
        params, constants = tuple(named[: shape[1]]), tuple(named[shape[1] :])
        return Operands(params, constants, rtol, atol, times[2], times[3], times[4])

    def finish(number: torch.Tensor, *rest: torch.Tensor) -> Tensors:
        (w, dslope), dparams, read = rest[:last], rest[last:ends], rest[ends:]
        times, y = read[0][0], read[1][0]
        swept = Swept(w, dparams, dslope)
        swept = pull_slope(config, operands(times, read), times[0], y, swept)
        return (number, swept.dy0, dslope, *swept.dparams)

    start = finish if shape[3] else None
    return loop(condition, body, inputs[: 1 + ends], inputs[1 + ends :], start)
