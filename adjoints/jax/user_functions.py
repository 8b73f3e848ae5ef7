"""From what a user passes to what a solve reads: right-hand sides, jumps and stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Tree = Any


@dataclass(frozen=True)
class Split:
    """How the leaves of a tree of parameters divide into differentiable ones and others."""

    structure: Any
    smooth: tuple[bool, ...]

    def __call__(self, smooth: list[jax.Array], constants: list[jax.Array]) -> Tree:
        """The tree again, from its two kinds of leaves."""
        parts = {True: iter(smooth), False: iter(constants)}
        return jax.tree.unflatten(self.structure, [next(parts[kind]) for kind in self.smooth])


def split_params(params: Tree) -> tuple[list[jax.Array], list[jax.Array], Split]:
    """Floating leaves, other leaves, and how to put them together again."""
    leaves, structure = jax.tree.flatten(params)
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    kinds = tuple(bool(jnp.issubdtype(leaf.dtype, jnp.inexact)) for leaf in leaves)
    smooth = [leaf for leaf, kind in zip(leaves, kinds, strict=True) if kind]
    constants = [leaf for leaf, kind in zip(leaves, kinds, strict=True) if not kind]
    return smooth, constants, Split(structure, kinds)


def merge_named(params: dict[str, Any], constants: dict[str, Any]) -> dict[str, Any]:
    """A problem's parameters and constants in one dictionary."""
    return {**params, **constants}


@dataclass(frozen=True)
class Field:
    """A right-hand side ``rhs(t, y, p)`` as the loop calls it, on both kinds of parameters."""

    rhs: Callable[..., Any]
    merge: Callable[..., Tree]

    def __call__(self, t: jax.Array, y: jax.Array, params: tuple[Tree, Tree]) -> jax.Array:
        """``dy/dt``; a list of its components, as users of SciPy write it, is made an array."""
        slope = self.rhs(t, y, self.merge(*params))
        if isinstance(slope, list | tuple):
            return jnp.stack([jnp.asarray(part, y.dtype) for part in slope]).reshape(y.shape)
        return slope


@dataclass(frozen=True)
class Jump:
    """A user's jumps as the loop calls them: by their numbers, which are traced.

    A function that takes the number as an array, ``p["dose"][i]``, is traced once. One that needs
    a Python integer, as for the element of a list, is traced once for each of `count` jumps.
    """

    jump: Callable[..., Any]
    count: int
    merge: Callable[..., Tree]

    def __call__(
        self, which: jax.Array, t: jax.Array, y: jax.Array, params: tuple[Tree, Tree]
    ) -> jax.Array:
        """The state after the jumps `which`, one after the other; -1 is none."""
        for number in which:
            y = lax.cond(number >= 0, self._one, lambda i, t, y, p: y, number, t, y, params)
        return y

    def _one(self, number: jax.Array, t: jax.Array, y: jax.Array, params: Tree) -> jax.Array:
        if self._takes_arrays(number, t, y, params):
            return self._after(number, t, y, params)
        branches = [lambda *at, i=i: self._after(i, *at) for i in range(self.count)]
        return lax.switch(number, branches, t, y, params)

    def _after(self, number: Any, t: jax.Array, y: jax.Array, params: Tree) -> jax.Array:
        return self.jump(number, t, y, self.merge(*params))

    def _takes_arrays(self, *arguments: Any) -> bool:
        try:
            found = jax.eval_shape(self._after, *arguments)
        except Exception:
            # Whatever is wrong besides is raised again by the call with an integer.
            return False
        return (found.shape, found.dtype) == (arguments[2].shape, arguments[2].dtype)
