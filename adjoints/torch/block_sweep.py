"""Many steps of small states swept back at once, eagerly.

The Jacobians by state of all steps, a product of small matrices for the cotangents, and one
vector-Jacobian product of all steps for the parameters.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from .recorded_step import Sources, Swept, plus, step_outputs
from .state import Config, Operands, Tensors


def sweep_block(
    config: Config,
    times: torch.Tensor,
    y: torch.Tensor,
    ops: Operands,
    swept: Swept,
    sources: Sources,
) -> Swept:
    """All steps at once, but for the product of their matrices."""
    n, derivatives = y[0].numel(), config.derivatives

    def steps(y: torch.Tensor, params: Tensors) -> Tensors:
        def one(times: torch.Tensor, y: torch.Tensor) -> Tensors:
            return step_outputs(config, ops, times, y, params)

        return derivatives.rows(one, times, y)

    outputs, pull = derivatives.vjp(steps, y, ops.params)
    others = tuple(torch.zeros_like(x) for x in outputs[1:])
    jacobians = _jacobians(config, times, y, ops)
    entering = tuple(x for x in sources[1:] if x is not None)
    own = torch.zeros_like(y) if sources.y is None else sources.y
    if entering:
        own = own + pull((torch.zeros_like(outputs[0]), *entering))[0]
    own, w = own.reshape(len(y), n), swept.dy0.reshape(n)
    after = []
    for row in reversed(range(len(y))):
        after.append(w)
        w = w @ jacobians[row] + own[row]
    ws = torch.stack(after[::-1]).reshape(y.shape)
    _, dparams = pull((ws, *(entering or others)))
    return swept._replace(dy0=w.reshape(y.shape[1:]), dparams=plus(swept.dparams, dparams))


def _jacobians(config: Config, times: torch.Tensor, y: torch.Tensor, ops: Operands) -> torch.Tensor:
    """The derivatives of the new states by the states, shape (steps, n, n).

    Every step is taken once for each component of the new state, all of them together.
    """
    steps, n, derivatives = len(y), y[0].numel(), config.derivatives
    alone = replace(config, dense=False, terms=False)

    def one(times: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return step_outputs(alone, ops, times, y, ops.params)[0]

    def states(y: torch.Tensor) -> torch.Tensor:
        return derivatives.rows(one, times.repeat(n, 1), y)

    _, pull = derivatives.vjp(states, y.repeat(n, *(1,) * (y.ndim - 1)))
    units = torch.eye(n, dtype=y.dtype, device=y.device).repeat_interleave(steps, dim=0)
    (rows,) = pull(units.reshape(n * steps, *y.shape[1:]))
    return rows.reshape(n, steps, n).transpose(0, 1)
