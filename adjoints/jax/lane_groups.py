"""Lanes taken in groups: what a group of them works on stays in the processor's cache.

Loops of thousands of lanes at once go through memory at every operation, and all of them turn until
the last lane is done. A group ends with its own last lane.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Tree = Any

#: Lanes of a group at most (kernels of more are made for several threads, and take twice as long on
#: one), and bytes of what is carried for them: a step makes several times as much.
MOST_LANES, GROUP_BYTES = 128, 1 << 16

#: Fewer lanes would not fill a kernel.
FEWEST_LANES = 64


def group_size(lanes: int, given: Tree) -> int:
    """How many of the lanes are a group, all but equal ones; all of them but on a CPU.

    Parameters
    ----------
    lanes : int
    given : pytree
        Arrays with a leading axis of lanes.
    """
    if jax.default_backend() != "cpu":
        return lanes
    numbers = sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(given))
    most = min(MOST_LANES, max(FEWEST_LANES, GROUP_BYTES * lanes // max(numbers, 1)))
    return -(-lanes // max(1, -(-lanes // most)))


def for_groups(
    lanes: int, size: int, body: Callable[[Tree, jax.Array], Tree], carried: Tree
) -> Tree:
    """`carried` by ``body(carried, first)`` over groups of so many lanes, each from its first one.

    The last group reaches back to be as large: lanes of two groups are to come to the same in both.
    """

    def turn(carry: Tree) -> Tree:
        first, carried = carry
        return first + size, body(carried, jnp.minimum(first, lanes - size))

    return lax.while_loop(lambda carry: carry[0] < lanes, turn, (jnp.int32(0), carried))[1]


def of_group(lanes: Tree, first: jax.Array | int, size: int) -> Tree:
    """The lanes of a group."""
    return jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, first, size), lanes)


def into_group(lanes: Tree, group: Tree, first: jax.Array) -> Tree:
    """`lanes` with those of a group in their places."""
    return jax.tree.map(lambda x, y: lax.dynamic_update_slice_in_dim(x, y, first, 0), lanes, group)
