"""Continuous adjoints: the adjoint equation, integrated backwards by the same solver.

With ``s = -t`` all of them integrate, from ``s = -t1`` to ``s = -t0``,

    dw/ds = w df/dy        (adjoint)         dm/ds = w df/dparams        (quadrature)

adding the loss's cotangent to ``w`` at each save. They differ in where ``y(t)`` comes from and
in how ``m`` is integrated:

- *backsolve*: ``y`` is integrated backwards along with ``w`` and ``m`` (reset at each save);
  with *seminorm* ``m`` does not count in the error norm (Kidger et al. 2021);
- *interpolating*: ``y`` comes from the forward solve's dense output;
- *gauss*: as interpolating, ``m`` by Gauss quadrature on each step of ``w``;
- *quadrature*: as interpolating, ``m`` by quadrature over the dense output of ``w`` afterwards.

References
----------
C. Rackauckas et al., "Universal differential equations", arXiv 2001.04385;
P. Kidger et al., "Hey, that's not an ODE", ICML 2021; Y. Ma et al., HPEC 2021.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

from ..adjoint_units import AdjointUnits, adjoint_units
from ..steps.error_test import RUNNING, Terms
from ..steps.runge_kutta import dense_coefficients
from . import control_flow, storage
from .adjoint_equation import (
    AdjointField,
    AdjointStop,
    Along,
    GaussOnStep,
    step_quadrature,
    stop_cotangent,
)
from .attempt import attempt
from .config import Config
from .forward_pass import outputs, solve_recording
from .outcomes import Counts, Outputs, Pulled
from .record import Record, row_like
from .recorded_step import add_dense_stages, step_again
from .reverse_events import along_forward
from .saves import end_cotangent
from .state import DenseRow, Operands, Row, State
from .step_loop import running, start
from .windows import last_window, rows_of_window, steps_of_window

Tree = Any
CONTINUOUS = ("backsolve", "backsolve-seminorm", "interpolating", "gauss", "quadrature")


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
        step = step_again(config, row, row.y, ops.params, ops)
        step = add_dense_stages(config, row, row.y, step, ops)
        return dense_coefficients(config.tableau, step.stages)

    if like.y.size <= config.solver.batched_states:
        return DenseRow(rows.t, rows.h, rows.y, jax.vmap(one)(rows))

    def fill(i: jax.Array, stored: jax.Array) -> jax.Array:
        return storage.write(stored, i, one(storage.gather(rows, i)))

    shape = (rows.t.shape[0], config.tableau.dense.shape[1], *like.y.shape)
    empty = jnp.zeros(shape, like.y.dtype)
    coefficients = lax.fori_loop(jnp.int32(0), count, fill, empty)
    return DenseRow(rows.t, rows.h, rows.y, coefficients)


def record(config: Config, keep_steps: bool, y0: jax.Array, ops: Operands) -> tuple[Outputs, Any]:
    """Solve, and keep what :func:`pull_back` needs."""
    rows = not config.adjoint.startswith("backsolve")
    solved = solve_recording(config, y0, ops, keep_steps=keep_steps, keep_rows=rows)
    out = outputs(solved)
    return out, (solved.record, out.ys, out.final, ops, y0)


def pull_back(config: Config, kept: Any, dys: jax.Array, dtotals: Terms) -> Pulled:
    """Cotangents of start value and parameters, by the adjoint equation."""
    del dtotals
    record, ys, final, ops, y0 = kept
    units = adjoint_units(
        ys,
        y0,
        dys,
        jax.tree.leaves(ops.params),
        ops.stops.end - ops.t0,
        ops.reverse_rtol,
        ops.reverse_atol,
    )
    dys = dys / units.unit
    field = AdjointField(config, config.adjoint)
    along, stops = along_forward(config, record, ys, dys, ops)
    reverse = _reverse_config(config, field, along)
    z = _last_state(config, field, along, end_cotangent(config, ops, dys))
    rops = Operands(
        params=(),
        constants=along,
        t0=-ops.stops.end,
        stops=stops,
        save_at=-ops.t0[None],
        rtol=_spread_rtol(ops.reverse_rtol, field, z),
        atol=_spread_atol(units, field, final.y, ops),
    )
    state, dm = _integrate_back(config, reverse, field, record, final, z, ops, rops)
    n = final.y.size
    offset = n if field.back else 0
    w = state.y[offset : offset + n].reshape(final.y.shape)
    # A save at the start.
    w = w + jnp.tensordot(jnp.asarray(ops.save_at <= ops.t0, dys.dtype), dys, axes=1)
    _, unravel = ravel_pytree(ops.params)
    m = (state.y[offset + n :] + dm) * units.unit
    dparams = unravel(m.astype(ravel_pytree(ops.params)[0].dtype))
    evals = reverse.solver.rhs_evals(state)
    counts = Counts(
        steps=state.accepted,
        rejected=state.attempts - state.accepted,
        rhs_evals=evals,
        vjp_evals=evals,
        jacobian_evals=reverse.solver.jacobian_evals(state),
        linear_solves=state.linear_solves,
        status=state.status,
    )
    return Pulled(w * units.unit, dparams, counts)


def _reverse_config(config: Config, field: AdjointField, along: Along) -> Config:
    n = int(np.prod(along.ys.shape[1:]))
    components = {"backsolve-seminorm": 2 * n, "gauss": n, "quadrature": n}
    solver = config.adjoint_solver or config.solver
    reverse = Config(
        rhs=field,
        solver=solver,
        on_stop=AdjointStop(field) if along.order.shape[0] else None,
        breaks=config.breaks,
        max_steps=config.max_steps,
        components=components.get(field.kind),
        passive_from=n if field.alone and solver.tableau.implicit else None,
        jacobian=field.jacobian if field.alone else None,
    )
    if field.kind == "gauss":
        return replace(reverse, on_accept=GaussOnStep(field, _nodes(reverse)))
    return reverse


def _nodes(config: Config) -> int:
    """Gauss nodes enough for the order of the solver."""
    return (config.tableau.order + 2) // 2


def _last_state(config: Config, field: AdjointField, along: Along, w: jax.Array) -> jax.Array:
    """The flat reverse state at the end time, from the cotangent `w` there."""
    y = along.ys[-1]
    m = jnp.zeros_like(ravel_pytree(along.params)[0]).astype(y.dtype)
    if config.on_stop is not None:
        y, w, dm = stop_cotangent(config, along, along.stops.last, w)
        m = m + ravel_pytree(dm)[0].astype(m.dtype)
    parts = [w.ravel(), m]
    return jnp.concatenate([y.ravel(), *parts] if field.back else parts)


def _spread_rtol(rtol: jax.Array, field: AdjointField, z: jax.Array) -> jax.Array:
    """A tolerance per component of the state serves ``y`` and ``w``; its least serves ``m``."""
    if rtol.ndim == 0:
        return rtol
    flat = rtol.ravel()
    parts = [flat, flat] if field.back else [flat]
    rest = z.shape[0] - sum(p.shape[0] for p in parts)
    return jnp.concatenate([*parts, jnp.full(rest, flat.min())])


def _spread_atol(
    units: AdjointUnits, field: AdjointField, y: jax.Array, ops: Operands
) -> jax.Array:
    """The absolute tolerance of each component of the reverse state."""
    assert ops.reverse_atol is not None
    if field.alone and units.atol.ndim == 0:
        return units.atol
    leaves = jax.tree.leaves(ops.params)
    parts = [jnp.broadcast_to(units.atol, y.shape)]
    parts += [jnp.broadcast_to(a, p.shape) for a, p in zip(units.atol_params, leaves, strict=True)]
    if field.back:
        parts = [jnp.broadcast_to(ops.reverse_atol, y.shape), *parts]
    return jnp.concatenate([part.ravel() for part in parts])


def _integrate_back(
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
        return _run(reverse, field, start(reverse, z, rops), rops, no_dm)

    def within(rows: jax.Array, count: jax.Array, limit: jax.Array | None) -> Operands:
        dense = dense_of_rows(config, rows, count, final, ops)
        return rops._replace(constants=along._replace(dense=dense, rows=count), limit=limit)

    if record.starts is None:
        there = within(record.rows, final.accepted, None)
        return _run(reverse, field, start(reverse, z, there), there, no_dm)
    window, last = steps_of_window(config), last_window(config, final)
    count = final.accepted - last * window
    state = start(reverse, z, within(record.rows, count, None))

    def body(carry: Tree) -> Tree:
        current, state, dm = carry
        rows = rows_of_window(config, record, current, last, final, ops)
        count = jnp.minimum(final.accepted - current * window, window)
        began = storage.unpack(rows[0], row_like(config, final)).t
        limit = jnp.where(current == 0, jnp.inf, -began)
        state, dm = _run(reverse, field, state, within(rows, count, limit), dm)
        return current - 1, state, dm

    def unfinished(carry: Tree) -> jax.Array:
        return (carry[0] >= 0) & (carry[1].status == RUNNING)

    _, state, dm = lax.while_loop(unfinished, body, (last, state, no_dm))
    return state, dm


def _run(
    reverse: Config, field: AdjointField, state: State, rops: Operands, dm: jax.Array
) -> tuple[State, jax.Array]:
    """Integrate until the end or the limit; by quadrature afterwards, record and sum up."""
    if field.kind != "quadrature":

        def turn(state: State, ops: Operands) -> Tree:
            return attempt(reverse, state, ops, dense=False).state, ()

        state, _ = control_flow.while_recording(running, turn, state, (), rops)
        return state, dm
    n = int(np.prod(rops.constants.ys.shape[1:]))
    dense_config = replace(reverse, on_accept=_keep)
    tab = reverse.tableau
    like = DenseRow(state.t, state.h, state.y[:n], jnp.zeros((tab.dense.shape[1], n), dm.dtype))
    stored = storage.buffer(reverse.max_steps, storage.pack(like, dm.dtype))

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
    chunk = 32

    def body(carry: Tree) -> Tree:
        i, total = carry
        at = i * chunk + jnp.arange(chunk, dtype=jnp.int32)
        rows = jax.vmap(lambda flat: storage.unpack(flat, like))(
            stored[jnp.minimum(at, jnp.maximum(count - 1, 0))]
        )
        rows = rows._replace(h=jnp.where(at < count, rows.h, 0.0))
        parts = jax.vmap(
            lambda row: ravel_pytree(step_quadrature(field, row, along, _nodes(reverse) + 1))[0]
        )(rows)
        return i + 1, total + parts.sum(axis=0).astype(total.dtype)

    zero = jnp.zeros_like(ravel_pytree(along.params)[0]).astype(stored.dtype)
    chunks = (count + chunk - 1) // chunk
    return lax.while_loop(lambda c: c[0] < chunks, body, (jnp.int32(0), zero))[1]
