"""A recorded step as a function to differentiate, and what it yields besides the new state."""

from __future__ import annotations

from typing import Any

import jax
from jax import lax

from ..steps.acceptance import Step, TermInputs, Terms, step_terms, term_inputs
from ..steps.runge_kutta import dense_coefficients, dense_stages
from .config import Config
from .mass import after_stop
from .sides import clipper, time_limits
from .sources import Sources, StepOutputs
from .state import Operands, Row, Trial
from .stepping import take

Tree = Any


def take_step(
    config: Config, row: Row, y: jax.Array, params: Tree, ops: Operands, sources: Sources
) -> tuple[jax.Array, StepOutputs]:
    """The recorded step, jump included, as a function of state and parameters."""
    step = step_again(config, row, y, params, ops)
    if sources.dense_y is not None:
        step = add_dense_stages(config, row, y, step, ops._replace(params=params))
    outputs = step_outputs(config, row, y, step, ops, sources)
    return after_step(config, row, step.y1, ops._replace(params=params)), outputs


def after_step(config: Config, row: Row, y1: jax.Array, ops: Operands) -> jax.Array:
    """The state behind the recorded step, past the jump that it reaches, if it does."""
    if not config.moves_at_stops:
        return y1
    t1 = ops.stops.times[row.stop]
    return lax.cond(
        row.reaches & (row.h != 0),
        lambda y: after_stop(config, row.stop, t1, y, ops),
        lambda y: y,
        y1,
    )


def step_again(config: Config, row: Row, y: jax.Array, params: Tree, ops: Operands) -> Step:
    """The recorded step, without a jump, as a function of state and parameters."""
    limits = time_limits(config, row.stop, ops)
    ops = ops._replace(params=params)
    first = None
    if row.slope is not None:
        # The slope that was used, with the derivatives of the right-hand side and no others.
        here = config.rhs(clipper(limits)(row.t), y, (params, ops.constants))
        held = lax.stop_gradient((row.slope, here))
        first = held[0] + here - held[1]
    trial = Trial(row.t, y, row.h, row.t + row.h, first, limits, row.phase)
    return take(config, trial, ops)


def add_dense_stages(config: Config, row: Row, y: jax.Array, step: Step, ops: Operands) -> Step:
    """The step with the stages that only dense output needs."""
    if len(step.stages) == config.tableau.stages:
        return step
    params = (ops.params, ops.constants)
    clip = clipper(time_limits(config, row.stop, ops))
    stages = dense_stages(config.rhs, config.tableau, row.t, y, row.h, params, step.stages, clip)
    return step._replace(stages=stages)


def step_outputs(
    config: Config, row: Row, y: jax.Array, step: Step, ops: Operands, sources: Sources
) -> StepOutputs:
    """What the step yields besides the new state; its stages include those of dense output."""
    coefficients, terms = None, Terms(None, None, None)
    if sources.dense_y is not None:
        coefficients = dense_coefficients(config.tableau, step.stages)
    wanted = sources.terms
    if any(weight is not None for weight in wanted):
        inputs = term_inputs(config.tableau, step, y, config.error_norm, wanted)
        terms = wanted_terms(inputs, wanted, row.h, ops)
    return StepOutputs(coefficients, terms, None if sources.before is None else step.y1)


def wanted_terms(inputs: TermInputs, wanted: Terms, h: jax.Array, ops: Operands) -> Terms:
    """The terms of the regularisers that are `wanted`; ``None`` in place of the others."""
    found = step_terms(inputs, h, ops.rtol, ops.atol)
    pairs = zip(found, wanted, strict=True)
    return Terms(*(None if weight is None else term for term, weight in pairs))
