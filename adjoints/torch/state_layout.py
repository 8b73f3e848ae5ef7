"""States of several tensors: how tuples, lists and dicts of them lie in one flat state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from .inputs import checked_state, held

Tree = Any


@dataclass(frozen=True)
class Layout:
    """A structure of tensors, and the tensors' names and shapes in the order of the flat state."""

    structure: pytree.TreeSpec
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def sizes(self) -> list[int]:
        """How many components each tensor has."""
        return [int(np.prod(shape)) for shape in self.shapes]

    def unpacked(self, flat: torch.Tensor) -> Tree:
        """The structure from flat states, whose leading axes stay in front."""
        parts = torch.split(flat, self.sizes, dim=-1)
        leaves = [
            part.reshape((*flat.shape[:-1], *shape))
            for part, shape in zip(parts, self.shapes, strict=True)
        ]
        return pytree.tree_unflatten(leaves, self.structure)

    def packed(self, name: str, found: Tree, like: torch.Tensor) -> torch.Tensor:
        """One flat tensor of what the function called `name` returned."""
        leaves = []
        for leaf, value, shape in zip(
            self.names, self._leaves(name, found), self.shapes, strict=True
        ):
            value = stacked(value, like)
            if not isinstance(value, torch.Tensor):
                raise ValueError(
                    f"{name} returned a {type(value).__name__} for y0{leaf}; it must return a "
                    "tensor"
                )
            if tuple(value.shape) != shape or value.dtype != like.dtype:
                raise ValueError(
                    f"{name} returned shape {tuple(value.shape)} and dtype {value.dtype} for "
                    f"y0{leaf}, which has shape {shape} and dtype {like.dtype}; it must return "
                    "the same"
                )
            leaves.append(value.reshape(-1))
        return torch.cat(leaves)

    def tolerance(self, argument: str, value: Tree, like: torch.Tensor) -> Any:
        """A number as it is; a structure of numbers and tensors as one tensor of all components."""
        if not isinstance(value, tuple | list | dict):
            return value
        leaves = []
        for leaf, part, shape in zip(
            self.names, self._leaves(argument, value), self.shapes, strict=True
        ):
            part = held(argument, part, like)
            if part.ndim and tuple(part.shape) != shape:
                raise ValueError(
                    f"{argument}{leaf} has shape {tuple(part.shape)}; pass one number, or a tensor "
                    f"of the shape of y0{leaf}, {shape}"
                )
            leaves.append(part.expand(shape).reshape(-1))
        return torch.cat(leaves)

    def _leaves(self, name: str, found: Tree) -> list[Any]:
        """The leaves of what must have the structure of the state; lists and tuples are alike."""
        wanted = self.structure.type
        if {type(found), wanted} == {list, tuple} and wanted is not None:
            found = wanted(found)
        try:
            return self.structure.flatten_up_to(found)
        except ValueError as error:
            example = pytree.tree_unflatten(["."] * len(self.names), self.structure)
            shape = str(example).replace("'.'", ".")
            raise ValueError(f"{name} is not of the structure of y0, {shape}: {error}") from None


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
        layout = Layout(structure, names, tuple(tuple(x.shape) for x in tensors))
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
