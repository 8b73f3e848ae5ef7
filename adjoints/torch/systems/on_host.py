"""Factors and solutions that NumPy's side finds, as PyTorch and its transforms see them.

Matrices carry no derivative; right-hand sides do. Under ``vmap`` the matrices of all lanes are
factorised one after the other, and right-hand sides of one matrix are solved for together.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch

from ..transforms import carries_derivative, is_wrapped


class HostSystem(Protocol):
    """What factorises one matrix and solves with it, on arrays of NumPy."""

    def factorize_on_host(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Whatever solves with the matrix, as arrays."""
        ...

    def solve_on_host(
        self, values: np.ndarray, number: np.ndarray, right: np.ndarray, *, transposed: bool
    ) -> np.ndarray:
        """The solutions for right-hand sides in the last axis."""
        ...


def factorized(system: HostSystem, matrix: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What the system makes of a matrix."""
    if is_wrapped(matrix):
        return _Factorized.apply(system, matrix)
    return _Factorized.forward(system, matrix)


def solved(
    system: HostSystem,
    matrix: torch.Tensor,
    pivots: torch.Tensor,
    right: torch.Tensor,
    *,
    transposed: bool,
) -> torch.Tensor:
    """The solution for a flat right-hand side, differentiable by that as often as one likes."""
    given = (system, transposed, matrix, pivots, right)
    # To go through autograd's function takes five times as long as a small system.
    if any(map(is_wrapped, given[2:])) or carries_derivative(right):
        return _Solved.apply(*given)
    return _Solved.forward(*given)


class _Factorized(torch.autograd.Function):
    """``(system, matrix) -> arrays``, of which none is differentiated."""

    @staticmethod
    def forward(system: HostSystem, matrix: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values = matrix.detach().numpy()
        if values.ndim == 1:
            return tuple(map(torch.from_numpy, system.factorize_on_host(values)))
        lanes = [_Factorized.forward(system, lane) for lane in matrix]
        return tuple(torch.stack(found) for found in zip(*lanes, strict=True))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: tuple[torch.Tensor, ...]) -> None:
        ctx.mark_non_differentiable(*output)

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[None, None]:
        return None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> None:
        return None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> Any:
        system, matrix = inputs
        found = _Factorized.apply(system, matrix.movedim(in_dims[1], 0))
        return found, (0,) * len(found)


class _Solved(torch.autograd.Function):
    """``(system, transposed, matrix, pivots, right) -> solution``; all with lanes in front."""

    @staticmethod
    def forward(
        system: HostSystem,
        transposed: bool,
        matrix: torch.Tensor,
        pivots: torch.Tensor,
        right: torch.Tensor,
    ) -> torch.Tensor:
        values, numbers, vectors = (x.detach().numpy() for x in (matrix, pivots, right))
        if numbers.ndim == 1:
            found = system.solve_on_host(values, numbers, vectors, transposed=transposed)
            return torch.from_numpy(found)
        found, lanes = np.empty_like(vectors), vectors.shape[:-1]
        values, numbers = (np.broadcast_to(x, (*lanes, x.shape[-1])) for x in (values, numbers))
        for lane in np.ndindex(lanes):
            own = (values[lane], numbers[lane], vectors[lane])
            found[lane] = system.solve_on_host(*own, transposed=transposed)
        return torch.from_numpy(found)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.system, ctx.transposed, matrix, pivots, _ = inputs
        ctx.save_for_backward(matrix, pivots)
        ctx.save_for_forward(matrix, pivots)

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[Any, ...]:
        matrix, pivots = ctx.saved_tensors
        dright = _Solved.apply(ctx.system, not ctx.transposed, matrix, pivots, cotangents[0])
        return None, None, None, None, dright

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> torch.Tensor:
        matrix, pivots = ctx.saved_tensors
        return _Solved.apply(ctx.system, ctx.transposed, matrix, pivots, tangents[-1])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> Any:
        system, transposed, *matrices, right = inputs
        lanes = info.batch_size
        if in_dims[-1] is None:
            right = right.expand(lanes, *right.shape)
        else:
            right = right.movedim(in_dims[-1], 0)
        if in_dims[2] is not None:
            # Axes of lanes that the right-hand side alone has come behind these.
            matrices = [x.movedim(dim, 0) for x, dim in zip(matrices, in_dims[2:4], strict=True)]
            inner = (1,) * (right.ndim - matrices[0].ndim)
            matrices = [x.reshape(lanes, *inner, *x.shape[1:]) for x in matrices]
        return _Solved.apply(system, transposed, *matrices, right), 0
