"""Functions with rules of their own for ``vmap`` and for forward mode.

What forward mode is taken of first is differentiated in its plain form, whose tangents ``vmap``
then maps while they share one primal: a Hessian is one solve with as many tangents as it has
columns. What ``vmap`` is taken of first becomes its form for lanes, and that is differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.custom_batching import custom_vmap
from jax.custom_derivatives import SymbolicZero

Tree = Any
Function = Callable[..., Tree]
#: ``in_lanes(lanes, batched, *operands)`` -> values, all with a leading axis of lanes.
InLanes = Callable[..., Tree]


def with_rules(alone: Function, plain: Function, in_lanes: InLanes) -> Function:
    """`alone`, that ``vmap`` and forward mode take by other forms of it.

    Parameters
    ----------
    alone : callable
        Of trees of arrays; it must not close over traced values.
    plain : callable
        Gives the same, and can be differentiated in forward mode.
    in_lanes : callable
        Gives the same in lanes, and can be differentiated in forward mode.
    """
    primal = custom_vmap(lambda *operands: alone(*operands))

    @primal.def_vmap
    def _(lanes: int, batched: Any, *operands: Tree) -> tuple[Tree, Tree]:
        out = in_lanes(lanes, tuple(batched), *operands)
        return out, jax.tree.map(lambda _: True, out)

    function = jax.custom_jvp(lambda *operands: primal(*operands))
    function.defjvp(partial(_push_forward, plain, in_lanes), symbolic_zeros=True)
    return function


def _push_forward(
    plain: Function, in_lanes: InLanes, operands: Tree, tangents: Tree
) -> tuple[Tree, Tree]:
    """Values and tangents; operands that are not moved are held."""
    leaves, structure = jax.tree.flatten(operands)
    given = jax.tree.leaves(tangents, is_leaf=_is_zero)
    moving = [i for i, tangent in enumerate(given) if not _is_zero(tangent)]

    def push(function: Function, leaves: list[Any], moved: list[Any]) -> tuple[Tree, list[Any]]:
        def of_moving(*values: Any) -> Tree:
            every = dict(enumerate(leaves)) | dict(zip(moving, values, strict=True))
            return function(*jax.tree.unflatten(structure, every.values()))

        out, dout = jax.jvp(of_moving, tuple(leaves[i] for i in moving), tuple(moved))
        return out, [d for d in jax.tree.leaves(dout) if not _is_zero(d)]

    shared = custom_vmap(partial(push, plain))

    @shared.def_vmap
    def _(lanes: int, batched: Any, leaves: list[Any], moved: list[Any]) -> tuple[Tree, Tree]:
        own, of_tangents = batched
        if not any(own):
            axes = [0 if b else None for b in of_tangents]
            out = jax.vmap(
                partial(push, plain), in_axes=(None, axes), out_axes=(None, 0), axis_size=lanes
            )(leaves, moved)
            return out, (jax.tree.map(lambda _: False, out[0]), [True] * len(out[1]))
        own = [b or i in moving for i, b in enumerate(own)]
        leaves = [_spread(lanes, batched[0][i] or i not in moving, x) for i, x in enumerate(leaves)]
        moved = [_spread(lanes, b, x) for b, x in zip(of_tangents, moved, strict=True)]
        lane_axes = jax.tree.unflatten(structure, own)
        out = push(partial(in_lanes, lanes, lane_axes), leaves, moved)
        return out, jax.tree.map(lambda _: True, out)

    out, pushed = shared(leaves, [given[i] for i in moving])
    following = iter(pushed)
    return out, jax.tree.map(
        lambda leaf: (
            next(following)
            if np.issubdtype(leaf.dtype, np.inexact)
            else np.zeros(leaf.shape, jax.dtypes.float0)
        ),
        out,
    )


def _is_zero(tangent: Any) -> bool:
    float0 = jax.dtypes.float0
    return isinstance(tangent, SymbolicZero) or getattr(tangent, "dtype", None) == float0


def _spread(lanes: int, ready: bool, leaf: jax.Array) -> jax.Array:
    return leaf if ready else jax.numpy.broadcast_to(leaf, (lanes, *leaf.shape))
