"""Control flow that stays cheap under ``vmap``.

Under ``vmap`` JAX turns a ``while_loop`` whose lanes stop at different times into one loop that
selects, at every turn, between the old and the new value of *everything* it carries; a buffer
of ``max_steps`` rows is copied at every step. It turns a ``cond`` whose lanes disagree into
both branches. What stands here takes other forms there, those of :mod:`.lanes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .lanes import Active, Turn, Write, choose_in_lanes, loop_in_lanes, read_in_lanes
from .one_kernel import one_kernel
from .own_rules import with_rules
from .storage import (
    gather,
    pack_by_type,
    read,
    spare_row,
    unpack_by_type,
    write,
)

Tree = Any


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
    lanes = partial(loop_in_lanes, active, turn)
    return with_rules(one_kernel(run), one_by_one, lanes)(state, buffers, operands)


def while_active(
    active: Active, turn: Callable[[Tree, Tree], Tree], state: Tree, operands: Tree
) -> Tree:
    """Repeat ``turn(state, operands)`` while `active`; nothing is written besides the state."""

    def run(state: Tree, operands: Tree) -> Tree:
        return lax.while_loop(lambda c: active(c, operands), lambda c: turn(c, operands), state)

    def lanes(count: int, batched: Any, state: Tree, operands: Tree) -> Tree:
        bare = lambda state, operands: (turn(state, operands), ())  # noqa: E731
        batched = (batched[0], (), batched[1])
        return loop_in_lanes(active, bare, count, batched, state, (), operands)[0]

    return with_rules(run, run, lanes)(state, operands)


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


def apart(
    alone: Callable[..., Tree], in_lanes: Callable[..., Tree], buffers: Tree, *operands: Tree
) -> Tree:
    """``alone(rows_at, *operands)``, and under ``vmap`` ``in_lanes`` instead, which gives the same.

    ``rows_at(indices)`` are rows of the `buffers`, which are read where they are.
    """

    def run(function: Callable[..., Tree], buffers: Tree, *operands: Tree) -> Tree:
        return function(partial(gather, buffers), *operands)

    whole = one_kernel(partial(run, alone))
    lanes = partial(read_in_lanes, in_lanes)
    return with_rules(whole, partial(run, alone), lanes)(buffers, *operands)


def cond_any(
    predicate: jax.Array,
    if_true: Callable[..., Tree],
    if_false: Callable[..., Tree],
    *operands: Tree,
) -> Tree:
    """``lax.cond``, which under ``vmap`` skips `if_true` where no lane needs it."""

    def choose(predicate: jax.Array, *operands: Tree) -> Tree:
        return lax.cond(predicate, if_true, if_false, *operands)

    lanes = partial(choose_in_lanes, if_true, if_false)
    return with_rules(choose, choose, lanes)(predicate, *operands)


def _is_small(tree: Tree) -> bool:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree)) <= 64
