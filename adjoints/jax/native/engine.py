"""The discrete adjoint by a native program: its two passes as calls of XLA.

Under ``vmap`` the lanes are one call, and leave their records as they are, memory that is never
touched: the pull-back of a lane solves it again. Forward mode, and with it second derivatives, are
those of the solver that JAX itself compiles, which takes the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...native.loop import NativeLoop
from ...native.operands import Whole
from ...scipy.flat import parts
from ...steps.acceptance import RUNNING, Terms
from .. import discrete
from ..config import WINDOW, Config
from ..outcomes import Outputs, Pulled
from ..state import Operands, State
from .bridge import CALLS, TARGET

Tree = Any


class Found(NamedTuple):
    """What a solve returns: the saves, and what the calls that follow read.

    ``counts`` are status, accepted steps, attempts and whether there is a record; ``steps`` are the
    bytes of pairs of start and size, of which only those that were taken are written; ``record`` is
    empty where none is kept, and not written by one of many lanes.
    """

    ys: jax.Array
    counts: jax.Array
    end: jax.Array
    steps: jax.Array
    record: jax.Array


def record(config: Config, keep_steps: bool, y0: jax.Array, ops: Operands) -> tuple[Outputs, Any]:
    """Solve, and keep what :func:`pull_back` needs."""
    found = _solve(config, True, y0, ops)
    return _outputs(config, found, y0, ops), (found, ops, y0)


def outputs(config: Config, y0: jax.Array, ops: Operands) -> Outputs:
    """Solve, with no pull-back to come."""
    return _outputs(config, _solve(config, False, y0, ops), y0, ops)


def pull_back(
    config: Config,
    kept: Any,
    dys: jax.Array,
    dtotals: Terms,
    dpath: None = None,
    dbefore: None = None,
) -> Pulled:
    """Cotangents of start value and parameters: see :func:`.discrete.pull_back`."""
    del dpath, dbefore
    found, ops, y0 = kept
    cotangents = None
    if any(d is not None for d in dtotals):
        cotangents = jnp.stack([jnp.zeros((), y0.dtype) if d is None else d for d in dtotals])

    def native(given: Tree) -> Tree:
        return _pulled(config, *given)

    def plain(given: Tree) -> Tree:
        _, ops, y0, dys, cotangents = given
        other, ops = _compiled(config, ops)
        _, kept = discrete.record(other, False, y0, ops)
        pulled = discrete.pull_back(other, kept, dys, _terms(cotangents, dtotals))
        return pulled.dy0, pulled.dparams

    call = _with_plain_tangents(native, plain)
    dy0, dparams = call((found, ops, y0, dys, cotangents))
    final = _final(config, found, y0)
    return Pulled(dy0, dparams, config.solver.sweep_counts(final.accepted, final))


def _terms(values: jax.Array | None, like: Terms) -> Terms:
    """Three numbers as the estimates that a method has."""
    if values is None:
        return Terms(None, None, None)
    return Terms(*(None if d is None else values[i] for i, d in enumerate(like)))


def _outputs(config: Config, found: Found, y0: jax.Array, ops: Operands) -> Outputs:
    totals = _estimates(config, found, y0, ops)
    tab = config.tableau
    known = (tab.adaptive, tab.adaptive, config.estimates_stiffness)
    terms = Terms(*(totals[i] if k else None for i, k in enumerate(known)))
    final = _final(config, found, y0)
    return Outputs(found.ys, terms, final, _steps(found, final, y0.dtype), None)


def _steps(found: Found, final: State, dtype: Any) -> jax.Array:
    """The accepted steps, filled up with zeros."""
    written = lax.bitcast_convert_type(found.steps.reshape(-1, 2, jnp.dtype(dtype).itemsize), dtype)
    index = jnp.arange(len(written), dtype=jnp.int32)
    return jnp.where(index[:, None] < final.accepted, written, 0)


def _final(config: Config, found: Found, y0: jax.Array) -> State:
    """The state at the end, of which status, time and counts are known."""
    status, accepted, attempts = (found.counts[i] for i in range(3))
    zero, none = jnp.zeros((), y0.dtype), jnp.int32(0)
    solves = attempts * config.tableau.steps if config.tableau.implicit else none
    return State(
        t=found.end[0],
        y=y0,
        slope=y0,
        h=zero,
        previous_error=zero,
        stop=none,
        saved=none,
        save_row=none,
        accepted=accepted,
        attempts=attempts,
        linear_solves=solves,
        phase=none,
        radius=None,
        status=status,
    )


def _solve(config: Config, keeps: bool, y0: jax.Array, ops: Operands) -> Found:
    def plain(given: Tree) -> Found:
        y0, ops = given
        other, ops = _compiled(config, ops)
        out, _ = discrete.record(other, False, y0, ops)
        final = lax.stop_gradient(out.final)
        counts = jnp.stack([final.status, final.accepted, final.attempts, jnp.int32(0)])
        # Bytes have no tangents, whatever they are.
        room = (jnp.zeros(size, jnp.uint8) for size in _room(config, y0.dtype, keeps=keeps))
        return Found(out.ys, counts, final.t[None], *room)

    def native(given: Tree) -> Found:
        return _solved(config, keeps, *given)

    return _with_plain_tangents(native, plain)((y0, ops))


def _with_plain_tangents(
    native: Callable[[Tree], Tree], plain: Callable[[Tree], Tree]
) -> Callable[[Tree], Tree]:
    """`native`, in forward mode with the tangents of `plain`, which gives the same."""
    function = jax.custom_jvp(native)

    @function.defjvp
    def _(primals: Tree, tangents: Tree) -> tuple[Tree, Tree]:
        return function(*primals), jax.jvp(plain, primals, tangents)[1]

    return function


def _compiled(config: Config, ops: Operands) -> tuple[Config, Operands]:
    """The same solve as JAX compiles it; of its operands the parameters alone move."""
    held = lax.stop_gradient(ops._replace(params=None))
    window = min(config.window, WINDOW)
    return replace(config, native=None, window=window), held._replace(params=ops.params)


def _solved(config: Config, keeps: bool, y0: jax.Array, ops: Operands) -> Found:
    dtype, saves = y0.dtype, ops.save_at.shape[0]
    shapes = (
        ((saves * y0.size,), dtype),
        ((4,), jnp.int32),
        ((1,), dtype),
        *(((size,), jnp.uint8) for size in _room(config, dtype, keeps=keeps)),
    )
    ys, counts, *others = _call(config, "solve", shapes, _operands(config, y0, ops), ops)
    if ops.begins is not None:
        counts = counts.at[0].set(jnp.where(ops.begins == RUNNING, counts[0], ops.begins))
    return Found(ys.reshape(saves, *y0.shape), counts, *others)


def _pulled(
    config: Config,
    found: Found,
    ops: Operands,
    y0: jax.Array,
    dys: jax.Array,
    dtotals: jax.Array | None,
) -> tuple[jax.Array, Tree]:
    loop = _loop(config)
    none = jnp.zeros(0, y0.dtype)
    read = (*_operands(config, y0, ops), *found[1:], dys.ravel())
    read = (*read, none if dtotals is None else dtotals)
    shapes = (((y0.size,), y0.dtype), ((loop.m,), y0.dtype))
    dy0, dp = _call(config, "pull_back", shapes, read, ops)
    leaves, structure = jax.tree.flatten(ops.params)
    dparams = parts(dp, [leaf.shape for leaf in leaves])
    return dy0.reshape(y0.shape), jax.tree.unflatten(structure, dparams)


def _estimates(config: Config, found: Found, y0: jax.Array, ops: Operands) -> jax.Array:
    def native(given: Tree) -> jax.Array:
        found, y0, ops = given
        read = (*_operands(config, y0, ops), *found[1:])
        (totals,) = _call(config, "estimates", (((3,), y0.dtype),), read, ops)
        return totals

    def plain(given: Tree) -> jax.Array:
        _, y0, ops = given
        other, ops = _compiled(config, ops)
        out, _ = discrete.record(other, False, y0, ops)
        zero = jnp.zeros((), y0.dtype)
        return jnp.stack([zero if term is None else term for term in out.totals])

    return _with_plain_tangents(native, plain)((found, y0, ops))


def _operands(config: Config, y0: jax.Array, ops: Operands) -> Sequence[jax.Array]:
    """What every call reads, in the order of ``calls.c``."""
    loop, dtype, stops = _loop(config), y0.dtype, ops.stops
    leaves = [leaf.ravel() for leaf in jax.tree.leaves(ops.params)]
    sizes = (
        jnp.full((), np.nan, dtype) if x is None else x for x in (ops.first_step, ops.max_step)
    )
    given, taken, pieces = (jnp.zeros((0, 2), dtype), jnp.int32(0), jnp.int32(1))
    if ops.steps is not None:
        given, taken, pieces = ops.steps
    sound = jnp.int32(1) if ops.sound is None else ops.sound.astype(jnp.int32)
    return (
        y0.ravel(),
        jnp.concatenate([*leaves, jnp.asarray(loop.data, dtype)]),
        *(jnp.broadcast_to(tol, y0.shape).ravel() for tol in (ops.rtol, ops.atol)),
        jnp.stack([ops.t0, *sizes]),
        ops.save_at,
        stops.times,
        stops.sided.astype(jnp.uint8),
        stops.jumps.astype(jnp.int32).ravel(),
        jnp.stack([stops.first, stops.last, taken, pieces, sound]).astype(jnp.int32),
        given.ravel(),
    )


def _call(
    config: Config, call: str, shapes: Any, operands: Sequence[jax.Array], ops: Operands
) -> Sequence[jax.Array]:
    control = "error" if config.controlled else "given" if config.given_steps else "constant"
    settings = Whole(
        saves=ops.save_at.shape[0],
        jumps_a_stop=ops.stops.jumps.shape[1],
        max_steps=config.max_steps,
        window=config.window,
        control=control,
        absolute=config.error_norm == "absolute",
        reduction=config.reduction,
    )
    types = tuple(jax.ShapeDtypeStruct(*shape) for shape in shapes)
    return jax.ffi.ffi_call(TARGET, types, vmap_method="expand_dims")(
        *operands,
        call=np.int64(CALLS.index(call)),
        program=np.int64(_loop(config).key),
        settings=settings.array,
    )


def _room(config: Config, dtype: Any, *, keeps: bool) -> tuple[int, int]:
    """The bytes of the accepted steps and of the record."""
    steps = 2 * config.max_steps * jnp.dtype(dtype).itemsize
    return steps, _loop(config).record_bytes(config.max_steps, config.window) if keeps else 0


def _loop(config: Config) -> NativeLoop:
    assert config.native is not None
    return config.native
