"""Derivatives of functions of one tensor, as PyTorch's function transforms take them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

Function = Callable[[torch.Tensor], torch.Tensor]

with warnings.catch_warnings():
    # At its first use forward mode imports decompositions that PyTorch itself still scripts.
    warnings.simplefilter("ignore", DeprecationWarning)
    torch.func.jvp(torch.sin, (torch.ones(1),), (torch.ones(1),))


def vjp(function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of `function`, and what pulls a cotangent of it back to `primals`."""
    value, pull = torch.func.vjp(function, *primals)[:2]
    return value, pull


def jvp(function: Function, x: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """The derivative of `function` at `x` in one direction, by forward mode."""
    value = torch.func.jvp(function, (x,), (direction,))[1]
    assert isinstance(value, torch.Tensor)
    return value


def jacobian_of(function: Function, y: torch.Tensor) -> torch.Tensor:
    """The Jacobian by forward mode, on flattened arguments and values: shape ``(n, n)``."""
    n = y.numel()

    def column(direction: torch.Tensor) -> torch.Tensor:
        return jvp(function, y, direction.reshape(y.shape)).reshape(-1)

    return torch.func.vmap(column, out_dims=1)(torch.eye(n, dtype=y.dtype, device=y.device))
