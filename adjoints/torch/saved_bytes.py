"""Bytes that autograd keeps from a forward pass for the reverse pass."""

from __future__ import annotations

import weakref

import torch

from .transforms import unwrapped


class _Kept:
    """A tensor that a node of the graph keeps; it dies with the node."""

    __slots__ = ("__weakref__", "tensor")

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


class SavedBytes:
    """Counts what is kept for the reverse pass of the computations inside its ``with`` block.

    Every storage counts once and in full, however many nodes or views of the graph keep it. What
    the graph let go again inside the block, as that of a rejected step, does not count. What a
    custom ``torch.autograd.Function`` keeps without ``save_for_backward`` can't be seen.

    Parameters
    ----------
    *inputs : Tensor
        Not counted: they are there anyway.

    Attributes
    ----------
    total : int
        The bytes, after the block.

    Examples
    --------
    >>> x = torch.ones(100, dtype=torch.float64, requires_grad=True)
    >>> with SavedBytes(x) as saved:
    ...     loss = (x * torch.sin(x).exp()).sum()
    >>> saved.total
    800
    """

    def __init__(self, *inputs: torch.Tensor) -> None:
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._pack, lambda kept: kept.tensor)
        self._inputs = {_address(tensor) for tensor in inputs}
        self._kept: weakref.WeakSet[_Kept] = weakref.WeakSet()
        self.total = 0

    def __enter__(self) -> SavedBytes:
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)
        sizes = {_address(k.tensor): k.tensor.untyped_storage().nbytes() for k in self._kept}
        self.total = sum(size for where, size in sizes.items() if where not in self._inputs)

    def _pack(self, tensor: torch.Tensor) -> _Kept:
        # Detached, as a node that kept its own result would keep itself alive.
        kept = _Kept(unwrapped(tensor).detach())
        # Forward mode's zeros have no memory.
        if not kept.tensor._is_zerotensor():
            self._kept.add(kept)
        return kept


def _address(tensor: torch.Tensor) -> tuple[torch.device, int]:
    return tensor.device, tensor.untyped_storage().data_ptr()
