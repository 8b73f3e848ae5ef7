"""Tensors inside PyTorch's function transforms, as ``torch.func.grad`` and ``vmap``.

A transform wraps the tensors that it works on. PyTorch has no public way to tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue]
from torch.autograd import forward_ad


def is_wrapped(tensor: torch.Tensor) -> bool:
    """Whether a transform has wrapped the tensor."""
    return _functorch.is_functorch_wrapped_tensor(tensor)


def unwrapped(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor inside all wrappers."""
    while is_wrapped(tensor):
        tensor = _functorch.get_unwrapped(tensor)
    return tensor


def is_batched(tensor: torch.Tensor) -> bool:
    """Whether the tensor has a number of its own for each lane of some ``vmap``."""
    return any(_functorch.is_batchedtensor(level) for level in _levels(tensor))


def is_differentiated(tensor: torch.Tensor) -> bool:
    """Whether a transform that takes derivatives may have wrapped the tensor."""
    wrappers = (level for level in _levels(tensor) if is_wrapped(level))
    return any(not _functorch.is_batchedtensor(level) for level in wrappers)


def by_lane(tensor: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    """The plain tensor inside all wrappers, and which of its axes are those of lanes."""
    places = [
        _functorch.maybe_get_bdim(level)
        for level in _levels(tensor)
        if _functorch.is_batchedtensor(level)
    ]
    plain = unwrapped(tensor)
    axes = list(range(plain.ndim))
    return plain, [axes.pop(place) for place in reversed(places)]


def hides_numbers(tensor: torch.Tensor) -> bool:
    """Whether it stands for several cotangents of ``is_grads_batched``, by an older ``vmap``."""
    return _functorch.is_legacy_batchedtensor(tensor)


def carries_derivative(tensor: torch.Tensor) -> bool:
    """Whether somebody asks for a derivative that the tensor takes part in."""
    levels = list(_levels(tensor))
    if any(level.requires_grad for level in levels):
        return True
    # A tensor of vmap's cannot be asked for a tangent, only what is inside.
    inside = next(level for level in levels if not _functorch.is_batchedtensor(level))
    return forward_ad.unpack_dual(inside).tangent is not None


def _levels(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The tensor, and what is in its wrappers."""
    yield tensor
    while is_wrapped(tensor):
        tensor = _functorch.get_unwrapped(tensor)
        yield tensor


def aside(run: Callable[[], Any]) -> Any:
    """What `run` returns, from a thread of its own.

    While PyTorch runs an autograd function under a transform, it has put the transform aside, and
    further ones inside the function get into each other's way. A new thread has none to put aside.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(run).result()
