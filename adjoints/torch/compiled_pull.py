"""The pull-back of a step as a compiled program, called step by step: for large states."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from .compiled_programs import compiled
from .program_inputs import Source, open_axes
from .recorded_step import Sources, Swept, plus, pull_step
from .state import Config, Operands, Tensors


def sweep_by_steps(
    config: Config,
    columns: tuple[torch.Tensor | None, ...],
    ops: Operands,
    swept: Swept,
) -> Swept:
    """The cotangents carried back over the rows of `columns`, step by step.

    Parameters
    ----------
    config, ops, swept
    columns : tuple of tensor or None
        Times, states and first slopes, and the fields of :class:`~.recorded_step.Sources`.
    """
    known = tuple(x is not None for x in columns)
    kept = [x.unbind() for x in columns if x is not None]
    carried, dparams = swept.carried, swept.dparams
    shape = (len(carried), len(ops.params), len(ops.constants))
    named = (*ops.params, *ops.constants)

    def inputs(row: int) -> tuple[Tensors, Tensors]:
        return (*(x[row] for x in kept), *carried, *ops[2:4]), (*named, *dparams)

    along, others = inputs(0)
    made = compiled(
        ("pull", config, known, shape),
        partial(_pull, config, known, shape),
        (*along, *others),
        open_axes(config, kept[1][0], along, len(others)),
    )
    swept = swept._replace(compile_s=max(swept.compile_s, made.seconds))
    if made.call is None:
        return swept._replace(compiled=made.reason)
    for row in reversed(range(len(kept[0]))):
        along, others = inputs(row)
        found = made.call((*along, *others))
        carried, dparams = tuple(found[: shape[0]]), tuple(found[shape[0] :])
    return swept.carried_on(carried, dparams)._replace(compiled="yes")


def _pull(
    config: Config,
    known: tuple[bool, ...],
    shape: tuple[int, int, int],
    inputs: Sequence[torch.Tensor],
) -> Source:
    del inputs
    carried_at = sum(known)
    params_at = carried_at + shape[0] + 2
    constants_at = params_at + shape[1]
    sums_at = constants_at + shape[2]

    def function(*inputs: torch.Tensor) -> Tensors:
        columns = iter(inputs[:carried_at])
        times, y, first, *own = (next(columns) if k else None for k in known)
        assert times is not None
        assert y is not None
        *carried, rtol, atol = inputs[carried_at:params_at]
        params, constants = inputs[params_at:constants_at], inputs[constants_at:sums_at]
        ops = Operands(params, constants, rtol, atol, times[2], times[3], times[4])
        before, added = pull_step(config, ops, times, y, first, tuple(carried), Sources(*own))
        return (*before, *plus(inputs[sums_at:], added))

    return Source(function)
