"""A chunk of Rosenbrock steps backwards at once, for small states.

The chunks of :mod:`~adjointbench.adjoints.jax.explicit_chunks`, for steps whose stages solve linear
systems. With ``W = M / gamma - h J``, ``J_i`` the Jacobian at stage ``i`` and ``H_i`` the
derivative of ``J U_i`` by the state (the second-order term of the Jacobian in ``W``), the
stages' derivatives by the old state are

    D_i = W^-1 (J_i (I + h sum_j a_ij D_j) + M sum_j coupling_ij D_j
                + h (H_i + time_weights_i df_t/dy)),        A = I + h sum_i b_i D_i

and the cotangents ``l_i`` of the stages' right-hand sides, from the last stage to the first,

    l_i = (h b_i w + sum_(l>i) (coupling_li l_l M + h a_li l_l J_l)) W^-1

References
----------
H. Zhang, A. Sandu, SIAM J. Sci. Comput. 36 (2014) C504-C523 (discrete adjoints of Rosenbrock
methods, one step at a time).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..steps.acceptance import Step
from ..steps.runge_kutta import combine
from .chunks import (
    add_trees,
    entering_cotangents,
    product,
    pull_parameters,
    recur,
    row_product,
    stage_jacobians,
    stage_times,
    unit_vectors,
)
from .config import Config
from .implicit_steps import implicit_pair
from .linear import inverse_of, jacobian_of, solve_with
from .mass import mass_times, step_matrix
from .rosenbrock_again import rhs_of_row, slope_by_time, take_again
from .sides import clipper, time_limits
from .sources import Sources
from .stage_loops import column, combined, in_turn, put, square_rows
from .state import Operands, Row

Tree = Any


def sweep_rosenbrock_chunk(
    config: Config,
    rows: Row,
    index: jax.Array,
    ops: Operands,
    w: jax.Array,
    dparams: Tree,
    sources: Sources,
) -> tuple[jax.Array, Tree]:
    """A chunk of steps backwards; arguments and values as of ``Solver.sweep_chunk``."""
    tab = config.tableau
    assert tab.time_weights is not None
    shape, n = w.shape, w.size
    times = jax.vmap(lambda row: stage_times(config, row, tab.steps, ops), out_axes=1)(rows)
    inverse = jax.vmap(lambda row: _inverse(config, row, ops))(rows)
    states, directions = _take_again(config, rows, ops, inverse, times)
    squares = stage_jacobians(config, times, states, ops)
    bends = _bend_jacobians(config, rows, directions, ops)
    stages = list(directions)
    h = rows.h[:, None, None]
    tangents = _tangents(config, h, inverse, squares, bends)
    whole = jnp.asarray(np.eye(n, dtype=w.dtype)[None]) + h * combined(tab.b, tangents)
    entering, own, dp_own = entering_cotangents(
        config, rows, index, stages, tangents, ops, sources, step_of_stages
    )
    w, ahead = recur(whole, entering, w.reshape(n))
    right = _right_cotangents(config, h[..., 0], inverse, squares, ahead, own)
    dp = _parameters(config, rows, ops, (times, states, directions), right, h[..., 0])
    return w.reshape(shape), add_trees(dparams, dp, dp_own)


def _parameters(
    config: Config,
    rows: Row,
    ops: Operands,
    at: tuple[jax.Array, jax.Array, jax.Array],
    right: jax.Array,
    h: jax.Array,
) -> Tree:
    """The cotangents of the parameters, from those of the stages' right-hand sides."""
    times, states, directions = at
    here = rows.y.shape

    def rhs(params: Tree, row: Row) -> Callable[[jax.Array, jax.Array], jax.Array]:
        return rhs_of_row(config, row, ops._replace(params=params))

    def slope(params: Tree, at: tuple[Row, jax.Array, jax.Array]) -> jax.Array:
        row, t, y = at
        return rhs(params, row)(t, y)

    def along(params: Tree, at: tuple[Row, jax.Array]) -> jax.Array:
        row, u = at
        return jax.jvp(lambda y: rhs(params, row)(row.t, y), (row.y,), (u,))[1]

    def in_time(params: Tree, row: Row) -> jax.Array:
        return slope_by_time(rhs(params, row), row.t, row.y)

    def pull(values: Any, at: Tree, cotangents: jax.Array) -> Tree:
        return pull_parameters(values, at, ops.params, cotangents.reshape(-1, *here))

    def each(count: int) -> Row:
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), rows)

    # The matrix enters as J U_i and as f_t, once for every stage.
    every = each(len(right))
    by_time = combined(config.tableau.time_weights, right)[None]
    return add_trees(
        pull(slope, (every, times, states), right),
        pull(along, (every, directions), right * h[None]),
        pull(in_time, each(1), by_time * h[None]),
    )


def _inverse(config: Config, row: Row, ops: Operands) -> jax.Array:
    """The inverse of the matrix of a step."""
    rhs = rhs_of_row(config, row, ops)
    jacobian = jacobian_of(lambda y: rhs(row.t, y), row.y)
    return inverse_of(step_matrix(config, config.tableau.gamma, jacobian, row.h))


