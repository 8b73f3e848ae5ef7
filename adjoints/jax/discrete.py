"""The discrete adjoint: a reverse sweep written out over the accepted steps.

Differentiating a step ``y1 = step(y, params)`` at fixed ``t`` and ``h`` backwards turns the
cotangent ``w1`` of ``y1`` into ``w = w1 dstep/dy`` and adds ``w1 dstep/dparams`` to the
parameters' cotangent. Two forms of the same sweep:

- *step by step*, one vector-Jacobian product of a step at a time, for large states;
- *in chunks*, for small states: see :mod:`~adjointbench.adjoints.jax.explicit_chunks`.

References
----------
A. Sandu, "On the properties of Runge-Kutta discrete adjoints", ICCS 2006;
H. Zhang, A. Sandu, SIAM J. Sci. Comput. 36 (2014) C504-C523.
"""

from __future__ import annotations

from typing import Any

import jax

from ..steps.acceptance import Terms
from .config import Config
from .forward_pass import outputs, solve_recording
from .outcomes import Outputs, Pulled
from .record import Record, dense_rows, path_rows
from .saves import end_cotangent, interior_saves
from .sources import Sources
from .state import Operands, State
from .sweep import carries_slopes, sweep
from .totals import largest_steps, per_step


def record(config: Config, keep_steps: bool, y0: jax.Array, ops: Operands) -> tuple[Outputs, Any]:
    """Solve, and keep what :func:`pull_back` needs."""
    solved = solve_recording(config, y0, ops, keep_steps=keep_steps)
    largest = largest_steps(solved.totals)
    return outputs(solved), (solved.record, solved.final, largest, solved.ops, y0)


def pull_back(
    config: Config,
    kept: Any,
    dys: jax.Array,
    dtotals: Terms,
    dpath: jax.Array | None = None,
    dbefore: jax.Array | None = None,
) -> Pulled:
    """Cotangents of start value and parameters.

    Parameters
    ----------
    config : Config
    kept : pytree
        From :func:`record`.
    dys : array, shape ``(len(save_at), *y0.shape)``
    dtotals : Terms
        Cotangents of the regularisers; ``None`` where there is none.
    dpath : array, optional
        Cotangent of the path, of which the states count.
    dbefore : array, optional
        Cotangents of the states before all stops.
    """
    record, final, largest, ops, y0 = kept
    dense_y, dense_coefficients = _save_cotangents(config, record, final, ops, dys)
    weights = per_step(config.reduction, dtotals, final.accepted)
    only = largest if config.reduction == "max" else Terms(None, None, None)
    starts = None if dpath is None else path_rows(config, dpath, final).y
    sources = Sources(dense_y, dense_coefficients, weights, only, starts, dbefore)
    w = end_cotangent(config, ops, dys)
    dy0, dparams = sweep(config, record, final, y0, ops, w, sources)
    counts = config.solver.sweep_counts(final.accepted, final)
    if carries_slopes(config, sources, y0.size):
        more = final.accepted + 1
        counts = counts._replace(rhs_evals=counts.rhs_evals + more, vjp_evals=counts.vjp_evals + 1)
    return Pulled(dy0, dparams, counts)


def _save_cotangents(
    config: Config, record: Record, final: State, ops: Operands, dys: jax.Array
) -> tuple[jax.Array | None, jax.Array | None]:
    """Cotangents of the rows of dense output, their states and their coefficients."""
    if record.dense is None:
        return None, None
    dense = dense_rows(record, final)

    def values(y: jax.Array, coefficients: jax.Array) -> jax.Array:
        rows = dense._replace(y=y, coefficients=coefficients)
        return interior_saves(rows, final, ops, repeats=config.repeats)

    _, vjp = jax.vjp(values, dense.y, dense.coefficients)
    return vjp(dys[:-1])
