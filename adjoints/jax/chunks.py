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

from ..runge_kutta import combine, stiffness_pair
from .integrate import clipper, time_limits
from .local import (
    Local,
    Sources,
    add_dense_stages,
    local_cotangent,
    local_outputs,
    step_again,
)
from .state import Config, Operands, Row
from .stepping import Step

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
    states = jax.vmap(lambda row, k: _stage_states(a, row, k))(rows, stages)
    times = jax.vmap(lambda row: _stage_times(config, row, len(stages), ops))(rows)
    jacobians = _jacobians(config, times, states, ops)
    h = rows.h[:, None, None]
    tangents = _stage_tangents(a, h, jacobians)
    squares = jnp.eye(n, dtype=w.dtype) + h * combine(b, tangents)
    entering, own_stages = _entering(config, rows, index, stages, tangents, ops, sources)
    w, ahead = _recur(squares, entering, w.reshape(n))
    cotangents = _stage_cotangents(a, b, h[..., 0], jacobians, ahead, own_stages)

    def slopes(params: Tree) -> jax.Array:
        both = (params, ops.constants)
        return jax.vmap(jax.vmap(lambda t, y: config.rhs(t, y, both)))(times, states)

    _, vjp = jax.vjp(slopes, ops.params)
    (dp,) = vjp(jnp.stack(cotangents, axis=1).reshape(states.shape))
    return w.reshape(shape), jax.tree.map(jnp.add, dparams, dp)


def _all_stages(config: Config, row: Row, ops: Operands, sources: Sources) -> list[jax.Array]:
    """As many stages as the local outputs need."""
    step = step_again(config, row, row.y, ops.params, ops)
    if sources.dense_y is not None:
        return add_dense_stages(config, row, row.y, step, ops).stages
    return step.stages if sources.any else step.stages[: config.tableau.steps]


def _stage_states(a: np.ndarray, row: Row, stages: list[jax.Array]) -> jax.Array:
    """The states at which the stages of a step were taken, stacked."""
    states = [row.y]
    states += [row.y + row.h * combine(a[i], stages[:i]) for i in range(1, len(stages))]
    return jnp.stack(states)


def _stage_times(config: Config, row: Row, count: int, ops: Operands) -> jax.Array:
    clip = clipper(time_limits(config, row.stop, ops))
    c = jnp.asarray(config.tableau.c[:count], row.t.dtype)
    return clip(row.t + c * row.h)


def _jacobians(
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
        tangents.append(jacobians[i] + _product(jacobians[i], inner))
    return tangents


def _product(left: jax.Array, right: jax.Array) -> jax.Array:
    """Products of small matrices, as arithmetic that fuses rather than calls to a library."""
    return jnp.sum(left[..., :, :, None] * right[..., None, :, :], axis=-2)


def _entering(
    config: Config,
    rows: Row,
    index: jax.Array,
    stages: list[jax.Array],
    tangents: list[jax.Array],
    ops: Operands,
    sources: Sources,
) -> tuple[jax.Array | None, list[jax.Array] | None]:
    """Cotangents of the states and of the stages that enter at the steps."""
    if not sources.any:
        return None, None
    own, local = jax.vmap(local_cotangent, in_axes=(0, 0, None))(rows, index, sources)

    def pull(row: Row, stages: list[jax.Array], local: Local) -> tuple[jax.Array, list[jax.Array]]:
        def outputs(y: jax.Array, stages: list[jax.Array]) -> Local:
            y1 = y + row.h * combine(config.tableau.b, stages)
            pair = stiffness_pair(config.tableau, stages, y, y1, row.h)
            step = Step(y1, stages, stages[-1], pair, None, None)
            return local_outputs(config, row, y, step, ops, sources)

        _, vjp = jax.vjp(outputs, row.y, stages)
        return vjp(local)

    direct, by_stage = jax.vmap(pull)(rows, stages, local)
    steps = index.shape[0]
    entering = direct.reshape(steps, -1)
    if own is not None:
        entering = entering + own.reshape(steps, -1)
    flat = [u.reshape(steps, -1) for u in by_stage]
    for u, tangent in zip(flat, tangents, strict=True):
        entering = entering + _row_product(u, tangent)
    return entering, flat


def _row_product(row: jax.Array, square: jax.Array) -> jax.Array:
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
        through[i] = _row_product(cotangents[i], jacobians[i])
    return cotangents


def _recur(
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
