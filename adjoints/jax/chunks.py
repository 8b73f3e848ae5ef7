"""The discrete adjoint of a chunk of steps at once, for small states.

Once a solve is recorded, the stages of all its steps and the Jacobians there are independent of
each other. With ``J_i`` the Jacobian of the right-hand side at stage ``i``, of step size ``h``,

    T_i = J_i (I + h sum_j a_ij T_j),        A = I + h sum_i b_i T_i

are the derivatives of the stages and of the new state by the old state, formed for a whole chunk
at once. What remains sequential is the recurrence ``w <- w A`` over the steps. Then, again for
all steps at once, the cotangents of the stages are

    u_i = h b_i w + h sum_l a_li u_l J_l        (l after i)

and the parameters' cotangent is one vector-Jacobian product of the right-hand side with them.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..steps.runge_kutta import combine
from .recorded_step import (
    Local,
    Sources,
    add_dense_stages,
    local_cotangent,
    local_outputs,
    step_again,
    step_of_stages,
    take_step,
)
from .state import Config, Operands, Row
from .step_loop import time_limits
from .stepping import clipper

Tree = Any


def sweep_chunk(
    config: Config,
    rows: Row,
    index: jax.Array,
    ops: Operands,
    w: jax.Array,
    dparams: Tree,
    sources: Sources,
) -> tuple[jax.Array, Tree]:
    """A chunk of steps backwards.

    Parameters
    ----------
    config : Config
    rows : Row
        The steps, stacked; a step of size zero does nothing.
    index : array
        Their numbers.
    ops : Operands
    w : array
        Cotangent of the state after the last step.
    dparams : pytree
        Cotangent of the parameters so far.
    sources : Sources
        Cotangents that enter at the steps.
    """
    shape, n = w.shape, w.size
    stages = jax.vmap(lambda row: _all_stages(config, row, ops, sources))(rows)
    a = config.tableau.a[: len(stages), : len(stages)]
    b = np.append(config.tableau.b, np.zeros(len(stages)))[: len(stages)]
    states = jax.vmap(lambda row, k: stage_states(a, row, k))(rows, stages)
    times = jax.vmap(lambda row: stage_times(config, row, len(stages), ops))(rows)
    squares = stage_jacobians(config, times, states, ops)
    h = rows.h[:, None, None]
    tangents = _stage_tangents(a, h, squares)
    whole = jnp.eye(n, dtype=w.dtype)[None] + h * combine(b, tangents)
    entering, own_stages, dp_own = entering_cotangents(
        config, rows, index, stages, tangents, ops, sources
    )
    w, ahead = recur(whole, entering, w.reshape(n))
    cotangents = _stage_cotangents(a, b, h[..., 0], squares, ahead, own_stages)

    def slopes(params: Tree) -> jax.Array:
        both = (params, ops.constants)
        return jax.vmap(jax.vmap(lambda t, y: config.rhs(t, y, both)))(times, states)

    _, vjp = jax.vjp(slopes, ops.params)
    (dp,) = vjp(jnp.stack(cotangents, axis=1).reshape(states.shape))
    return w.reshape(shape), add_trees(dparams, dp, dp_own)


def add_trees(*trees: Tree) -> Tree:
    """The sum of trees of the same structure, leaving out those that are ``None``."""
    return jax.tree.map(
        lambda *leaves: sum(leaves[1:], leaves[0]), *(t for t in trees if t is not None)
    )


def sweep_dirk_chunk(
    config: Config,
    rows: Row,
    index: jax.Array,
    ops: Operands,
    w: jax.Array,
    dparams: Tree,
    sources: Sources,
) -> tuple[jax.Array, Tree]:
    """A chunk of diagonally implicit steps backwards, as :func:`sweep_chunk`.

    The derivative ``A`` of a step is formed as a whole: the vector-Jacobian products of the step
    with the unit vectors.
    """
    shape, n = w.shape, w.size
    own, local = jax.vmap(local_cotangent, in_axes=(0, 0, None))(rows, index, sources)

    def steps(ys: jax.Array, params: Tree) -> tuple[jax.Array, Local]:
        return jax.vmap(lambda row, y: take_step(config, row, y, params, ops, sources))(rows, ys)

    (y1, _), vjp = jax.vjp(steps, rows.y, ops.params)
    nothing = jax.tree.map(jnp.zeros_like, local)

    def row_of_square(unit: jax.Array) -> jax.Array:
        return vjp((jnp.broadcast_to(unit.reshape(shape), y1.shape), nothing))[0].reshape(-1, n)

    squares = jax.vmap(row_of_square, out_axes=1)(jnp.eye(n, dtype=w.dtype))
    entering = None
    if sources.any:
        entering = vjp((jnp.zeros_like(y1), local))[0].reshape(-1, n)
        entering = entering if own is None else entering + own.reshape(-1, n)
    w, ahead = recur(squares, entering, w.reshape(n))
    _, dp = vjp((ahead.reshape(y1.shape), local))
    return w.reshape(shape), add_trees(dparams, dp)


def _all_stages(config: Config, row: Row, ops: Operands, sources: Sources) -> list[jax.Array]:
    """As many stages as the local outputs need."""
    step = step_again(config, row, row.y, ops.params, ops)
    if sources.dense_y is not None:
        return add_dense_stages(config, row, row.y, step, ops).stages
    return step.stages if sources.any else step.stages[: config.tableau.steps]


def stage_states(a: np.ndarray, row: Row, stages: list[jax.Array]) -> jax.Array:
    """The states at which the stages of a step were taken, stacked."""
    states = [row.y]
    states += [row.y + row.h * combine(a[i], stages[:i]) for i in range(1, len(stages))]
    return jnp.stack(states)


def stage_times(config: Config, row: Row, count: int, ops: Operands) -> jax.Array:
    """The times at which the first `count` stages of a step were taken."""
    clip = clipper(time_limits(config, row.stop, ops))
    c = jnp.asarray(config.tableau.c[:count], row.t.dtype)
    return clip(row.t + c * row.h)


def stage_jacobians(
    config: Config, times: jax.Array, states: jax.Array, ops: Operands
) -> list[jax.Array]:
    """The Jacobian at each stage, for all steps: arrays of shape ``(steps, n, n)``."""
    shape = states.shape[2:]
    both = (ops.params, ops.constants)

    def slope(y: jax.Array, t: jax.Array) -> jax.Array:
        return config.rhs(t, y.reshape(shape), both).ravel()

    flat = states.reshape(*states.shape[:2], -1)
    square = jax.vmap(jax.vmap(jax.jacfwd(slope)))(flat, times)
    return [square[:, i] for i in range(states.shape[1])]


def _stage_tangents(a: np.ndarray, h: jax.Array, jacobians: list[jax.Array]) -> list[jax.Array]:
    """The derivatives ``T_i`` of the stages by the state at the start of the step."""
    tangents = [jacobians[0]]
    for i in range(1, len(jacobians)):
        inner = h * combine(a[i], tangents)
        tangents.append(jacobians[i] + product(jacobians[i], inner))
    return tangents


def product(left: jax.Array, right: jax.Array) -> jax.Array:
    """Products of small matrices, as arithmetic that fuses rather than calls to a library."""
    return jnp.sum(left[..., :, :, None] * right[..., None, :, :], axis=-2)


def entering_cotangents(
    config: Config,
    rows: Row,
    index: jax.Array,
    stages: list[jax.Array],
    tangents: list[jax.Array],
    ops: Operands,
    sources: Sources,
) -> tuple[jax.Array | None, list[jax.Array] | None, Tree]:
    """Cotangents of the states, of the stages and of the parameters that enter at the steps."""
    if not sources.any:
        return None, None, None
    own, local = jax.vmap(local_cotangent, in_axes=(0, 0, None))(rows, index, sources)

    def outputs(y: jax.Array, stages: list[jax.Array], params: Tree) -> Local:
        def one(row: Row, y: jax.Array, stages: list[jax.Array]) -> Local:
            step = step_of_stages(config, row, y, stages, params, ops)
            return local_outputs(config, row, y, step, ops, sources)

        return jax.vmap(one)(rows, y, stages)

    _, vjp = jax.vjp(outputs, rows.y, stages, ops.params)
    direct, by_stage, dp = vjp(local)
    steps = index.shape[0]
    entering = direct.reshape(steps, -1)
    if own is not None:
        entering = entering + own.reshape(steps, -1)
    flat = [u.reshape(steps, -1) for u in by_stage]
    for u, tangent in zip(flat, tangents, strict=True):
        entering = entering + row_product(u, tangent)
    return entering, flat, dp


def row_product(row: jax.Array, square: jax.Array) -> jax.Array:
    """Products of rows with small matrices, as arithmetic that fuses."""
    return jnp.sum(row[..., :, None] * square, axis=-2)


def _stage_cotangents(
    a: np.ndarray,
    b: np.ndarray,
    h: jax.Array,
    jacobians: list[jax.Array],
    ahead: jax.Array,
    own: list[jax.Array] | None,
) -> list[jax.Array]:
    """The cotangents ``u_i`` of the stages, from the last to the first."""
    count = len(jacobians)
    through: list[jax.Array] = [jnp.zeros_like(ahead)] * count
    cotangents = list(through)
    for i in reversed(range(count)):
        total = (
            float(b[i]) * ahead + combine(a[i + 1 :, i], through[i + 1 :])
            if i + 1 < count
            else (float(b[i]) * ahead)
        )
        total = h * total
        cotangents[i] = total if own is None else total + own[i]
        through[i] = row_product(cotangents[i], jacobians[i])
    return cotangents


def recur(
    squares: jax.Array, entering: jax.Array | None, w: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """``w <- w squares[j] + entering[j]`` from the last ``j`` to the first.

    Returns
    -------
    w : array, shape (n,)
    ahead : array, shape (steps, n)
        What ``w`` was before each turn.
    """
    length, n = squares.shape[:2]

    def back(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        w, ahead = carry
        j = length - 1 - i
        ahead = lax.dynamic_update_index_in_dim(ahead, w, j, 0)
        w = jnp.sum(w[:, None] * squares[j], axis=0)
        return w if entering is None else w + entering[j], ahead

    return lax.fori_loop(
        jnp.int32(0), jnp.int32(length), back, (w, jnp.zeros((length, n), w.dtype))
    )
