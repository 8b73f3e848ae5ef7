"""Functions of JAX or PyTorch, called with NumPy arrays. Each framework is imported when needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def on_jax(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """`function` of JAX, compiled for the arrays that it gets, on the CPU.

    A first argument that is the number of a jump stays the integer that it is.
    """
    import jax

    compiled, numbered = jax.jit(function), jax.jit(function, static_argnums=0)

    def call(*arguments: Any) -> np.ndarray:
        run = numbered if isinstance(arguments[0], int) else compiled
        double = arguments[-2].dtype == np.float64
        with jax.enable_x64(double), jax.default_device(jax.local_devices(backend="cpu")[0]):
            return np.array(run(*arguments))

    return call


def on_torch(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """`function` of PyTorch on the CPU, eagerly."""
    import torch

    def tensors(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: tensors(item) for name, item in value.items()}
        is_array = isinstance(value, np.ndarray | np.generic)
        return torch.tensor(value, device="cpu") if is_array else value

    def call(*arguments: Any) -> np.ndarray:
        return function(*map(tensors, arguments)).numpy(force=True)

    return call


#: How a function of each framework is called with NumPy arrays.
CALLS = {"jax": on_jax, "torch": on_torch}
