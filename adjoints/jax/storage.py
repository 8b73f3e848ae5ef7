"""Storage of rows that a loop writes, and trees packed into one flat array: a row, or a state."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .native.unfilled import unfilled

Tree = Any


def buffer(rows: int, row: Tree, *, filled: bool = True) -> Tree:
    """Storage for `rows` rows like `row`, and one spare that takes unwanted writes.

    It holds zeros, or where it need not be `filled` whatever it comes with: rows that are never
    written must not be read then.
    """
    make = jnp.zeros if filled else unfilled
    return jax.tree.map(lambda leaf: make((rows + 1, *leaf.shape), leaf.dtype), row)


def write(buffers: Tree, index: jax.Array, row: Tree) -> Tree:
    """`buffers` with `row` at `index`."""
    return jax.tree.map(
        lambda stored, leaf: lax.dynamic_update_index_in_dim(stored, leaf, index, 0), buffers, row
    )


def read(buffers: Tree, index: jax.Array) -> Tree:
    """The row of `buffers` at `index`."""
    return jax.tree.map(
        lambda stored: lax.dynamic_index_in_dim(stored, index, 0, keepdims=False), buffers
    )


def gather(buffers: Tree, indices: jax.Array) -> Tree:
    """The rows of `buffers` at `indices`."""
    return jax.tree.map(lambda stored: stored[indices], buffers)


def spare_row(buffers: Tree) -> int:
    """The index of the spare row."""
    return jax.tree.leaves(buffers)[0].shape[0] - 1


def spare_row_lanes(buffers: Tree) -> int:
    """The index of the spare row of buffers with a leading axis of lanes."""
    return jax.tree.leaves(buffers)[0].shape[1] - 1


def pack(tree: Tree, dtype: Any) -> jax.Array:
    """All leaves of `tree` in one flat array: one row to write instead of many."""
    return jnp.concatenate([jnp.ravel(leaf).astype(dtype) for leaf in jax.tree.leaves(tree)])


def unpack(flat: jax.Array, like: Tree) -> Tree:
    """The tree that :func:`pack` packed, in the shapes and types of `like`."""
    leaves, structure = jax.tree.flatten(like)
    out, at = [], 0
    for leaf in leaves:
        size = math.prod(leaf.shape)
        out.append(flat[at : at + size].reshape(leaf.shape).astype(leaf.dtype))
        at += size
    return jax.tree.unflatten(structure, out)


def pack_by_type(tree: Tree) -> dict[str, jax.Array]:
    """The leaves of `tree` in one flat array for each dtype."""
    groups: dict[str, list[jax.Array]] = {}
    for leaf in jax.tree.leaves(tree):
        groups.setdefault(str(leaf.dtype), []).append(jnp.ravel(leaf))
    return {name: jnp.concatenate(parts) for name, parts in groups.items()}


def unpack_by_type(packed: dict[str, jax.Array], like: Tree) -> Tree:
    """The tree that :func:`pack_by_type` packed, in the shapes of `like`."""
    leaves, structure = jax.tree.flatten(like)
    at = dict.fromkeys(packed, 0)
    out = []
    for leaf in leaves:
        name, size = str(leaf.dtype), math.prod(leaf.shape)
        out.append(packed[name][at[name] : at[name] + size].reshape(leaf.shape))
        at[name] += size
    return jax.tree.unflatten(structure, out)
