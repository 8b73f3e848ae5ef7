"""States of several tensors: how tuples, lists and dicts of them lie in one flat state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from ..state_layout import Layout
from .inputs import checked_state, held

Tree = Any


class TorchLayout(Layout):
    """A tuple, list or dict of tensors, nested or not."""

    an_array = "a tensor"

    def _split(self, flat: torch.Tensor, sizes: list[int]) -> Sequence[torch.Tensor]:
        return torch.split(flat, sizes, dim=-1)

    def _joined(self, leaves: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(leaves)

    def _stacked(self, found: Any, like: torch.Tensor) -> Any:
        return stacked(found, like)

    def _is_one(self, value: Any) -> bool:
        return not isinstance(value, tuple | list | dict)

    def _held(self, argument: str, part: Any, like: torch.Tensor) -> torch.Tensor:
        return held(argument, part, like)

    def _spread(self, part: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return part.expand(shape)


def stacked(found: Any, like: torch.Tensor) -> Any:
    """A tensor of lists and tuples of numbers and tensors, as SciPy's users return them."""
    if isinstance(found, list | tuple):
        return torch.stack([stacked(x, like) for x in found])
    if isinstance(found, int | float):
        return torch.full((), found, dtype=like.dtype, device=like.device)
    return found


def flat_state(y0: Tree) -> tuple[torch.Tensor, Layout | None]:
    """The start value as one tensor, and its layout where it is a structure of tensors."""
    leaves, structure = pytree.tree_flatten_with_path(y0)
    if not _is_structure(y0, [leaf for _, leaf in leaves]):
        start, layout = checked_state(y0), None
    else:
        names = tuple(pytree.keystr(path) for path, _ in leaves)
        tensors = _alike(names, [leaf for _, leaf in leaves])
        layout = TorchLayout(structure, names, tuple(tuple(x.shape) for x in tensors))
        start = torch.cat([x.reshape(-1) for x in tensors]) if tensors else torch.zeros(0)
    if not start.numel():
        raise ValueError(f"y0 has shape {tuple(start.shape)}, no elements")
    return start, layout


def _is_structure(y0: Tree, leaves: list[Any]) -> bool:
    """Whether `y0` is a structure of tensors: a list of plain numbers is an array."""
    if isinstance(y0, tuple | list):
        return any(isinstance(x, torch.Tensor | np.ndarray) for x in leaves)
    return isinstance(y0, dict)


def _alike(names: tuple[str, ...], leaves: list[Any]) -> list[torch.Tensor]:
    """The leaves as tensors of one dtype on one device."""
    floats = (x for x in leaves if isinstance(x, torch.Tensor) and x.is_floating_point())
    like = next(floats, None)
    tensors = [checked_state(x, f"y0{n}", like) for n, x in zip(names, leaves, strict=True)]
    for name, x in zip(names, tensors, strict=True):
        if (x.dtype, x.device) != (tensors[0].dtype, tensors[0].device):
            raise ValueError(
                f"y0{name} has {x.dtype} on {x.device}, y0{names[0]} {tensors[0].dtype} on "
                f"{tensors[0].device}; pass one dtype and one device"
            )
    return tensors
