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

Both quadratures halve a step until their sums agree within the tolerance.

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
from jax.flatten_util import ravel_pytree

from ..adjoint_units import AdjointUnits, adjoint_units
from ..methods.method import BACKWARD
from ..steps.acceptance import Terms
from .adjoint_equation import (
    AdjointField,
    AdjointStop,
    Along,
    FieldAtOneState,
    GaussOnStep,
    gauss_nodes,
    stop_cotangent,
)
from .config import Config
from .forward_pass import outputs, solve_recording
from .outcomes import Counts, Outputs, Pulled
from .record import Record, path_rows
from .reverse_events import along_forward
from .reverse_solve import integrate_back
from .saves import end_cotangent
from .state import Operands, State
from .systems.found import find_system
from .systems.system import DENSE, Dense, System, Transposed

CONTINUOUS = ("backsolve", "backsolve-seminorm", "interpolating", "gauss", "quadrature")


def record(config: Config, keep_steps: bool, y0: jax.Array, ops: Operands) -> tuple[Outputs, Any]:
    """Solve, and keep what :func:`pull_back` needs."""
    rows = config.adjoint not in BACKWARD
    solved = solve_recording(config, y0, ops, keep_steps=keep_steps, keep_rows=rows)
    out = outputs(solved)
    return out, (solved.record, out.ys, out.final, solved.ops, y0)


def pull_back(
    config: Config,
    kept: Any,
    dys: jax.Array,
    dtotals: Terms,
    dpath: jax.Array | None = None,
    dbefore: jax.Array | None = None,
) -> Pulled:
    """Cotangents of start value and parameters, by the adjoint equation."""
    del dtotals
    record, ys, final, ops, y0 = kept
    if dpath is not None:
        config = replace(config, repeats=True)
        ys, dys, save_at = _saved_at_steps(config, record, final, ys, dys, dpath, ops)
        ops = ops._replace(save_at=save_at)
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
    atol_params = _atol_of_params(units, ops)
    along, stops = along_forward(config, record, ys, dys, ops, atol_params)
    if dbefore is not None:
        along = along._replace(dbefore=dbefore / units.unit)
    z = _last_state(config, field, along, end_cotangent(config, ops, dys))
    reverse = _reverse_config(config, field, along, z)
    rops = Operands(
        params=(),
        constants=along,
        t0=-ops.stops.end,
        stops=stops,
        save_at=-ops.t0[None],
        rtol=_spread_rtol(ops.reverse_rtol, field, z),
        atol=_spread_atol(units, field, final.y, ops, atol_params),
    )
    state, dm = integrate_back(config, reverse, field, record, final, z, ops, rops)
    n = final.y.size
    offset = n if field.back else 0
    w = state.y[offset : offset + n].reshape(final.y.shape)
    # A save at the start.
    w = w + jnp.tensordot(jnp.asarray(ops.save_at <= ops.t0, dys.dtype), dys, axes=1)
    _, unravel = ravel_pytree(ops.params)
    m = (state.y[offset + n :] + dm) * units.unit
    dparams = unravel(m.astype(ravel_pytree(ops.params)[0].dtype))
    return Pulled(w * units.unit, dparams, _counts(reverse, state))


def _saved_at_steps(
    config: Config,
    record: Record,
    final: State,
    ys: jax.Array,
    dys: jax.Array,
    dpath: jax.Array,
    ops: Operands,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Saved states, their cotangents and times, the states at the starts of all steps included."""
    rows = path_rows(config, record.rows, final)
    taken = jnp.arange(rows.t.shape[0], dtype=jnp.int32) < final.accepted
    times = jnp.concatenate([jnp.where(taken, rows.t, ops.stops.end), ops.save_at])
    order = jnp.argsort(times, stable=True)
    every = jnp.concatenate([rows.y, ys])[order]
    cotangents = jnp.concatenate([path_rows(config, dpath, final).y, dys])[order]
    return every, cotangents, times[order]


def _counts(reverse: Config, state: State) -> Counts:
    """The work of a finished reverse solve."""
    evals = reverse.solver.rhs_evals(state)
    return Counts(
        steps=state.accepted,
        rejected=state.attempts - state.accepted,
        rhs_evals=evals,
        vjp_evals=evals,
        jacobian_evals=reverse.solver.jacobian_evals(state),
        linear_solves=state.linear_solves,
        status=state.status,
    )


def _reverse_config(config: Config, field: AdjointField, along: Along, z: jax.Array) -> Config:
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
        system=_reverse_system(config, field, along, z),
    )
    if field.kind == "gauss":
        return replace(reverse, on_accept=GaussOnStep(field, gauss_nodes(reverse)))
    return reverse


def _reverse_system(config: Config, field: AdjointField, along: Along, z: jax.Array) -> System:
    """The systems of the reverse solve: sparse where those of the forward solve are."""
    if field.alone:
        return Transposed(config.system)
    if isinstance(config.system, Dense):
        return DENSE
    function = field if field.back else FieldAtOneState(field)
    return find_system("auto", function, z, ((), along._replace(dense=None)), None, "cpu")


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


def _atol_of_params(units: AdjointUnits, ops: Operands) -> jax.Array:
    """The absolute tolerance of the parameters' gradient, flat."""
    leaves = jax.tree.leaves(ops.params)
    parts = [jnp.broadcast_to(a, p.shape) for a, p in zip(units.atol_params, leaves, strict=True)]
    return jnp.concatenate([jnp.zeros(0, ops.t0.dtype), *(part.ravel() for part in parts)])


def _spread_atol(
    units: AdjointUnits, field: AdjointField, y: jax.Array, ops: Operands, of_params: jax.Array
) -> jax.Array:
    """The absolute tolerance of each component of the reverse state."""
    assert ops.reverse_atol is not None
    if field.alone and units.atol.ndim == 0:
        return units.atol
    parts = [jnp.broadcast_to(units.atol, y.shape).ravel(), of_params]
    if field.back:
        parts = [jnp.broadcast_to(ops.reverse_atol, y.shape).ravel(), *parts]
    return jnp.concatenate(parts)
