"""The recorded solve as an autograd function: one node of the graph, with its own reverse pass.

It composes with ``torch.func.grad``, ``vjp``, ``jacrev`` and ``vmap``, under which all lanes are
solved in one loop, each with steps of its own, or one after the other where they cannot be.
"""

from __future__ import annotations

from typing import Any

import torch

from .call import Call, solved_of
from .lanes import Lanes, lanes_of, padded, solved_together, tell_one_by_one
from .outputs import Outputs, outputs_of
from .transforms import aside, is_wrapped


def solve_outputs(call: Call, y0: torch.Tensor, *leaves: torch.Tensor) -> Outputs:
    """Solve with its own derivative; `leaves` are parameters and constants."""
    tensors = (y0, *leaves, *call.own_times)
    call.transformed = any(map(is_wrapped, tensors))
    return Outputs.of(SolveFunction.apply(call, *tensors))


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
    """``(call, y0, *leaves) -> Outputs.given`` of a call, or of lanes."""

    @staticmethod
    def forward(
        call: Call | Lanes, y0: torch.Tensor, *leaves: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Solve and record."""

        def run() -> tuple[torch.Tensor, ...]:
            with torch.no_grad():
                return call.run(y0, *leaves).given

        return aside(run) if call.transformed else run()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
        """Keep what the reverse pass reads."""
        call, *tensors = inputs
        ctx.call = call
        ctx.save_for_backward(*tensors)
        ctx.mark_non_differentiable(*output[call.outputs :])

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[Any, ...]:
        """Cotangents of start value and parameters."""
        tensors = ctx.saved_tensors
        found = _PullBack.apply(ctx.call, *cotangents[: ctx.call.outputs], *tensors)
        if isinstance(ctx.call, Lanes):
            found = ctx.call.summed(found)
        return (None, *found, *(None for _ in tensors[len(found) :]))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """Refuse forward mode."""
        raise NotImplementedError(
            "this adjoint is for reverse mode; pass adjoint='forward' for forward mode"
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Any, Any]:
        """All lanes together, or one after the other where they cannot be."""
        call, *tensors = inputs
        tensors = _lanes_first(tensors, in_dims[1:])
        shared = tuple(dim is None for dim in in_dims[1:])
        if isinstance(call, Lanes) or solved_together(call):
            together = lanes_of(call, info.batch_size, shared)
            try:
                found = SolveFunction.apply(together, *together.entered(call, tensors, shared))
            except (RuntimeError, TypeError, ValueError) as error:
                if isinstance(call, Lanes):
                    raise
                tell_one_by_one(call, error)
            else:
                call.lanes = [together]
                return together.left(call, found), (0, 0, 0, 0)
        call.lanes = [call.again() for _ in range(info.batch_size)]
        found = [
            SolveFunction.apply(lane, *_lane(tensors, shared, i))
            for i, lane in enumerate(call.lanes)
        ]
        *others, steps = zip(*found, strict=True)
        stacked = tuple(torch.stack(x) for x in others)
        return (*stacked, padded(steps)), (0,) * (1 + len(stacked))


class _PullBack(torch.autograd.Function):
    """``(call, *cotangents, y0, *leaves) -> (dy0, *dparams)``."""

    @staticmethod
    def forward(call: Call | Lanes, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The reverse pass."""

        def run() -> tuple[torch.Tensor, ...]:
            with torch.no_grad():
                return call.pull(*tensors)

        return aside(run) if call.transformed else run()

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
        """As the solve did it; cotangent by cotangent where the solve itself has no lanes."""
        call, *tensors = inputs
        tensors = _lanes_first(tensors, in_dims[1:])
        shared = tuple(dim is None for dim in in_dims[1:])
        lanes = not all(shared[call.outputs :])
        if lanes and isinstance(call.lanes[0], Lanes):
            (together,) = call.lanes
            found = _PullBack.apply(
                together, *together.entered(call, tensors, shared, cotangents=2)
            )
            return together.left(call, found), (0,) * len(found)
        found = [
            _PullBack.apply(call.lanes[i] if lanes else call, *_lane(tensors, shared, i))
            for i in range(info.batch_size)
        ]
        stacked = tuple(torch.stack(x) for x in zip(*found, strict=True))
        return stacked, (0,) * len(stacked)


def _lanes_first(tensors: list[torch.Tensor], dims: tuple[Any, ...]) -> list[torch.Tensor]:
    """The tensors with the axis of lanes, where they have one, in front."""
    pairs = zip(tensors, dims, strict=True)
    return [x if dim is None else x.movedim(dim, 0) for x, dim in pairs]


def _lane(tensors: list[torch.Tensor], shared: tuple[bool, ...], i: int) -> list[torch.Tensor]:
    return [x if same else x[i] for x, same in zip(tensors, shared, strict=True)]
