"""The derivatives of a solve by its times: those of the flow at its start and at its saves.

A solve itself holds its times fixed. A start value that belongs to another start time is moved
along the solution, and so is a saved state:

    dy0/dt0 = -f(t0, y0),        dy(t)/dt = f(t, y(t)),

and with a mass matrix by what solves for the slope.

Both are written as functions whose value is the state and whose derivative this is. The slope is
taken at the function's own value, so that derivatives of any order are right. Of a gradient by
something else, though, JAX forgets that a time moves it: that is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from .config import Config
from .mass import slope_by_state
from .sides import beside, clipper, time_limits
from .state import Operands

Tree = Any


@jax.custom_jvp
def _moved_once(t: jax.Array) -> jax.Array:
    """`t`, where a derivative of it was forgotten."""
    return t


@partial(_moved_once.defjvp, symbolic_zeros=True)
def _(primals: Any, tangents: Any) -> Any:
    if not _is_zero(tangents[0]):
        raise NotImplementedError(
            "a gradient by y0, params or t0 cannot be differentiated again by another of t0 and "
            "save_at: JAX would leave that derivative out. Hold these times, or take "
            "jax.jacfwd(jax.jacfwd(loss)) with adjoint='forward', which is right for mixed ones"
        )
    return primals[0], tangents[0]


def _held(slope: Callable[..., Tree], t: jax.Array, y: Tree, params: Tree, rest: Tree) -> Tree:
    del slope, rest
    # What is mapped over lanes in the derivative must be so in the value too, or JAX loses count
    # of the lanes: a choice that is never taken, which the compiler removes.
    leaves = [leaf for leaf in jax.tree.leaves((_moved_once(t), y, params)) if leaf.size]

    def hold(leaf: jax.Array) -> jax.Array:
        other = jnp.zeros((), leaf.dtype)
        for one in leaves:
            other = lax.select(jnp.bool_(False), jnp.ravel(one)[0].astype(leaf.dtype), other)
        never = jnp.zeros(leaf.shape, bool)
        return lax.select(never, jnp.broadcast_to(other, leaf.shape), leaf)

    return jax.tree.map(hold, y)


#: `y`, with the derivative ``slope(t, y, params, rest)`` by `t`; what `slope` reads besides is its
#: `rest`, as JAX would lose what it closes over. The first skips what is known to be
#: zero, and so costs nothing where no time is differentiated; the second is for derivatives of
#: derivatives, in which JAX loses track of such zeros.
_along = jax.custom_jvp(_held, nondiff_argnums=(0,))
_along_again = jax.custom_jvp(_held, nondiff_argnums=(0,))


def _along_rule(slope: Callable[..., Tree], primals: Any, tangents: Any) -> Any:
    t, y, params, rest = primals
    dt, *others, _ = tangents
    out = _along_again(slope, t, y, params, rest)
    dout = jax.tree.map(jnp.zeros_like, out)
    if not all(map(_is_zero, jax.tree.leaves(others, is_leaf=_is_zero))):
        # A derivative moves along too: by the slope's own derivative.
        dy, dparams = map(_filled, others)
        pair = _along_again(partial(_with_tangent, slope), t, (y, dy), (params, dparams), rest)
        dout = pair[1]
    if not _is_zero(dt):
        dout = jax.tree.map(lambda d, f: d + _times(dt, f), dout, slope(t, out, params, rest))
    return out, dout


_along.defjvp(_along_rule, symbolic_zeros=True)
_along_again.defjvp(_along_rule)


def _with_tangent(
    slope: Callable[..., Tree], t: jax.Array, y: Tree, params: Tree, rest: Tree
) -> Tree:
    """The slopes of a state and of a derivative of it, each with its parameters."""
    primals, tangents = zip(y, params, strict=True)
    return jax.jvp(lambda y, p: slope(t, y, p, rest), primals, tangents)


def _times(dt: jax.Array, slopes: jax.Array) -> jax.Array:
    """The product, for one time or for one time a row."""
    return jnp.reshape(dt, jnp.shape(dt) + (1,) * (slopes.ndim - jnp.ndim(dt))) * slopes


def _is_zero(leaf: Any) -> bool:
    return isinstance(leaf, SymbolicZero)


def _filled(tangents: Tree) -> Tree:
    """Tangents as arrays, those that are known to be zero too."""
    return jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype) if _is_zero(leaf) else leaf,
        tangents,
        is_leaf=_is_zero,
    )


def start_by_time(config: Config, t0: jax.Array, y0: jax.Array, ops: Operands) -> jax.Array:
    """`y0`, whose derivative by `t0` is that of the state at the held time ``ops.t0``."""

    def slope(t: jax.Array, y: jax.Array, params: Tree, rest: Operands) -> jax.Array:
        clip = clipper(time_limits(config, rest.stops.first, rest))
        return -slope_by_state(config, t, y, (params, rest.constants), clip)

    return _along(slope, t0, y0, ops.params, ops._replace(params=None))


def saves_by_time(
    config: Config, save_at: jax.Array, ys: jax.Array, ops: Operands, *, before: bool = False
) -> jax.Array:
    """The saved states, with their derivatives by the save times: at a stop, on one side of it."""

    def slopes(t: jax.Array, y: jax.Array, params: Tree, rest: Operands) -> jax.Array:
        t = _beside_stops(t, rest, -jnp.inf if before else jnp.inf) if config.breaks else t
        both = (params, rest.constants)
        found = jax.vmap(lambda t, y: slope_by_state(config, t, y, both))(t, y)
        if config.events is None:
            return found
        # Behind a terminal event nothing moves.
        moves = (t <= rest.stops.end).reshape(-1, *(1,) * (found.ndim - 1))
        return jnp.where(moves, found, 0.0)

    return _along(slopes, save_at, ys, ops.params, ops._replace(params=None))


def _beside_stops(times: jax.Array, ops: Operands, towards: float) -> jax.Array:
    """The times, those of stops with two sides just beside them; by derivative what they are."""
    stops, held = ops.stops, lax.stop_gradient(times)
    at_stop = ((held[:, None] == stops.times[None]) & stops.sided[None]).any(axis=1)
    moved = jnp.where(at_stop, beside(held, jnp.full_like(held, towards)), held)
    return moved + (times - held)
