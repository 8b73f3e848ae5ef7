"""Dense output and the saves that are read off it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..steps.runge_kutta import dense_coefficients, dense_stages, dense_value
from . import storage
from .config import Config
from .sides import clipper
from .state import DenseRow, Limits, Operands, State, Trial

#: Up to so many times a time is found by comparing it with all of them, as one kernel; among
#: more by bisection.
COMPARED = 64


def count_saves(
    state: State, ops: Operands, accept: jax.Array, t1: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Whether a save before the end lies on this step, and how many have been passed."""
    if ops.save_at.shape[0] == 1:
        return jnp.bool_(False), state.saved
    # The last save, at the end, is never passed: without it the times would be copied each time.
    if ops.save_at.shape[0] <= COMPARED:
        passed = jnp.sum(ops.save_at < t1, dtype=jnp.int32)
    else:
        passed = jnp.searchsorted(ops.save_at, t1).astype(jnp.int32)
    return accept & (passed > state.saved), passed


def dense_of_step(
    config: Config,
    ops: Operands,
    wanted: jax.Array,
    trial: Trial,
    stages: Sequence[jax.Array],
) -> jax.Array:
    """Coefficients of the dense output; extra stages are evaluated only where `wanted`."""
    tab = config.tableau
    if tab.stages == len(stages):
        return dense_coefficients(tab, stages)

    def full(t: Any, y: Any, h: Any, stages: Any, params: Any, limits: Limits) -> jax.Array:
        clip = clipper(limits)
        complete = dense_stages(config.rhs, tab, t, y, h, params, list(stages), clip)
        return dense_coefficients(tab, complete)

    def none(t: Any, y: Any, h: Any, stages: Any, params: Any, limits: Limits) -> jax.Array:
        return jnp.zeros((tab.dense.shape[1], *y.shape), y.dtype)

    t, y, h, limits, params = trial.t, trial.y, trial.h, trial.limits, (ops.params, ops.constants)
    return config.choose(wanted, full, none, t, y, h, tuple(stages), params, limits)


def evaluate(dense: DenseRow, rows: jax.Array, save_at: jax.Array) -> jax.Array:
    """Dense output at times, from the row in which each time lies.

    Parameters
    ----------
    dense : DenseRow
        Stacked rows in the order of time.
    rows : array
        How many of them are filled.
    save_at : array, shape (m,)

    Returns
    -------
    array, shape (m, ``*y.shape``)
    """
    index = jnp.arange(dense.t.shape[0], dtype=jnp.int32)
    starts = jnp.where(index < rows, dense.t, jnp.inf)
    if starts.shape[0] * save_at.shape[0] <= COMPARED**2:
        begun = jnp.sum(starts[None, :] <= save_at[:, None], axis=1, dtype=jnp.int32)
    else:
        begun = jnp.searchsorted(starts, save_at, side="right").astype(jnp.int32)
    row = storage.gather(dense, jnp.maximum(begun - 1, 0))
    return jax.vmap(value_on)(row, save_at)


def value_on(row: DenseRow, t: jax.Array) -> jax.Array:
    """The dense output of a step at a time; rows that were never filled may have no length."""
    h = jnp.where(row.h == 0, 1.0, row.h)
    return dense_value(row.coefficients, row.y, row.h, (t - row.t) / h)


def interior_saves(dense: DenseRow, final: State, ops: Operands, *, repeats: bool) -> jax.Array:
    """The solution at all save times but the last."""
    save_at = ops.save_at[:-1]
    ys = evaluate(dense, final.save_row, save_at)
    if not repeats:
        return ys
    return jax.vmap(jnp.where, in_axes=(0, None, 0))(save_at >= ops.stops.end, final.y, ys)


def end_cotangent(config: Config, ops: Operands, dys: jax.Array) -> jax.Array:
    """The cotangent of the last state: of the last save, and of others at the same time."""
    if not config.repeats:
        return dys[-1]
    return jnp.tensordot(jnp.asarray(ops.save_at >= ops.stops.end, dys.dtype), dys, axes=1)
