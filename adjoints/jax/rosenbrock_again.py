"""A recorded Rosenbrock step taken again, stage by stage in a loop."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..steps.tableau import Tableau
from .config import Config
from .sides import clipper, time_limits
from .stage_loops import combined, in_turn, put, square_rows
from .state import Operands, Row


def rhs_of_row(
    config: Config, row: Row, ops: Operands
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The right-hand side of time and state, on the step's own side of discontinuities."""
    clip = clipper(time_limits(config, row.stop, ops))
    return lambda t, y: config.rhs(clip(t), y, (ops.params, ops.constants))


def take_again(
    tab: Tableau,
    rhs: Callable[[jax.Array, jax.Array], jax.Array],
    solve: Callable[[jax.Array], jax.Array],
    times: jax.Array,
    y: jax.Array,
    h: jax.Array,
    time_slope: jax.Array,
    mass: Callable[[jax.Array], jax.Array],
) -> tuple[jax.Array, jax.Array]:
    """The states of the stages of a recorded step, and the stages, or of many steps at once.

    Parameters
    ----------
    tab : Tableau
    rhs, solve : callable
        The right-hand side of time and state, and what solves with the matrix of the step.
    times : array
        Of the stages, in the first axis.
    y, h, time_slope : array
        The state before the step, its size, that can be multiplied with states, and the derivative
        of the right-hand side by time there.
    mass : callable
        The product with the mass matrix.
    """
    states = square_rows(tab.a, tab.steps, y.dtype)
    coupling = square_rows(tab.coupling, tab.steps, y.dtype)
    weights = jnp.asarray(tab.time_weights, y.dtype)

    def stage(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        at, stages = carry
        state = y + h * combined(states[i], stages)
        right = rhs(times[i], state) + mass(combined(coupling[i], stages))
        solved = solve(right + weights[i] * h * time_slope)
        return put(at, state, i), put(stages, solved, i)

    none = jnp.zeros((tab.steps, *y.shape), y.dtype)
    return in_turn(tab.steps, stage, (none, none))


def slope_by_time(
    rhs: Callable[[jax.Array, jax.Array], jax.Array], t: jax.Array, y: jax.Array
) -> jax.Array:
    """The derivative of a right-hand side by time."""
    return jax.jvp(lambda t: rhs(t, y), (t,), (jnp.ones_like(t),))[1]
