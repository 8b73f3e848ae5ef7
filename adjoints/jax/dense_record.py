"""Dense output of recorded steps, for the reverse solves that read the state off it."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.runge_kutta import dense_coefficients
from . import control_flow, storage
from .config import Config
from .record import dense_row, row_like
from .recorded_step import add_dense_stages, step_again
from .saves import value_on
from .state import DenseRow, Operands, Row, State


def dense_of_rows(
    config: Config, packed: jax.Array, count: jax.Array, final: State, ops: Operands
) -> jax.Array:
    """Dense output of the first `count` recorded steps, packed, their stages computed again.

    The rows behind those come with any numbers.
    """
    dtype, recorded = packed.dtype, row_like(config, final)
    degree = config.tableau.dense.shape[1]
    like = jnp.zeros(2 + (1 + degree) * final.y.size, dtype)
    stored = storage.buffer(packed.shape[0] - 1, like, beside=final.y)

    def turn(i: jax.Array, operands: tuple[jax.Array, jax.Array, Operands]) -> tuple:
        packed, _, ops = operands
        row = storage.unpack(storage.read(packed, i), recorded)
        dense = DenseRow(row.t, row.h, row.y, coefficients_again(config, row, ops))
        return i + 1, ((i, storage.pack(dense, dtype)),)

    def active(i: jax.Array, operands: tuple[jax.Array, jax.Array, Operands]) -> jax.Array:
        return i < operands[1]

    operands = (packed, count, ops)
    return control_flow.while_recording(active, turn, jnp.int32(0), (stored,), operands)[1][0]


def dense_at(
    packed: jax.Array, count: jax.Array, t: jax.Array, shape: tuple[int, ...]
) -> jax.Array:
    """The forward solution at time ``t``, from that of the first `count` rows in which it lies.

    The row is found by halves: a look at all of them would cost as much as some hundred steps.
    """
    held = lax.stop_gradient(t)

    def halve(_: int, between: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        row, beyond = between
        middle = (row + beyond) // 2
        begun = packed[middle, 0] <= held
        return jnp.where(begun, middle, row), jnp.where(begun, beyond, middle)

    halves = math.ceil(math.log2(packed.shape[0]))
    row, _ = lax.fori_loop(0, halves, halve, (jnp.int32(0), count))
    return value_on(dense_row(storage.read(packed, row), shape), t)


def coefficients_again(config: Config, row: Row, ops: Operands) -> jax.Array:
    """The dense output of a recorded step, its stages computed again."""
    step = step_again(config, row, row.y, ops.params, ops)
    step = add_dense_stages(config, row, row.y, step, ops)
    return dense_coefficients(config.tableau, step.stages)
