"""From what a user passes to what a compiled solve reads: fields, jumps and stops."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from .. import stops

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
        """``dy/dt``."""
        return self.rhs(t, y, self.merge(*params))


@dataclass(frozen=True)
class Jump:
    """A problem's jumps as the loop calls them: by the number of the stop, which is traced.

    ``numbers`` gives, for each stop, the number of the jump there, or -1. The user's function
    gets that number as a Python integer.
    """

    jump: Callable[..., Any]
    numbers: tuple[int, ...]
    merge: Callable[..., Tree]

    def __call__(
        self, stop: jax.Array, t: jax.Array, y: jax.Array, params: tuple[Tree, Tree]
    ) -> jax.Array:
        """The state just after stop number `stop`."""

        def branch(number: int) -> Callable[..., jax.Array]:
            def after(t: jax.Array, y: jax.Array, params: tuple[Tree, Tree]) -> jax.Array:
                return y if number < 0 else self.jump(number, t, y, self.merge(*params))

            return after

        return lax.switch(stop, [branch(number) for number in self.numbers], t, y, params)


def stops_between(
    discontinuities: Iterable[float], jump_times: Iterable[float], t0: Any, end: Any
) -> stops.Stops:
    """The stops of a solve from `t0` to `end`; those outside are left out.

    A jump at `end` belongs to the solve, one at `t0` does too and is the caller's to apply.
    While `end` is traced, everything is taken to lie before it.
    """
    known_end = np.inf if isinstance(end, Tracer) else float(end)
    start = -np.inf if isinstance(t0, Tracer) else float(t0)
    return stops.stops_between(discontinuities, jump_times, start, known_end)
