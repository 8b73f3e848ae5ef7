"""The recorded solve as an autograd function: one node of the graph, with its own reverse pass.

It composes with ``torch.func.grad``, ``vjp``, ``jacrev`` and ``vmap``. Under ``vmap`` each lane is
solved with steps of its own, one lane after the other.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch

from ..result import STATUSES
from ..steps.acceptance import CODES
from .call import Call, Outputs, Pulled, outputs_of, pulled_back, solved_of
from .transforms import aside, is_wrapped


def solve_outputs(call: Call, y0: torch.Tensor, *leaves: torch.Tensor) -> Outputs:
    """Solve with its own derivative; `leaves` are parameters and constants."""
    call.transformed = any(is_wrapped(x) for x in (y0, *leaves))
    return Outputs(*SolveFunction.apply(call, y0, *leaves))


def tape_outputs(call: Call, y0: torch.Tensor, *leaves: torch.Tensor) -> Outputs:
    """Solve with every operation on the host's own graph, for reverse or forward mode."""
    params, constants = leaves[: call.smooth], leaves[call.smooth :]
    try:
        call.solved = solved_of(call, y0, params, constants, differentiable=True)
    except RuntimeError as error:
        if not any(is_wrapped(x) for x in (y0, *leaves)):
            raise
        raise NotImplementedError(
            "rhs does what the transforms of torch.func cannot follow; use adjoint='discrete', "
            "whose passes run apart from them, or backward() with adjoint='tape'"
        ) from error
    return outputs_of(call.config, call.solved)


class SolveFunction(torch.autograd.Function):
    """``(call, y0, *leaves) -> Outputs``."""

    @staticmethod
    def forward(call: Call, y0: torch.Tensor, *leaves: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Solve and record."""
        params, constants = leaves[: call.smooth], leaves[call.smooth :]

        def run() -> tuple[torch.Tensor, ...]:
            with torch.no_grad():
                # An alias, as a right-hand side may ask for gradients by what it is given.
                solved = solved_of(call, y0.detach(), params, constants)
                call.solved = call.kept(solved)
                return tuple(outputs_of(call.config, solved))

        return aside(run) if call.transformed else run()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
        """Keep what the reverse pass reads."""
        call, *tensors = inputs
        ctx.call = call
        ctx.save_for_backward(*tensors)
        ctx.mark_non_differentiable(*output[2:])

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[Any, ...]:
        """Cotangents of start value and parameters."""
        dys, dtotals = cotangents[:2]
        y0, *leaves = ctx.saved_tensors
        return (None, *_PullBack.apply(ctx.call, dys, dtotals, y0, *leaves))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """Refuse forward mode."""
        raise NotImplementedError(
            "this adjoint is for reverse mode; pass adjoint='forward' for forward mode"
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Any, Any]:
        """Lane by lane."""
        call, *tensors = inputs
        call.lanes = [call.again() for _ in range(info.batch_size)]
        found = [
            SolveFunction.apply(lane, *_lane(tensors, in_dims[1:], i))
            for i, lane in enumerate(call.lanes)
        ]
        ys, totals, numbers, steps = zip(*found, strict=True)
        stacked = tuple(torch.stack(x) for x in (ys, totals, numbers))
        return (*stacked, _padded(steps)), (0, 0, 0, 0)


class _PullBack(torch.autograd.Function):
    """``(call, dys, dtotals, y0, *leaves) -> (dy0, *dleaves)``."""

    @staticmethod
    def forward(
        call: Call, dys: torch.Tensor, dtotals: torch.Tensor, *tensors: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """The reverse pass."""
        leaves = tensors[1:]
        params, constants = leaves[: call.smooth], leaves[call.smooth :]

        def run() -> Pulled:
            with torch.no_grad():
                return pulled_back(call, dys, dtotals, tensors[0], params, constants)

        pulled = aside(run) if call.transformed else run()
        _warn_of_breakdown(call, pulled)
        return (pulled.dy0, *pulled.dparams, *(torch.zeros_like(x) for x in constants))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing is kept."""

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> Any:
        """Refuse a second derivative."""
        raise NotImplementedError(
            "this gradient cannot be differentiated again; pass adjoint='tape' for second "
            "derivatives"
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Any, Any]:
        """Lane by lane, or cotangent by cotangent where the solve itself has no lanes."""
        call, *tensors = inputs
        lanes = any(dim is not None for dim in in_dims[3:])
        found = [
            _PullBack.apply(call.lanes[i] if lanes else call, *_lane(tensors, in_dims[1:], i))
            for i in range(info.batch_size)
        ]
        stacked = tuple(torch.stack(x) for x in zip(*found, strict=True))
        return stacked, (0,) * len(stacked)


def _warn_of_breakdown(call: Call, pulled: Pulled) -> None:
    """Say that it was the reverse solve, as the status of a solution tells of the forward one."""
    assert call.solved is not None
    status = STATUSES[pulled.counts.status]
    if call.solved.work.status == CODES["ok"] and status != "ok":
        warnings.warn(
            f"the reverse solve of adjoint={call.reverse.adjoint!r} ended with status {status!r}, "
            "so the gradients are NaN; loosen adjoint_rtol and adjoint_atol, raise max_steps, or "
            "use adjoint='discrete', which has no solve of its own in reverse",
            RuntimeWarning,
            stacklevel=2,
        )


def _lane(tensors: list[torch.Tensor], dims: tuple[Any, ...], i: int) -> list[torch.Tensor]:
    return [x if dim is None else x.select(dim, i) for x, dim in zip(tensors, dims, strict=True)]


def _padded(steps: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Steps of all lanes, filled up with steps of size zero at the end."""
    most = max(x.shape[0] for x in steps)

    def fill(x: torch.Tensor) -> torch.Tensor:
        if x.shape[0] == 0:
            return x.new_zeros(most, 2)
        end = torch.stack([x[-1, 0] + x[-1, 1], torch.zeros_like(x[-1, 1])])
        return torch.cat([x, end.expand(most - x.shape[0], 2)])

    return torch.stack([fill(x) for x in steps])
