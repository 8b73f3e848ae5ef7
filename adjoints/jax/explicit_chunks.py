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

from collections.abc import Sequence
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
    recur,
    row_product,
    stage_jacobians,
    stage_states,
    stage_times,
)
from .config import Config
from .recorded_step import add_dense_stages, step_again
from .sources import Sources
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
        config, rows, index, stages, tangents, ops, sources, _step_of_stages
    )
    w, ahead = recur(whole, entering, w.reshape(n))
    cotangents = _stage_cotangents(a, b, h[..., 0], squares, ahead, own_stages)

    def slopes(params: Tree) -> jax.Array:
        both = (params, ops.constants)
        return jax.vmap(jax.vmap(lambda t, y: config.rhs(t, y, both)))(times, states)

    _, vjp = jax.vjp(slopes, ops.params)
    (dp,) = vjp(jnp.stack(cotangents, axis=1).reshape(states.shape))
    return w.reshape(shape), add_trees(dparams, dp, dp_own)


def _all_stages(config: Config, row: Row, ops: Operands, sources: Sources) -> Sequence[jax.Array]:
    """As many stages as the outputs of the step need."""
    step = step_again(config, row, row.y, ops.params, ops)
    if sources.dense_y is not None:
        return add_dense_stages(config, row, row.y, step, ops).stages
    return step.stages if sources.any else step.stages[: config.tableau.steps]


def _stage_tangents(a: np.ndarray, h: jax.Array, jacobians: list[jax.Array]) -> list[jax.Array]:
    """The derivatives ``T_i`` of the stages by the state at the start of the step."""
    tangents = [jacobians[0]]
    for i in range(1, len(jacobians)):
        inner = h * combine(a[i], tangents)
        tangents.append(jacobians[i] + product(jacobians[i], inner))
    return tangents


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


def _step_of_stages(
    config: Config, row: Row, y: jax.Array, stages: list[jax.Array], params: Tree, ops: Operands
) -> Step:
    """The recorded step, from its stages."""
    tab = config.tableau
    y1 = y + row.h * combine(tab.b, stages)
    return Step(y1, stages, stages[-1], stiffness_pair(tab, stages, y, y1, row.h))
