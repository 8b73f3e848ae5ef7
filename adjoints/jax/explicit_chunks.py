"""The discrete adjoint of a chunk of explicit steps at once, for small states.

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

from ..steps.acceptance import Step
from ..steps.runge_kutta import combine, stiffness_pair
from .chunks import (
    add_trees,
    entering_cotangents,
    product,
    pull_parameters,
    recur,
    row_product,
    stage_jacobians,
    stage_times,
)
from .config import Config
from .sources import Sources
from .stage_loops import column, combined, in_turn, put, square_rows
from .state import Operands, Row

Tree = Any


def sweep_explicit_chunk(
    config: Config,
    rows: Row,
    index: jax.Array,
    ops: Operands,
    w: jax.Array,
    dparams: Tree,
    sources: Sources,
) -> tuple[jax.Array, Tree]:
    """A chunk of steps backwards; arguments and values as of ``Solver.sweep_chunk``."""
    shape, n = w.shape, w.size
    count = _stages_needed(config, sources)
    a = config.tableau.a[:count, :count]
    b = np.append(config.tableau.b, np.zeros(count))[:count]
    times = jax.vmap(lambda row: stage_times(config, row, count, ops), out_axes=1)(rows)
    states, stages = _take_again(config, rows, times, ops)
    squares = stage_jacobians(config, times, states, ops)
    h = rows.h[:, None, None]
    tangents = _stage_tangents(a, h, squares)
    whole = jnp.asarray(np.eye(n, dtype=w.dtype)[None]) + h * combined(b, tangents)
    entering, own_stages, dp_own = entering_cotangents(
        config, rows, index, list(stages), tangents, ops, sources, _step_of_stages
    )
    w, ahead = recur(whole, entering, w.reshape(n))
    cotangents = _stage_cotangents(a, b, h[..., 0], squares, ahead, own_stages)

    def slope(params: Tree, at: tuple[jax.Array, jax.Array]) -> jax.Array:
        return config.rhs(*at, (params, ops.constants))

    dp = pull_parameters(slope, (times, states), ops.params, cotangents.reshape(states.shape))
    return w.reshape(shape), add_trees(dparams, dp, dp_own)


def _stages_needed(config: Config, sources: Sources) -> int:
    """How many stages the outputs of the steps need."""
    tab = config.tableau
    if sources.dense_y is not None:
        return tab.stages
    return tab.steps + 1 if sources.any else tab.steps


def _take_again(
    config: Config, rows: Row, times: jax.Array, ops: Operands
) -> tuple[jax.Array, jax.Array]:
    """The states of the stages of all steps, and the stages, one after the other."""
    both, count, y = (ops.params, ops.constants), len(times), rows.y
    weights = square_rows(config.tableau.a, count, y.dtype)
    h = rows.h.reshape(-1, *(1,) * (y.ndim - 1))

    def stage(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        at, stages = carry
        state = y + h * combined(weights[i], stages)
        slope = jax.vmap(lambda t, y: config.rhs(t, y, both))(times[i], state)
        return put(at, state, i), put(stages, slope, i)

    none = jnp.zeros((count, *y.shape), y.dtype)
    return in_turn(count, stage, (none, none))


def _stage_tangents(a: np.ndarray, h: jax.Array, jacobians: jax.Array) -> jax.Array:
    """The derivatives ``T_i`` of the stages by the state at the start of the step."""
    count = len(jacobians)
    weights = square_rows(a, count, h.dtype)

    def stage(i: jax.Array, tangents: jax.Array) -> jax.Array:
        inner = h * combined(weights[i], tangents)
        return put(tangents, jacobians[i] + product(jacobians[i], inner), i)

    return in_turn(count, stage, jnp.zeros_like(jacobians))


def _stage_cotangents(
    a: np.ndarray,
    b: np.ndarray,
    h: jax.Array,
    jacobians: jax.Array,
    ahead: jax.Array,
    own: list[jax.Array] | None,
) -> jax.Array:
    """The cotangents ``u_i`` of the stages, from the last to the first."""
    count = len(jacobians)
    weights = square_rows(a, count, h.dtype).T
    entering = column(b, ahead[None]) * (h * ahead)[None]
    if own is not None:
        entering = entering + jnp.stack(own)

    def stage(turn: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        cotangents, through = carry
        i = count - 1 - turn
        total = entering[i] + h * combined(weights[i], through)
        return put(cotangents, total, i), put(through, row_product(total, jacobians[i]), i)

    none = jnp.zeros_like(entering)
    return in_turn(count, stage, (none, none))[0]


def _step_of_stages(
    config: Config, row: Row, y: jax.Array, stages: list[jax.Array], params: Tree, ops: Operands
) -> Step:
    """The recorded step, from its stages."""
    tab = config.tableau
    y1 = y + row.h * combine(tab.b, stages)
    return Step(y1, stages, stages[-1], stiffness_pair(tab, stages, y, y1, row.h))
