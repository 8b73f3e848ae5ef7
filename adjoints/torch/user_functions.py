"""From what a user passes to what a solve reads: parameters as tuples of tensors, and modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree

from .state import Tensors
from .transforms import carries_derivative, is_wrapped

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
        return stacked(self.rhs(t, y, self.merge(*params)), y)


@dataclass(frozen=True)
class Jump:
    """A user's jumps as the loop calls them."""

    jump: Callable[..., Any]
    merge: Callable[..., Tree]

    def __call__(
        self, number: int, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> torch.Tensor:
        """The state just after jump `number`."""
        return stacked(self.jump(number, t, y, self.merge(*params)), y)


def stacked(found: Any, like: torch.Tensor) -> Any:
    """A tensor of lists and tuples of numbers and tensors, as SciPy's users return them."""
    if isinstance(found, list | tuple):
        return torch.stack([stacked(x, like) for x in found])
    if isinstance(found, int | float):
        return torch.full((), found, dtype=like.dtype, device=like.device)
    return found


@dataclass(frozen=True)
class ModuleField:
    """A module ``module(t, y)`` as a right-hand side; its parameters are those of the solve."""

    module: torch.nn.Module

    def __call__(self, t: torch.Tensor, y: torch.Tensor, params: dict[str, Any]) -> Any:
        """``dy/dt``."""
        return torch.func.functional_call(self.module, params, (t, y))


def named_tensors(module: torch.nn.Module, *, compile: bool) -> dict[str, torch.Tensor]:
    """What a solve has to know of a module, by name: its parameters, and buffers if need be.

    A buffer that nothing differentiates stays in the module, which may change it in place.
    Compiled loops read it from outside, and lanes of ``vmap`` have one each.
    """
    buffers = dict(module.named_buffers())
    told = {
        name: x for name, x in buffers.items() if compile or is_wrapped(x) or carries_derivative(x)
    }
    return {**dict(module.named_parameters()), **told}


@dataclass(frozen=True)
class Names:
    """Parameters and constants of a problem by their names, from tuples in this order."""

    params: tuple[str, ...]
    constants: tuple[str, ...]

    def __call__(self, params: Tensors, constants: Tensors) -> dict[str, torch.Tensor]:
        """One dict of both."""
        known = zip((*self.params, *self.constants), (*params, *constants), strict=True)
        return dict(known)
