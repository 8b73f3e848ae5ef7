"""One recorded step backwards, by one vector-Jacobian product."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .config import Config
from .recorded_step import add_dense_stages, step_outputs, take_step
from .sources import Sources, StepOutputs, entering_at_step
from .state import Operands, Row, Trial
from .stepping import take

Tree = Any


def sweep_step(
    config: Config,
    row: Row,
    index: jax.Array,
    ops: Operands,
    w: Tree,
    dparams: Tree,
    sources: Sources,
) -> tuple[Tree, Tree]:
    """One step backwards; `row` and `index` have a leading axis of one.

    `w` is the cotangent of the state at the end of the step, or that and the one of the slope.
    """
    row, index = jax.tree.map(lambda leaf: leaf[0], row), index[0]
    config = replace(config, jax_differentiates=True)
    with_slope = isinstance(w, tuple)
    step_from = _slope_to_slope if with_slope else _state_to_state
    start = (row.y, config.rhs(row.t, row.y, (ops.params, ops.constants))) if with_slope else row.y

    def back(sources: Sources) -> tuple[Tree, Tree]:
        own, doutputs = entering_at_step(row, index, sources)
        _, vjp = jax.vjp(partial(step_from, config, row, ops, sources), start, ops.params)
        dstart, dp = vjp((w, doutputs))
        if own is not None:
            dstart = (dstart[0] + own, dstart[1]) if with_slope else dstart + own
        return dstart, dp

    if sources.dense_y is None:
        dstart, dp = back(sources)
    else:
        bare = sources._replace(dense_y=None, dense_coefficients=None)
        dstart, dp = lax.cond(row.save_row >= 0, lambda: back(sources), lambda: back(bare))
    return dstart, jax.tree.map(jnp.add, dparams, dp)


def _state_to_state(
    config: Config, row: Row, ops: Operands, sources: Sources, y: jax.Array, params: Tree
) -> tuple[jax.Array, StepOutputs]:
    """The recorded step as a function of the state at its start."""
    return take_step(config, row, y, params, ops, sources)


def _slope_to_slope(
    config: Config,
    row: Row,
    ops: Operands,
    sources: Sources,
    start: tuple[jax.Array, jax.Array],
    params: Tree,
) -> tuple[tuple[jax.Array, jax.Array], StepOutputs]:
    """The recorded step as a function of state and slope at its start, to those at its end."""
    y, slope = start
    ops = ops._replace(params=params)
    trial = Trial(row.t, y, row.h, row.t + row.h, slope, None, None)
    step = take(config, trial, ops)
    if sources.dense_y is not None:
        step = add_dense_stages(config, row, y, step, ops)
    return (step.y1, step.slope), step_outputs(config, row, y, step, ops, sources)