def _take_again(
    config: Config, rows: Row, ops: Operands, inverse: jax.Array, times: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The states of the stages of all steps, and the stages."""

    def rhs(t: jax.Array, y: jax.Array) -> jax.Array:
        return jax.vmap(lambda row, t, y: rhs_of_row(config, row, ops)(t, y))(rows, t, y)

    def solve(right: jax.Array) -> jax.Array:
        return jax.vmap(lambda inverse, one: solve_with(inverse, one.ravel()))(
            inverse, right
        ).reshape(right.shape)

    def by_time(row: Row) -> jax.Array:
        return slope_by_time(rhs_of_row(config, row, ops), row.t, row.y)

    h = rows.h.reshape(-1, *(1,) * (rows.y.ndim - 1))
    mass = mass_times(config, lead=1)
    return take_again(config.tableau, rhs, solve, times, rows.y, h, jax.vmap(by_time)(rows), mass)


def bends_along(
    config: Config, row: Row, y: jax.Array, directions: jax.Array, params: Tree, ops: Operands
) -> jax.Array:
    """``J(t, y) u`` for each direction ``u``, and last ``f_t(t, y)``."""
    clip = clipper(time_limits(config, row.stop, ops))
    both = (params, ops.constants)

    def slope(t: jax.Array, y: jax.Array) -> jax.Array:
        return config.rhs(clip(t), y, both)

    along = jax.vmap(lambda u: jax.jvp(lambda y: slope(row.t, y), (y,), (u,))[1])(directions)
    in_time = jax.jvp(lambda t: slope(t, y), (row.t,), (jnp.ones_like(row.t),))[1]
    return jnp.concatenate([along, in_time[None]])


def _bend_jacobians(config: Config, rows: Row, directions: jax.Array, ops: Operands) -> jax.Array:
    """The derivatives of :func:`bends_along` by the state: ``(stages + 1, steps, n, n)``."""
    n = rows.y[0].size
    units, _ = unit_vectors(rows.y.reshape(-1, n))

    def one(row: Row, directions: jax.Array) -> jax.Array:
        def here(y: jax.Array) -> jax.Array:
            return bends_along(config, row, y, directions, ops.params, ops).reshape(-1, n)

        along = units.reshape(n, *row.y.shape)
        return jax.vmap(lambda e: jax.jvp(here, (row.y,), (e,))[1], out_axes=-1)(along)

    return jax.vmap(one, in_axes=(0, 1), out_axes=1)(rows, directions)


def _tangents(
    config: Config, h: jax.Array, inverse: jax.Array, squares: jax.Array, bends: jax.Array
) -> jax.Array:
    """The derivatives ``D_i`` of the stages by the state at the start of the step."""
    tab, mass = config.tableau, config.mass
    states = square_rows(tab.a, tab.steps, h.dtype)
    coupling = square_rows(tab.coupling, tab.steps, h.dtype)
    weights = jnp.asarray(tab.time_weights, h.dtype)

    def stage(i: jax.Array, tangents: jax.Array) -> jax.Array:
        right = squares[i] + h * (bends[i] + weights[i] * bends[-1])
        right = right + product(squares[i], h * combined(states[i], tangents))
        coupled = combined(coupling[i], tangents)
        right = right + (
            coupled if mass is None else product(jnp.asarray(mass.matrix, h.dtype)[None], coupled)
        )
        return put(tangents, product(inverse, right), i)

    return in_turn(tab.steps, stage, jnp.zeros_like(squares))


def _right_cotangents(
    config: Config,
    h: jax.Array,
    inverse: jax.Array,
    squares: jax.Array,
    ahead: jax.Array,
    own: list[jax.Array] | None,
) -> jax.Array:
    """The cotangents ``l_i`` of the stages' right-hand sides."""
    tab, mass = config.tableau, mass_times(config, lead=1, transposed=True)
    states = square_rows(tab.a, tab.steps, h.dtype).T
    coupling = square_rows(tab.coupling, tab.steps, h.dtype).T
    entering = column(tab.b[: tab.steps], ahead[None]) * (h * ahead)[None]
    if own is not None:
        entering = entering + jnp.stack(own)

    def stage(turn: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        right, through = carry
        i = tab.steps - 1 - turn
        total = entering[i] + mass(combined(coupling[i], right)) + h * combined(states[i], through)
        solved = row_product(total, inverse)
        return put(right, solved, i), put(through, row_product(solved, squares[i]), i)

    none = jnp.zeros_like(entering)
    return in_turn(tab.steps, stage, (none, none))[0]


def step_of_stages(
    config: Config, row: Row, y: jax.Array, stages: list[jax.Array], params: Tree, ops: Operands
) -> Step:
    """The recorded step, from its stages."""
    tab = config.tableau
    y1 = y + row.h * combine(tab.b, stages)
    clip, both = clipper(time_limits(config, row.stop, ops)), (params, ops.constants)

    def slope(y: jax.Array) -> jax.Array:
        return config.rhs(clip(row.t + row.h), y, both)

    pair = None
    if config.mass is None:
        pair = implicit_pair(tab, slope, stages, y1, row.h)
    return Step(y1, stages, slope(y1), pair)
