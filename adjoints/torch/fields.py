"""From what a user passes to what a solve reads: parameters as tuples of tensors, and modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree

from .state import Tensors

Tree = Any


@dataclass(frozen=True)
class Split:
    """How the leaves of a tree of parameters divide into differentiable ones and others."""

    structure: Any
    smooth: tuple[bool, ...]

    def __call__(self, params: Tensors, constants: Tensors) -> Tree:
        """The tree again, from its two kinds of leaves."""
        parts = {True: iter(params), False: iter(constants)}
        return pytree.tree_unflatten([next(parts[kind]) for kind in self.smooth], self.structure)


def split_params(params: Tree, like: torch.Tensor) -> tuple[Tensors, Tensors, Split]:
    """Floating leaves, other leaves, and how to put them together again."""
    if params is None:
        return (), (), Split(pytree.tree_structure(()), ())
    leaves, structure = pytree.tree_flatten(params)
    leaves = [x if isinstance(x, torch.Tensor) else _tensor(x, like) for x in leaves]
    kinds = tuple(x.is_floating_point() for x in leaves)
    smooth = tuple(x for x, kind in zip(leaves, kinds, strict=True) if kind)
    others = tuple(x for x, kind in zip(leaves, kinds, strict=True) if not kind)
    return smooth, others, Split(structure, kinds)


def _tensor(value: Any, like: torch.Tensor) -> torch.Tensor:
    found = torch.as_tensor(value, device=like.device)
    return found.to(like.dtype) if found.is_floating_point() else found


@dataclass(frozen=True)
class Field:
    """A right-hand side ``rhs(t, y, p)`` as the loop calls it, on both kinds of parameters."""

    rhs: Callable[..., Any]
    merge: Callable[..., Tree]

    def __call__(
        self, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """``dy/dt``."""
        return self.rhs(t, y, self.merge(*params))


@dataclass(frozen=True)
class Jump:
    """A user's jumps as the loop calls them."""

    jump: Callable[..., Any]
    merge: Callable[..., Tree]

    def __call__(
        self, number: int, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """The state just after jump `number`."""
        return self.jump(number, t, y, self.merge(*params))


@dataclass(frozen=True)
class ModuleField:
    """A module ``module(t, y)`` as a right-hand side; its parameters are those of the solve."""

    module: torch.nn.Module

    def __call__(self, t: torch.Tensor, y: torch.Tensor, params: dict[str, Any]) -> Any:
        """``dy/dt``."""
        return torch.func.functional_call(self.module, params, (t, y))


def named_tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """All parameters and buffers of a module by their names."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


@dataclass(frozen=True)
class Names:
    """Parameters and constants of a problem by their names, from tuples in this order."""

    params: tuple[str, ...]
    constants: tuple[str, ...]

    def __call__(self, params: Tensors, constants: Tensors) -> dict[str, torch.Tensor]:
        """One dict of both."""
        known = zip((*self.params, *self.constants), (*params, *constants), strict=True)
        return dict(known)
