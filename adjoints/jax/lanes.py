"""What loops and branches become under ``vmap``.

The lanes share one scalar predicate, a finished lane keeps its small state by a select, and its
writes go to a spare row of the buffer. Loops take the lanes in groups, one after the other, whose
rows stay where they are, in the buffers of all lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .lane_groups import for_groups, group_size, into_group, of_group
from .storage import gather_of_lane, spare_row_lanes, write_lanes

Tree = Any
#: ``active(state, operands)``: whether a loop goes on.
Active = Callable[[Tree, Tree], jax.Array]
#: What to write into a buffer, and where.
Write = tuple[jax.Array, Tree]
#: ``turn(state, operands)`` -> state and writes.
Turn = Callable[[Tree, Tree], tuple[Tree, tuple[Write, ...]]]


class Unselected(NamedTuple):
    """A part of a state that no turn changes in a lane that is done: it needs no select."""

    tree: Tree


def loop_in_lanes(
    active: Active,
    turn: Turn,
    lanes: int,
    batched: Any,
    state: Tree,
    buffers: tuple[Tree, ...],
    operands: Tree,
) -> tuple[Tree, tuple[Tree, ...]]:
    """A loop until the last lane is done; the others keep what they have.

    Parameters
    ----------
    active, turn, state, buffers, operands
        As of :func:`.control_flow.while_recording`.
    lanes : int
    batched : tuple of pytree
        Which leaves of state, buffers and operands have a leading axis of lanes.
    """
    state, buffers = _spread(lanes, tuple(batched[:2]), (state, buffers))
    # Where turns have loops of their own, those take the lanes in groups.
    size = lanes if _is_nested(state) else group_size(lanes, state)
    if size == lanes:
        return _loop_of_group(active, turn, state, buffers, operands, batched[2], 0)

    def run(carry: Tree, first: jax.Array) -> Tree:
        states, buffers = carry
        state, own = of_group(states, first, size), _operands(batched[2], operands, first, size)
        state, buffers = _loop_of_group(active, turn, state, buffers, own, batched[2], first)
        return into_group(states, state, first), buffers

    return for_groups(lanes, size, run, (state, buffers))


def _loop_of_group(
    active: Active,
    turn: Turn,
    state: Tree,
    buffers: tuple[Tree, ...],
    operands: Tree,
    batched: Any,
    first: jax.Array | int,
) -> tuple[Tree, tuple[Tree, ...]]:
    """The loop of a group of lanes, the first of which is `first` in the buffers."""
    put = _write_any if _is_nested(state) else write_lanes
    axes = _axes(batched)
    is_active = jax.vmap(active, in_axes=(0, axes))
    all_turns = jax.vmap(turn, in_axes=(0, axes))

    def body(carry: Tree) -> Tree:
        current, running, stored = carry
        following, writes = all_turns(current, operands)
        following = _select(running, following, current)
        stored = tuple(
            put(b, first, jnp.where(running, index, spare_row_lanes(b)), row)
            for b, (index, row) in zip(stored, writes, strict=True)
        )
        return following, is_active(following, operands), stored

    start = (state, is_active(state, operands), buffers)
    state, _, buffers = lax.while_loop(lambda carry: carry[1].any(), body, start)
    return state, buffers


def _write_any(buffers: Tree, first: jax.Array | int, index: jax.Array, rows: Tree) -> Tree:
    """:func:`write_lanes`, and nothing where no lane has anything to write.

    In a loop of one turn or none: a branch would copy the buffers.
    """
    wanted = (index != spare_row_lanes(buffers)).any()

    def turn(carry: Tree) -> Tree:
        return jnp.bool_(False), write_lanes(carry[1], first, index, rows)

    return lax.while_loop(lambda carry: carry[0], turn, (wanted, buffers))[1]


def read_in_lanes(
    function: Callable[..., Tree], lanes: int, batched: Any, buffers: Tree, *operands: Tree
) -> Tree:
    """``function(rows_at, *operands)`` in every lane, with the rows of the lane.

    Parameters
    ----------
    function, buffers, *operands
        As of :func:`.control_flow.apart`.
    lanes : int
    batched : tuple of pytree
        Which leaves of buffers and operands have a leading axis of lanes.
    """
    flags, buffers = tuple(batched[1:]), _spread(lanes, batched[0], buffers)

    def one(lane: jax.Array, *operands: Tree) -> Tree:
        return function(partial(gather_of_lane, buffers, lane), *operands)

    def group(first: jax.Array | int, size: int) -> Tree:
        numbers = first + jnp.arange(size, dtype=jnp.int32)
        own = operands if size == lanes else _operands(flags, operands, first, size)
        return jax.vmap(one, in_axes=(0, *_axes(flags)))(numbers, *own)

    like = jax.eval_shape(partial(group, size=lanes), 0)
    size = group_size(lanes, like)
    if size == lanes:
        return group(0, lanes)

    def put(found: Tree, first: jax.Array) -> Tree:
        return into_group(found, group(first, size), first)

    empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
    return for_groups(lanes, size, put, empty)


def choose_in_lanes(
    if_true: Callable[..., Tree],
    if_false: Callable[..., Tree],
    lanes: int,
    batched: Any,
    predicate: jax.Array,
    *operands: Tree,
) -> Tree:
    """A branch: `if_true` where any lane needs it, and a select where some do."""
    axes = _axes(batched[1:])
    true, false = (
        jax.vmap(branch, in_axes=axes, axis_size=lanes) for branch in (if_true, if_false)
    )
    if not batched[0]:
        return lax.cond(predicate, true, false, *operands)

    def some(*operands: Tree) -> Tree:
        return _select(predicate, true(*operands), false(*operands))

    return lax.cond(predicate.any(), some, false, *operands)


def _axes(batched: Tree) -> Tree:
    return jax.tree.map(lambda b: 0 if b else None, batched)


def _operands(batched: Tree, operands: Tree, first: jax.Array | int, size: int) -> Tree:
    """Those of a group of lanes."""
    return jax.tree.map(
        lambda b, leaf: of_group(leaf, first, size) if b else leaf, batched, operands
    )


def _spread(lanes: int, batched: Tree, tree: Tree) -> Tree:
    """`tree` with a leading axis of lanes on every leaf."""
    return jax.tree.map(
        lambda b, leaf: leaf if b else jnp.broadcast_to(leaf, (lanes, *jnp.shape(leaf))),
        batched,
        tree,
    )


def _is_nested(state: Tree) -> bool:
    nodes = jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, Unselected))
    return any(isinstance(node, Unselected) for node in nodes)


def _select(lanes: jax.Array, true: Tree, false: Tree) -> Tree:
    """`true` in the lanes that are set, `false` in the others."""

    def one(a: Tree, b: Tree) -> Tree:
        if isinstance(a, Unselected):
            return a
        return jnp.where(jnp.reshape(lanes, lanes.shape + (1,) * (jnp.ndim(a) - 1)), a, b)

    return jax.tree.map(one, true, false, is_leaf=lambda node: isinstance(node, Unselected))
