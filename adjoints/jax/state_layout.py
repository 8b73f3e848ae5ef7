"""States of several arrays: how pytrees of them lie in one flat state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..arguments import REAL_DTYPES
from .inputs import checked_state

Tree = Any


@dataclass(frozen=True)
class Layout:
    """A structure of arrays, and the arrays' names and shapes in the order of the flat state."""

    structure: Any
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    def unpacked(self, flat: jax.Array) -> Tree:
        """The structure from flat states, whose leading axes stay in front."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        parts = jnp.split(flat, ends[:-1], axis=-1)
        leaves = (
            part.reshape((*flat.shape[:-1], *shape))
            for part, shape in zip(parts, self.shapes, strict=True)
        )
        return jax.tree.unflatten(self.structure, leaves)

    def packed(self, name: str, found: Tree, like: jax.Array) -> jax.Array:
        """One flat array of what the function called `name` returned."""
        leaves = []
        for leaf, value, shape in zip(
            self.names, self._leaves(name, found), self.shapes, strict=True
        ):
            value = stacked(value, like)
            if tuple(value.shape) != shape or value.dtype != like.dtype:
                raise ValueError(
                    f"{name} returned shape {tuple(value.shape)} and dtype {value.dtype} for "
                    f"y0{leaf}, which has shape {shape} and dtype {like.dtype}; it must return "
                    "the same"
                )
            leaves.append(value.ravel())
        return jnp.concatenate(leaves)

    def tolerance(self, argument: str, value: Tree) -> Any:
        """One number as it is; a structure of numbers and arrays as one array of all components."""
        if jax.tree.structure(value) == _LEAF:
            return value
        leaves = []
        for leaf, part, shape in zip(
            self.names, self._leaves(argument, value), self.shapes, strict=True
        ):
            part = jnp.asarray(part)
            if part.ndim and part.shape != shape:
                raise ValueError(
                    f"{argument}{leaf} has shape {part.shape}; pass one number, or an array of "
                    f"the shape of y0{leaf}, {shape}"
                )
            leaves.append(jnp.broadcast_to(part, shape).ravel())
        return jnp.concatenate(leaves)

    def _leaves(self, name: str, found: Tree) -> list[Any]:
        """The leaves of what must have the structure of the state; lists and tuples are alike."""
        wanted = jax.tree.unflatten(self.structure, ["."] * len(self.names))
        if {type(found), type(wanted)} == {list, tuple}:
            found = type(wanted)(found)
        try:
            return self.structure.flatten_up_to(found)
        except ValueError as error:
            shape = str(wanted).replace("'.'", ".")
            raise ValueError(f"{name} is not of the structure of y0, {shape}: {error}") from None


_LEAF = jax.tree.structure(0)


def stacked(found: Any, like: jax.Array) -> Any:
    """An array of lists and tuples of numbers and arrays, as SciPy's users return them."""
    if isinstance(found, list | tuple):
        return jnp.stack([stacked(part, like) for part in found])
    if isinstance(found, int | float):
        return jnp.asarray(found, like.dtype)
    return found


def flat_state(y0: Tree) -> tuple[jax.Array, Layout | None]:
    """The start value as one array, and its layout where it is a structure of arrays."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(y0)
    if not _is_structure(y0, [leaf for _, leaf in leaves]):
        return checked_state(y0), None
    if not leaves:
        raise ValueError(f"y0={y0!r} has no elements")
    names = tuple(jax.tree_util.keystr(path) for path, _ in leaves)
    arrays = _alike(names, [leaf for _, leaf in leaves])
    layout = Layout(structure, names, tuple(array.shape for array in arrays))
    return checked_state(jnp.concatenate([array.ravel() for array in arrays])), layout


def _is_structure(y0: Tree, leaves: list[Any]) -> bool:
    """Whether `y0` is a structure of arrays: a list of plain numbers is an array."""
    if isinstance(y0, tuple | list) and not hasattr(y0, "_fields"):
        return any(isinstance(leaf, jax.Array | np.ndarray) for leaf in leaves)
    return y0 is not None and jax.tree.structure(y0) != _LEAF


def _alike(names: tuple[str, ...], leaves: list[Any]) -> list[jax.Array]:
    """The leaves as arrays of one real dtype; plain numbers take that of the others."""
    dtypes = {
        name: jnp.asarray(leaf).dtype
        for name, leaf in zip(names, leaves, strict=True)
        if isinstance(leaf, jax.Array | np.ndarray | complex)
    }
    floats = {name: d for name, d in dtypes.items() if jnp.issubdtype(d, jnp.inexact)}
    dtype = next(iter(floats.values()), jnp.result_type(float))
    for name, found in floats.items():
        if jnp.issubdtype(found, jnp.complexfloating):
            raise ValueError(f"y0{name} has dtype {found}; {REAL_DTYPES}")
        if found != dtype:
            first = next(iter(floats))
            raise ValueError(
                f"y0{name} has dtype {found}, y0{first} {dtype}; pass one dtype for all"
            )
    return [jnp.asarray(leaf, dtype) for leaf in leaves]
