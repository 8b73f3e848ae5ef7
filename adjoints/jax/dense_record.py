"""Dense output of recorded steps, for the reverse solves that read the state off it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.runge_kutta import dense_coefficients
from . import storage
from .config import Config
from .native.unfilled import unfilled
from .record import row_like
from .recorded_step import add_dense_stages, step_again
from .state import DenseRow, Operands, Row, State


def dense_of_rows(
    config: Config, packed: jax.Array, count: jax.Array, like: State, ops: Operands
) -> DenseRow:
    """Dense output of the first `count` recorded steps, their stages computed again.

    All at once for small states; one by one for large ones, where steps that were never taken
    would cost as much as those that were.
    """
    row = row_like(config, like)
    rows = jax.vmap(lambda flat: storage.unpack(flat, row))(packed[:-1])

    def one(row: Row) -> jax.Array:
        return coefficients_again(config, row, ops)

    if like.y.size <= config.solver.batched_states:
        return DenseRow(rows.t, rows.h, rows.y, jax.vmap(one)(rows))

    def fill(i: jax.Array, stored: jax.Array) -> jax.Array:
        return storage.write(stored, i, one(storage.gather(rows, i)))

    shape = (rows.t.shape[0], config.tableau.dense.shape[1], *like.y.shape)
    # What is not filled is not read.
    coefficients = lax.fori_loop(jnp.int32(0), count, fill, unfilled(shape, like.y.dtype, like.y))
    return DenseRow(rows.t, rows.h, rows.y, coefficients)


def coefficients_again(config: Config, row: Row, ops: Operands) -> jax.Array:
    """The dense output of a recorded step, its stages computed again."""
    step = step_again(config, row, row.y, ops.params, ops)
    step = add_dense_stages(config, row, row.y, step, ops)
    return dense_coefficients(config.tableau, step.stages)
