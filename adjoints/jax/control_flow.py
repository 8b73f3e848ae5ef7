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
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .one_kernel import one_kernel
from .own_rules import with_rules
from .storage import (
    pack_by_type,
    read,
    spare_row,
    spare_row_lanes,
    unpack_by_type,
    write,
)

Tree = Any
#: ``active(state, operands)``: whether a loop goes on.
Active = Callable[[Tree, Tree], jax.Array]
#: What to write into a buffer, and where.
Write = tuple[jax.Array, Tree]
#: ``turn(state, operands)`` -> state and writes.
Turn = Callable[[Tree, Tree], tuple[Tree, tuple[Write, ...]]]


def while_recording(
    active: Active,
    turn: Turn,
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
    if plain:
        return _run_turn_by_turn(active, turn, state, buffers, operands)

    def run(state: Tree, buffers: tuple[Tree, ...], operands: Tree) -> Tree:
        whole = _run_packed if _is_small(state) else _run_as_is
        return whole(active, turn, state, buffers, operands)

    one_by_one = partial(_run_turn_by_turn, active, turn)
    lanes = partial(_run_lanes, active, turn)
    return with_rules(one_kernel(run), one_by_one, lanes)(state, buffers, operands)


def _run_turn_by_turn(
    active: Active, turn: Turn, state: Tree, buffers: tuple[Tree, ...], operands: Tree
) -> tuple[Tree, tuple[Tree, ...]]:
    def body(carry: Tree) -> Tree:
        current, stored = carry
        following, writes = turn(current, operands)
        return following, _write_all(stored, writes)

    return lax.while_loop(lambda carry: active(carry[0], operands), body, (state, buffers))


def _run_packed(
    active: Active, turn: Turn, state: Tree, buffers: tuple[Tree, ...], operands: Tree
) -> tuple[Tree, tuple[Tree, ...]]:
    """The same with the state in one array for each type: a loop copies fewer arrays."""

    def packed_turn(packed: Tree, operands: Tree) -> Tree:
        following, writes = turn(unpack_by_type(packed, state), operands)
        return pack_by_type(following), writes

    def packed_active(packed: Tree, operands: Tree) -> jax.Array:
        return active(unpack_by_type(packed, state), operands)

    packed = pack_by_type(state)
    packed, buffers = _run_as_is(packed_active, packed_turn, packed, buffers, operands)
    return unpack_by_type(packed, state), buffers


def _run_as_is(
    active: Active, turn: Turn, state: Tree, buffers: tuple[Tree, ...], operands: Tree
) -> tuple[Tree, tuple[Tree, ...]]:
    length = _turns_at_once(buffers)
    if length > 1:
        return _run_many_at_once(active, turn, state, buffers, operands, length)
    return _run_turn_by_turn(active, turn, state, buffers, operands)


def _run_lanes(
    active: Active,
    turn: Turn,
    lanes: int,
    batched: Any,
    state: Tree,
    buffers: tuple[Tree, ...],
    operands: Tree,
) -> Tree:
    """The loop under ``vmap``: until the last lane is done, the others keep what they have."""
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
    return state, buffers


#: XLA's CPU runtime runs the kernels of a loop body one after the other, at a fraction of the
#: overhead, as long as all their buffers are smaller than this many bytes.
SMALL_BUFFER = 512


def _turns_at_once(buffers: tuple[Tree, ...]) -> int:
    """Rows that fit into small buffers; 1 where small buffers would not pay."""
    rows = [sum(leaf[0].nbytes for leaf in jax.tree.leaves(stored)) for stored in buffers]
    if not rows:
        return 1
    length = (SMALL_BUFFER - 1) // max(rows)
    return length if length >= 3 else 1


def _run_many_at_once(
    active: Active,
    turn: Turn,
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

    def turns(carry: Tree) -> Tree:
        current, stored = carry
        indices = tuple(jnp.full(length, at) for at in spare)
        count, current, indices, rows = lax.while_loop(
            lambda c: (c[0] < length) & active(c[1], operands),
            small_turn,
            (jnp.int32(0), current, indices, like),
        )
        stored, _, _ = lax.fori_loop(jnp.int32(0), count, copy, (stored, indices, rows))
        return current, stored

    return lax.while_loop(lambda carry: active(carry[0], operands), turns, (state, buffers))


def _write_all(buffers: tuple[Tree, ...], writes: tuple[Write, ...]) -> Tree:
    return tuple(
        write(stored, index, row) for stored, (index, row) in zip(buffers, writes, strict=True)
    )


def apart(alone: Callable[..., Tree], in_lanes: Callable[..., Tree], *operands: Tree) -> Tree:
    """``alone(*operands)``, and under ``vmap`` ``in_lanes`` instead, which gives the same."""

    def run_lanes(lanes: int, batched: Any, *operands: Tree) -> Tree:
        axes = jax.tree.map(lambda b: 0 if b else None, batched)
        return jax.vmap(in_lanes, in_axes=axes, axis_size=lanes)(*operands)

    return with_rules(one_kernel(alone), alone, run_lanes)(*operands)


def cond_any(
    predicate: jax.Array,
    if_true: Callable[..., Tree],
    if_false: Callable[..., Tree],
    *operands: Tree,
) -> Tree:
    """``lax.cond``, which under ``vmap`` skips `if_true` where no lane needs it."""

    def choose(predicate: jax.Array, *operands: Tree) -> Tree:
        return lax.cond(predicate, if_true, if_false, *operands)

    def choose_lanes(lanes: int, batched: Any, predicate: jax.Array, *operands: Tree) -> Tree:
        axes = jax.tree.map(lambda b: 0 if b else None, batched[1:])
        true, false = (
            jax.vmap(branch, in_axes=axes, axis_size=lanes) for branch in (if_true, if_false)
        )
        if not batched[0]:
            return lax.cond(predicate, true, false, *operands)

        def some(*operands: Tree) -> Tree:
            return _select(predicate, true(*operands), false(*operands))

        return lax.cond(predicate.any(), some, false, *operands)

    return with_rules(choose, choose, choose_lanes)(predicate, *operands)


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


def _is_small(tree: Tree) -> bool:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree)) <= 64
