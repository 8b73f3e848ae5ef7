"""States of several arrays: how pytrees of them lie in one flat state."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..arguments import REAL_DTYPES
from ..state_layout import Layout
from .inputs import checked_state

Tree = Any


_LEAF = jax.tree.structure(0)


class JaxLayout(Layout):
    """A pytree of arrays of JAX."""

    def _split(self, flat: jax.Array, sizes: list[int]) -> list[jax.Array]:
        return jnp.split(flat, np.cumsum(sizes)[:-1], axis=-1)

    def _joined(self, leaves: list[jax.Array]) -> jax.Array:
        return jnp.concatenate(leaves)

    def _stacked(self, found: Any, like: jax.Array) -> Any:
        return stacked(found, like)

    def _is_one(self, value: Any) -> bool:
        return jax.tree.structure(value) == _LEAF

    def _held(self, argument: str, part: Any, like: jax.Array) -> jax.Array:
        return jnp.asarray(part)

    def _spread(self, part: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        return jnp.broadcast_to(part, shape)


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
    layout = JaxLayout(structure, names, tuple(array.shape for array in arrays))
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
