"""Tensors inside PyTorch's function transforms, as ``torch.func.grad`` and ``vmap``.

A transform wraps the tensors that it works on. PyTorch has no public way to tell.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]


def is_wrapped(tensor: torch.Tensor) -> bool:
    """Whether a transform has wrapped the tensor."""
    return _functorch.is_functorch_wrapped_tensor(tensor)


def unwrapped(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor inside all wrappers."""
    while is_wrapped(tensor):
        tensor = _functorch.get_unwrapped(tensor)
    return tensor


def aside(run: Callable[[], Any]) -> Any:
    """What `run` returns, from a thread of its own.

    While PyTorch runs an autograd function under a transform, it has put the transform aside, and
    further ones inside the function get into each other's way. A new thread has none to put aside.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(run).result()
