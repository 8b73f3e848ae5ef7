"""A recorded Rosenbrock step taken again, stage by stage in a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .config import Config
from .sides import clipper, time_limits
from .stage_loops import combined, in_turn, put, square_rows
from .state import Operands, Row


class Stages(NamedTuple):
    """Times and states of the stages of a step, and the stages: arrays with one row for each."""

    times: jax.Array
    states: jax.Array
    stages: jax.Array


def rhs_of_row(
    config: Config, row: Row, ops: Operands
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The right-hand side of time and state, on the step's own side of discontinuities."""
    clip = clipper(time_limits(config, row.stop, ops))
    return lambda t, y: config.rhs(clip(t), y, (ops.params, ops.constants))


def take_again(
    config: Config, row: Row, ops: Operands, solve: Callable[[jax.Array], jax.Array]
) -> Stages:
    """The stages of a recorded step.

    Parameters
    ----------
    config, row, ops
    solve : callable
        Solves with the matrix of the step.
    """
    tab, y, h = config.tableau, row.y, row.h
    rhs = rhs_of_row(config, row, ops)
    time_slope = jax.jvp(lambda t: rhs(t, y), (row.t,), (jnp.ones_like(row.t),))[1]
    states = square_rows(tab.a, tab.steps, y.dtype)
    coupling = square_rows(tab.coupling, tab.steps, y.dtype)
    weights = jnp.asarray(tab.time_weights, y.dtype)
    times = row.t + jnp.asarray(tab.c[: tab.steps], row.t.dtype) * h

    def stage(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        at, stages = carry
        state = y + h * combined(states[i], stages)
        right = rhs(times[i], state) + combined(coupling[i], stages)
        solved = solve(right + weights[i] * h * time_slope)
        return put(at, state, i), put(stages, solved, i)

    none = jnp.zeros((tab.steps, *y.shape), y.dtype)
    return Stages(times, *in_turn(tab.steps, stage, (none, none)))
