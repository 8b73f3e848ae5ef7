"""The discrete adjoint of a chunk of diagonally implicit steps at once, for small states.

The chunks of :mod:`~adjointbench.adjoints.jax.explicit_chunks`, with the derivative ``A`` of a step
formed as a whole: the vector-Jacobian products of the step with the unit vectors.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from .chunks import add_trees, recur
from .config import Config
from .recorded_step import take_step
from .sources import Sources, StepOutputs, entering_at_step
from .state import Operands, Row

Tree = Any


def sweep_dirk_chunk(
    config: Config,
    rows: Row,
    index: jax.Array,
    ops: Operands,
    w: jax.Array,
    dparams: Tree,
    sources: Sources,
) -> tuple[jax.Array, Tree]:
    """A chunk of steps backwards; arguments and values as of ``Solver.sweep_chunk``."""
    shape, n = w.shape, w.size
    own, doutputs = jax.vmap(entering_at_step, in_axes=(0, 0, None))(rows, index, sources)

    def steps(ys: jax.Array, params: Tree) -> tuple[jax.Array, StepOutputs]:
        return jax.vmap(lambda row, y: take_step(config, row, y, params, ops, sources))(rows, ys)

    (y1, _), vjp = jax.vjp(steps, rows.y, ops.params)
    nothing = jax.tree.map(jnp.zeros_like, doutputs)

    def row_of_square(unit: jax.Array) -> jax.Array:
        return vjp((jnp.broadcast_to(unit.reshape(shape), y1.shape), nothing))[0].reshape(-1, n)

    squares = jax.vmap(row_of_square, out_axes=1)(jnp.eye(n, dtype=w.dtype))
    entering = None
    if sources.any:
        entering = vjp((jnp.zeros_like(y1), doutputs))[0].reshape(-1, n)
        entering = entering if own is None else entering + own.reshape(-1, n)
    w, ahead = recur(squares, entering, w.reshape(n))
    _, dp = vjp((ahead.reshape(y1.shape), doutputs))
    return w.reshape(shape), add_trees(dparams, dp)
