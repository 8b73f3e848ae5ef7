"""Derivatives of functions of tensors, in two ways with one interface.

By PyTorch's function transforms, many rows at a time: fast, but the function may not look at the
values of its tensors. Or by plain autograd, row by row: whatever autograd itself can
differentiate will do, as Python's conditions on the time, NumPy inside, buffers that change in
place, and a gradient that is taken inside (Hamiltonian and Lagrangian networks).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import forward_ad
from torch.utils import _pytree as pytree

Function = Callable[[torch.Tensor], torch.Tensor]

with warnings.catch_warnings():
    # At its first use forward mode imports decompositions that PyTorch itself still scripts.
    warnings.simplefilter("ignore", DeprecationWarning)
    torch.func.jvp(torch.sin, (torch.ones(1),), (torch.ones(1),))


class Transforms:
    """Derivatives by the transforms of ``torch.func``."""

    #: Whether a function is asked for many rows at once.
    batches = True

    def vjp(self, function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
        """The value of `function`, and what pulls a cotangent of it back to `primals`."""
        return torch.func.vjp(function, *primals)[:2]

    def jvp(self, function: Function, x: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """The derivative of `function` at `x` in one direction, by forward mode."""
        value, slope = torch.func.jvp(function, (x,), (direction,))[:2]
        # In single precision tangents of numbers without axes come out in double.
        return slope.to(value.dtype)

    def jacobian(self, function: Function, y: torch.Tensor) -> torch.Tensor:
        """The Jacobian by forward mode, on flattened arguments and values: shape ``(n, n)``."""
        n = y.numel()

        def column(direction: torch.Tensor) -> torch.Tensor:
            return self.jvp(function, y, direction.reshape(y.shape)).reshape(-1)

        return torch.func.vmap(column, out_dims=1)(torch.eye(n, dtype=y.dtype, device=y.device))

    def products(
        self, function: Function, y: torch.Tensor, directions: torch.Tensor
    ) -> torch.Tensor:
        """The derivatives of `function` at `y` in flat directions, a flat row each.

        By the transpose of reverse mode, which is linear: for tangents of some operations forward
        mode asks Python for shapes, which takes longer than the operations.
        """
        value, pull = self.vjp(function, y)
        _, push = self.vjp(lambda w: pull(w)[0], torch.zeros_like(value))

        def product(direction: torch.Tensor) -> torch.Tensor:
            return push(direction.reshape(y.shape))[0].reshape(-1)

        return torch.func.vmap(product)(directions)

    def rows(
        self, function: Callable[..., Any], *columns: torch.Tensor, chunk: int | None = None
    ) -> Any:
        """`function` of each row of `columns`; `chunk` rows are taken at once at most."""
        return torch.func.vmap(function, chunk_size=chunk)(*columns)


class Plain:
    """Derivatives by autograd itself."""

    batches = False

    def vjp(self, function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
        """The value of `function`, and what pulls a cotangent of it back to `primals`."""
        flat, structure = pytree.tree_flatten(primals)
        # Within another derivative, this one is differentiated itself.
        nested = torch.is_grad_enabled()
        with torch.enable_grad():
            leaves = [_leaf(x, nested=nested) for x in flat]
            value = function(*pytree.tree_unflatten(leaves, structure))

        def pull(cotangent: Any) -> Any:
            outputs, weights = pytree.tree_leaves(value), pytree.tree_leaves(cotangent)
            pairs = [(x, w) for x, w in zip(outputs, weights, strict=True) if x.requires_grad]
            found = [torch.zeros_like(x) for x in flat]
            if pairs and leaves:
                outputs, weights = zip(*pairs, strict=True)
                found = torch.autograd.grad(
                    outputs,
                    leaves,
                    weights,
                    retain_graph=True,
                    create_graph=nested,
                    materialize_grads=True,
                )
            return pytree.tree_unflatten(list(found), structure)

        return value, pull

    def jvp(self, function: Function, x: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """The derivative of `function` at `x` in one direction, by forward mode."""
        # Inside an autograd function forward mode is off: tangents would be lost without a word.
        with forward_ad._set_fwd_grad_enabled(True), forward_ad.dual_level():
            found = forward_ad.unpack_dual(function(forward_ad.make_dual(x, direction)))
            slope = found.tangent
            return torch.zeros_like(found.primal) if slope is None else slope

    def jacobian(self, function: Function, y: torch.Tensor) -> torch.Tensor:
        """The Jacobian, row by row, on flattened arguments and values: shape ``(n, n)``."""
        value, pull = self.vjp(function, y)
        units = torch.eye(value.numel(), dtype=y.dtype, device=y.device)
        return torch.stack([pull(unit.reshape(value.shape))[0].reshape(-1) for unit in units])

    def products(
        self, function: Function, y: torch.Tensor, directions: torch.Tensor
    ) -> torch.Tensor:
        """The derivatives of `function` at `y` in flat directions, a flat row each."""
        return torch.stack(
            [self.jvp(function, y, d.reshape(y.shape)).reshape(-1) for d in directions]
        )

    def rows(
        self, function: Callable[..., Any], *columns: torch.Tensor, chunk: int | None = None
    ) -> Any:
        """`function` of each row of `columns`, one after the other."""
        del chunk
        found = [function(*row) for row in zip(*columns, strict=True)]
        return pytree.tree_map(lambda *values: torch.stack(values), *found)


Derivatives = Transforms | Plain
TRANSFORMS, PLAIN = Transforms(), Plain()


def _leaf(x: torch.Tensor, *, nested: bool) -> torch.Tensor:
    """`x` to be differentiated, apart from its own graph if that is not; its tangent stays."""
    if nested and x.requires_grad:
        return x.view_as(x)
    primal, tangent = forward_ad.unpack_dual(x)
    leaf = primal.detach().requires_grad_()
    return leaf if tangent is None else forward_ad.make_dual(leaf, tangent)
