"""The reverse solve of a continuous adjoint, window by window of the forward record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

from ..steps.acceptance import RUNNING
from . import control_flow, storage
from .adjoint_equation import AdjointField, Along, gauss_nodes, step_quadrature
from .attempt import attempt
from .config import Config
from .dense_record import dense_of_rows
from .record import Record, row_like
from .state import DenseRow, Operands, State
from .step_loop import running, start
from .windows import held_rows, hold_window, last_window, steps_of_window

Tree = Any

#: Steps of the reverse solve in a chunk of the quadrature afterwards.
CHUNK = 32


def integrate_back(
    config: Config,
    reverse: Config,
    field: AdjointField,
    record: Record,
    final: State,
    z: jax.Array,
    ops: Operands,
    rops: Operands,
) -> tuple[State, jax.Array]:
    """Run the reverse solve, window by window of the forward record where there are several."""
    along: Along = rops.constants
    no_dm = jnp.zeros(z.shape[0] - final.y.size * (2 if field.back else 1), z.dtype)
    if field.back:
        return _run_window(reverse, field, start(reverse, z, rops), rops, no_dm)

    def within(rows: jax.Array, count: jax.Array, limit: jax.Array | None) -> Operands:
        dense = dense_of_rows(config, rows, count, final, ops)
        return rops._replace(constants=along._replace(dense=dense, rows=count), limit=limit)

    if record.starts is None:
        there = within(record.rows, final.accepted, None)
        return _run_window(reverse, field, start(reverse, z, there), there, no_dm)
    window, last = steps_of_window(config), last_window(config, final)
    count = final.accepted - last * window
    state = start(reverse, z, within(record.rows, count, None))

    def body(carry: Tree) -> Tree:
        current, state, dm, held = carry
        held = hold_window(config, record, current, held, final, ops)
        count = jnp.minimum(final.accepted - current * window, window)
        began = storage.unpack(held.rows[0], row_like(config, final)).t
        limit = jnp.where(current == 0, jnp.inf, -began)
        state, dm = _run_window(reverse, field, state, within(held.rows, count, limit), dm)
        return current - 1, state, dm, held

    def unfinished(carry: Tree) -> jax.Array:
        return (carry[0] >= 0) & (carry[1].status == RUNNING)

    _, state, dm, _ = lax.while_loop(unfinished, body, (last, state, no_dm, held_rows(record)))
    return state, dm


def _run_window(
    reverse: Config, field: AdjointField, state: State, rops: Operands, dm: jax.Array
) -> tuple[State, jax.Array]:
    """Integrate until the end or the limit; by quadrature afterwards, record and sum up."""
    if field.kind != "quadrature":

        def turn(state: State, ops: Operands) -> Tree:
            return attempt(reverse, state, ops, dense=False).state, ()

        state, _ = control_flow.while_recording(running, turn, state, (), rops)
        return state, dm
    return _run_keeping(reverse, field, state, rops, dm)


def _run_keeping(
    reverse: Config, field: AdjointField, state: State, rops: Operands, dm: jax.Array
) -> tuple[State, jax.Array]:
    """The same, with the dense output of ``w`` kept, over which the quadrature goes afterwards."""
    n = int(np.prod(rops.constants.ys.shape[1:]))
    dense_config = replace(reverse, on_accept=_keep)
    tab = reverse.tableau
    like = DenseRow(state.t, state.h, state.y[:n], jnp.zeros((tab.dense.shape[1], n), dm.dtype))
    stored = storage.buffer(reverse.max_steps, storage.pack(like, dm.dtype), beside=dm)

    def turn_keeping(carry: Tree, ops: Operands) -> Tree:
        state, count = carry
        found = attempt(dense_config, state, ops, dense=False)
        row = found.dense
        assert row is not None
        row = row._replace(y=row.y[:n], coefficients=row.coefficients[:, :n])
        at = jnp.where(found.accept, count, storage.spare_row(stored))
        return (found.state, count + jnp.int32(found.accept)), ((at, storage.pack(row, dm.dtype)),)

    (state, count), (stored,) = control_flow.while_recording(
        lambda carry, ops: running(carry[0], ops),
        turn_keeping,
        (state, jnp.int32(0)),
        (stored,),
        rops,
    )
    return state, dm + _sum_up(reverse, field, stored, count, like, rops.constants)


def _keep(
    s: jax.Array, h: jax.Array, z: jax.Array, coefficients: jax.Array, z1: jax.Array, params: Tree
) -> jax.Array:
    """The state as it is: only the dense output is wanted."""
    return z1


def _sum_up(
    reverse: Config,
    field: AdjointField,
    stored: jax.Array,
    count: jax.Array,
    like: DenseRow,
    along: Along,
) -> jax.Array:
    """The quadrature over all recorded steps of ``w``, a chunk of steps at a time."""
    nodes = gauss_nodes(reverse) + 1

    def body(carry: Tree) -> Tree:
        i, total = carry
        at = i * CHUNK + jnp.arange(CHUNK, dtype=jnp.int32)
        rows = jax.vmap(lambda flat: storage.unpack(flat, like))(
            stored[jnp.minimum(at, jnp.maximum(count - 1, 0))]
        )
        rows = rows._replace(h=jnp.where(at < count, rows.h, 0.0))
        parts = jax.vmap(lambda row: step_quadrature(field, row, along, nodes, total))(rows)
        return i + 1, total + parts.sum(axis=0).astype(total.dtype)

    zero = jnp.zeros_like(ravel_pytree(along.params)[0]).astype(stored.dtype)
    chunks = (count + CHUNK - 1) // CHUNK
    return lax.while_loop(lambda c: c[0] < chunks, body, (jnp.int32(0), zero))[1]
