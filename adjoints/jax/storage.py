"""Storage of rows that a loop writes, and trees packed into one flat array: a row, or a state."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .native.unfilled import unfilled

Tree = Any


def buffer(rows: int, row: Tree, *, beside: jax.Array | None = None) -> Tree:
    """Storage for `rows` rows like `row`, and one spare that takes unwanted writes.

    It holds zeros, or `beside` an array whatever it comes with, in each lane of that array: rows
    that are never written must not be read then.
    """

    def make(leaf: jax.Array) -> jax.Array:
        shape = (rows + 1, *leaf.shape)
        if beside is None:
            return jnp.zeros(shape, leaf.dtype)
        return unfilled(shape, leaf.dtype, beside)

    return jax.tree.map(make, row)


def write(buffers: Tree, index: jax.Array, row: Tree) -> Tree:
    """`buffers` with `row` at `index`."""
    return jax.tree.map(
        lambda stored, leaf: lax.dynamic_update_index_in_dim(stored, leaf, index, 0), buffers, row
    )


def write_lanes(buffers: Tree, first: jax.Array | int, index: jax.Array, rows: Tree) -> Tree:
    """`buffers` with a leading axis of lanes, with a row for each lane from the `first` on."""
    lanes = first + jnp.arange(index.shape[0], dtype=jnp.int32)
    return jax.tree.map(
        lambda stored, leaf: stored.at[lanes, index].set(
            leaf, indices_are_sorted=True, unique_indices=True, mode="clip"
        ),
        buffers,
        rows,
    )


def read(buffers: Tree, index: jax.Array) -> Tree:
    """The row of `buffers` at `index`."""
    return jax.tree.map(
        lambda stored: lax.dynamic_index_in_dim(stored, index, 0, keepdims=False), buffers
    )


def gather(buffers: Tree, indices: jax.Array) -> Tree:
    """The rows of `buffers` at `indices`."""
    return jax.tree.map(lambda stored: stored[indices], buffers)


def gather_of_lane(buffers: Tree, lane: jax.Array, indices: jax.Array) -> Tree:
    """The rows at `indices` of one lane of buffers with a leading axis of lanes."""

    def rows(stored: jax.Array) -> jax.Array:
        if stored.shape[0] == 0:
            return jnp.zeros((*indices.shape, *stored.shape[2:]), stored.dtype)
        return stored[lane, indices]

    return jax.tree.map(rows, buffers)


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
