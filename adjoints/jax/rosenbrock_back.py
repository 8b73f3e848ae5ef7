"""One recorded Rosenbrock step backwards, its stages one after the other in loops.

The stages ``U_i`` of a step over ``h`` solve, with ``J`` the Jacobian at its start,

    (M / gamma - h J) U_i = f(t_i, g_i) + M sum_j c_ij U_j + h d_i f_t,  g_i = y + h sum_j a_ij U_j

Given the cotangents ``v_i`` that enter at the stages, those of the right-hand sides are

    l_i = (M / gamma - h J)^-T (v_i + M^T sum_m c_mi l_m + h sum_m a_mi J(g_m)^T l_m)  (m after i)

and the matrix adds the derivative of ``h sum_i l_i . J U_i``, for all stages at once. As JAX
differentiates a step, its stages are compiled one by one: the program of a large right-hand side
is several times as long then, and slower.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .chunks import stage_times
from .config import Config
from .implicit_steps import frozen_jacobian
from .linear import linear_solver
from .mass import mass_times, step_matrix
from .recorded_step import after_step, step_outputs
from .rosenbrock_again import rhs_of_row, slope_by_time, take_again
from .rosenbrock_chunks import bends_along, step_of_stages
from .sides import clipper, time_limits
from .sources import Sources, StepOutputs
from .stage_loops import combined, in_turn, put, square_rows
from .state import Operands, Row

Tree = Any


class Matrix(NamedTuple):
    """What the stages are solved with, and its transpose; their solutions carry derivatives."""

    solve: Callable[[jax.Array], jax.Array]
    solve_transposed: Callable[[jax.Array], jax.Array]


def pull_rosenbrock_step(
    config: Config,
    row: Row,
    ops: Operands,
    w: jax.Array,
    doutputs: StepOutputs,
    sources: Sources,
) -> tuple[jax.Array, Tree]:
    """One step backwards; arguments and values as of ``Solver.pull_step``."""
    matrix = _matrix(config, row, ops)
    tab, y = config.tableau, row.y
    rhs = rhs_of_row(config, row, ops)
    times = stage_times(config, row, tab.steps, ops)
    in_time = slope_by_time(rhs, row.t, y)
    states, stages = take_again(
        tab, rhs, matrix.solve, times, y, row.h, in_time, mass_times(config)
    )

    def end(y: jax.Array, stages: jax.Array, params: Tree) -> tuple[jax.Array, StepOutputs]:
        own = ops._replace(params=params)
        step = step_of_stages(config, row, y, list(stages), params, ops)
        outputs = step_outputs(config, row, y, step, ops, sources)
        return after_step(config, row, step.y1, own), outputs

    _, vjp = jax.vjp(end, y, stages, ops.params)
    dy, entering, dp = vjp((w, doutputs))
    right, through, dp = _pull_stages(config, row, ops, matrix, (times, states), entering, dp)

    def products(y: jax.Array, params: Tree) -> jax.Array:
        return bends_along(config, row, y, stages, params, ops)

    in_time = combined(tab.time_weights, right)
    _, vjp = jax.vjp(products, y, ops.params)
    dy_matrix, dp_matrix = vjp(row.h * jnp.concatenate([right, in_time[None]]))
    dy = dy + jnp.sum(through, axis=0) + dy_matrix
    return dy, jax.tree.map(jnp.add, dp, dp_matrix)


def _matrix(config: Config, row: Row, ops: Operands) -> Matrix:
    """``M / gamma - h J`` at the start of a step."""
    gamma, h, y = config.tableau.gamma, row.h, row.y
    rhs = rhs_of_row(config, row, ops)
    clip = clipper(time_limits(config, row.stop, ops))
    jacobian = frozen_jacobian(config, clip(row.t), y, (ops.params, ops.constants))
    system = config.system
    factors = system.factorize(step_matrix(config, gamma, jacobian, h))
    mass, mass_back = mass_times(config), mass_times(config, transposed=True)

    def slope(y: jax.Array) -> jax.Array:
        return rhs(row.t, y)

    return Matrix(
        linear_solver(
            lambda u: mass(u) / gamma - h * jax.jvp(slope, (y,), (u,))[1], factors, system.solve
        ),
        linear_solver(
            lambda u: mass_back(u) / gamma - h * jax.vjp(slope, y)[1](u)[0],
            factors,
            system.solve,
            transposed=True,
        ),
    )


def _pull_stages(
    config: Config,
    row: Row,
    ops: Operands,
    matrix: Matrix,
    at: tuple[jax.Array, jax.Array],
    entering: jax.Array,
    dparams: Tree,
) -> tuple[jax.Array, jax.Array, Tree]:
    """The cotangents ``l_i``, ``J(g_i)^T l_i`` for each, and those of the parameters."""
    tab, h, mass = config.tableau, row.h, mass_times(config, transposed=True)
    states = square_rows(tab.a, tab.steps, row.y.dtype).T
    coupling = square_rows(tab.coupling, tab.steps, row.y.dtype).T

    def stage(turn: jax.Array, carry: Tree) -> Tree:
        right, through, dparams = carry
        i = tab.steps - 1 - turn
        total = entering[i] + mass(combined(coupling[i], right)) + h * combined(states[i], through)
        solved = matrix.solve_transposed(total)
        t, y = at[0][i], at[1][i]
        _, vjp = jax.vjp(lambda y, p: config.rhs(t, y, (p, ops.constants)), y, ops.params)
        dy, dp = vjp(solved)
        dparams = jax.tree.map(jnp.add, dparams, dp)
        return put(right, solved, i), put(through, dy, i), dparams

    none = jnp.zeros_like(entering)
    return in_turn(tab.steps, stage, (none, none, dparams))
