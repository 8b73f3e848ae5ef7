"""Control flow that stays cheap under ``vmap``.

Under ``vmap`` JAX turns a ``while_loop`` whose lanes stop at different times into one loop that
selects, at every turn, between the old and the new value of *everything* it carries; a buffer
of ``max_steps`` rows is copied at every step. It turns a ``cond`` whose lanes disagree into
both branches. Here the lanes share one scalar predicate instead, a finished lane keeps its
small state by a select, and its writes go to a spare row of the buffer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap

from .kernels import one_kernel

Tree = Any


def buffer(rows: int, row: Tree) -> Tree:
    """Zeroed storage for `rows` rows like `row`, and one spare that takes unwanted writes."""
    return jax.tree.map(lambda leaf: jnp.zeros((rows + 1, *leaf.shape), leaf.dtype), row)


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


def while_recording(
    active: Callable[[Tree, Tree], jax.Array],
    turn: Callable[[Tree, Tree], tuple[Tree, tuple[tuple[jax.Array, Tree], ...]]],
    state: Tree,
    buffers: tuple[Tree, ...],
    operands: Tree,
    *,
    plain: bool = False,
) -> tuple[Tree, tuple[Tree, ...]]:
    """Repeat `turn` while `active`, writing rows into `buffers`.

    Parameters
    ----------
    active : callable
        ``active(state, operands)`` -> bool scalar.
    turn : callable
        ``turn(state, operands)`` -> ``(state, writes)``, with one ``(index, row)`` for each
        buffer; the index :func:`spare_row` means "nothing to write".
    state : pytree
        Small: selected by lane under ``vmap``.
    buffers : tuple of pytree
        Made by :func:`buffer`; never selected.
    operands : pytree
        Everything else that `active` and `turn` read. They must not close over traced values.
    plain : bool
        A ``while_loop`` as it is, that forward mode can differentiate.

    Returns
    -------
    state, buffers : pytree
    """

    def run(state: Tree, buffers: tuple[Tree, ...], operands: Tree) -> Tree:
        if not plain and _is_small(state):
            return run_packed(state, buffers, operands)
        return run_as_is(active, turn, state, buffers, operands)

    def run_packed(state: Tree, buffers: tuple[Tree, ...], operands: Tree) -> Tree:
        def packed_turn(packed: Tree, operands: Tree) -> Tree:
            following, writes = turn(unpack_by_type(packed, state), operands)
            return pack_by_type(following), writes

        def packed_active(packed: Tree, operands: Tree) -> jax.Array:
            return active(unpack_by_type(packed, state), operands)

        packed = pack_by_type(state)
        packed, buffers = run_as_is(packed_active, packed_turn, packed, buffers, operands)
        return unpack_by_type(packed, state), buffers

    def run_as_is(
        active: Callable[..., jax.Array],
        turn: Callable[..., Any],
        state: Tree,
        buffers: tuple[Tree, ...],
        operands: Tree,
    ) -> Tree:
        block = 1 if plain else _block_length(buffers)
        if block > 1:
            return _run_in_blocks(active, turn, state, buffers, operands, block)

        def body(carry: Tree) -> Tree:
            current, stored = carry
            following, writes = turn(current, operands)
            return following, _write_all(stored, writes)

        return lax.while_loop(lambda carry: active(carry[0], operands), body, (state, buffers))

    if plain:
        return run(state, buffers, operands)
    shared = custom_vmap(one_kernel(run))

    @shared.def_vmap
    def run_lanes(
        lanes: int, batched: Any, state: Tree, buffers: tuple[Tree, ...], operands: Tree
    ) -> tuple[Tree, Tree]:
        state, buffers = _spread(lanes, tuple(batched[:2]), (state, buffers))
        axes = jax.tree.map(lambda b: 0 if b else None, batched[2])
        is_active = jax.vmap(active, in_axes=(0, axes))
        all_turns = jax.vmap(turn, in_axes=(0, axes))

        def body(carry: Tree) -> Tree:
            current, running, stored = carry
            following, writes = all_turns(current, operands)
            following = _select(running, following, current)
            stored = tuple(
                jax.vmap(write)(b, jnp.where(running, index, spare_row_lanes(b)), row)
                for b, (index, row) in zip(stored, writes, strict=True)
            )
            return following, is_active(following, operands), stored

        start = (state, is_active(state, operands), buffers)
        state, _, buffers = lax.while_loop(lambda carry: carry[1].any(), body, start)
        out = (state, buffers)
        return out, jax.tree.map(lambda _: True, out)

    return shared(state, buffers, operands)


#: XLA's CPU runtime runs the kernels of a loop body one after the other, at a fraction of the
#: overhead, as long as all their buffers are smaller than this many bytes.
SMALL_BUFFER = 512


def _block_length(buffers: tuple[Tree, ...]) -> int:
    """Rows that fit into small buffers; 1 where blocks would not pay."""
    rows = [sum(leaf[0].nbytes for leaf in jax.tree.leaves(stored)) for stored in buffers]
    if not rows:
        return 1
    length = (SMALL_BUFFER - 1) // max(rows)
    return length if length >= 3 else 1


def _run_in_blocks(
    active: Callable[..., jax.Array],
    turn: Callable[..., Any],
    state: Tree,
    buffers: tuple[Tree, ...],
    operands: Tree,
    length: int,
) -> tuple[Tree, tuple[Tree, ...]]:
    """Some turns at a time write to small buffers, which are then copied to the large ones."""
    spare = tuple(jnp.int32(spare_row(stored)) for stored in buffers)
    like = jax.tree.map(lambda leaf: jnp.zeros((length, *leaf.shape[1:]), leaf.dtype), buffers)

    def small_turn(carry: Tree) -> Tree:
        i, current, indices, rows = carry
        following, writes = turn(current, operands)
        indices = tuple(
            lax.dynamic_update_index_in_dim(at, index.astype(jnp.int32), i, 0)
            for at, (index, _) in zip(indices, writes, strict=True)
        )
        rows = tuple(write(b, i, row) for b, (_, row) in zip(rows, writes, strict=True))
        return i + 1, following, indices, rows

    def copy(i: jax.Array, carry: Tree) -> Tree:
        stored, indices, rows = carry
        writes = tuple((at[i], read(row, i)) for at, row in zip(indices, rows, strict=True))
        return _write_all(stored, writes), indices, rows

    def block(carry: Tree) -> Tree:
        current, stored = carry
        indices = tuple(jnp.full(length, at) for at in spare)
        count, current, indices, rows = lax.while_loop(
            lambda c: (c[0] < length) & active(c[1], operands),
            small_turn,
            (jnp.int32(0), current, indices, like),
        )
        stored, _, _ = lax.fori_loop(jnp.int32(0), count, copy, (stored, indices, rows))
        return current, stored

    return lax.while_loop(lambda carry: active(carry[0], operands), block, (state, buffers))


def _write_all(buffers: tuple[Tree, ...], writes: tuple[tuple[jax.Array, Tree], ...]) -> Tree:
    return tuple(
        write(stored, index, row) for stored, (index, row) in zip(buffers, writes, strict=True)
    )


def spare_row_lanes(buffers: Tree) -> int:
    """The index of the spare row of buffers with a leading axis of lanes."""
    return jax.tree.leaves(buffers)[0].shape[1] - 1


def apart(alone: Callable[..., Tree], in_lanes: Callable[..., Tree], *operands: Tree) -> Tree:
    """``alone(*operands)``, and under ``vmap`` ``in_lanes`` instead, which gives the same."""

    def run(*operands: Tree) -> Tree:
        return alone(*operands)

    shared = custom_vmap(one_kernel(run))

    @shared.def_vmap
    def run_lanes(lanes: int, batched: Any, *operands: Tree) -> tuple[Tree, Tree]:
        axes = jax.tree.map(lambda b: 0 if b else None, tuple(batched))
        out = jax.vmap(in_lanes, in_axes=axes, axis_size=lanes)(*operands)
        return out, jax.tree.map(lambda _: True, out)

    return shared(*operands)


def cond_any(
    predicate: jax.Array,
    if_true: Callable[..., Tree],
    if_false: Callable[..., Tree],
    *operands: Tree,
) -> Tree:
    """``lax.cond``, which under ``vmap`` skips `if_true` where no lane needs it."""

    def choose(predicate: jax.Array, *operands: Tree) -> Tree:
        return lax.cond(predicate, if_true, if_false, *operands)

    shared = custom_vmap(choose)

    @shared.def_vmap
    def choose_lanes(lanes: int, batched: Any, predicate: jax.Array, *operands: Tree) -> Any:
        axes = jax.tree.map(lambda b: 0 if b else None, tuple(batched[1:]))
        if not batched[0]:
            mapped = [
                jax.vmap(branch, in_axes=axes, axis_size=lanes) for branch in (if_true, if_false)
            ]
            out = lax.cond(predicate, *mapped, *operands)
        else:

            def some(*ops: Tree) -> Tree:
                true = jax.vmap(if_true, in_axes=axes, axis_size=lanes)(*ops)
                false = jax.vmap(if_false, in_axes=axes, axis_size=lanes)(*ops)
                return _select(predicate, true, false)

            def none(*ops: Tree) -> Tree:
                return jax.vmap(if_false, in_axes=axes, axis_size=lanes)(*ops)

            out = lax.cond(predicate.any(), some, none, *operands)
        return out, jax.tree.map(lambda _: True, out)

    return shared(predicate, *operands)


def _spread(lanes: int, batched: Tree, tree: Tree) -> Tree:
    """`tree` with a leading axis of lanes on every leaf."""
    return jax.tree.map(
        lambda b, leaf: leaf if b else jnp.broadcast_to(leaf, (lanes, *jnp.shape(leaf))),
        batched,
        tree,
    )


def _select(lanes: jax.Array, true: Tree, false: Tree) -> Tree:
    """`true` in the lanes that are set, `false` in the others."""
    return jax.tree.map(
        lambda a, b: jnp.where(jnp.reshape(lanes, lanes.shape + (1,) * (jnp.ndim(a) - 1)), a, b),
        true,
        false,
    )


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


def _is_small(tree: Tree) -> bool:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree)) <= 64
