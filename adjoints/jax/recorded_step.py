"""A recorded step as a function to differentiate, and the cotangents that enter at it."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.error_test import Step, Terms, step_terms
from ..steps.runge_kutta import combine, dense_coefficients, dense_stages, stiffness_pair
from .state import Config, Operands, Row
from .step_loop import time_limits
from .stepping import clipper, implicit_pair, take

Tree = Any


class Sources(NamedTuple):
    """Cotangents that enter at the steps themselves; ``None`` where there are none.

    ``dense_y`` and ``dense_coefficients`` belong to the rows of dense output, ``terms`` are the
    weights of the regularisers' terms and ``steps`` the only step that counts, for a maximum.
    """

    dense_y: jax.Array | None
    dense_coefficients: jax.Array | None
    terms: Terms
    steps: Terms

    @property
    def any(self) -> bool:
        """Whether anything enters at the steps at all."""
        return self.dense_y is not None or any(w is not None for w in self.terms)


class Local(NamedTuple):
    """What a step yields besides the new state."""

    coefficients: jax.Array | None
    terms: Terms


def local_outputs(
    config: Config, row: Row, y: jax.Array, step: Step, ops: Operands, sources: Sources
) -> Local:
    """What the step yields besides the new state; its stages include those of dense output."""
    coefficients, terms = None, Terms(None, None, None)
    if sources.dense_y is not None:
        coefficients = dense_coefficients(config.tableau, step.stages)
    wanted = tuple(weight is not None for weight in sources.terms)
    if any(wanted):
        found = step_terms(config.tableau, step, y, row.h, ops.rtol, ops.atol, config.error_norm)
        terms = Terms(*(t if w else None for t, w in zip(found, wanted, strict=True)))
    return Local(coefficients, terms)


def step_again(config: Config, row: Row, y: jax.Array, params: Tree, ops: Operands) -> Step:
    """The recorded step, without a jump, as a function of state and parameters."""
    limits = time_limits(config, row.stop, ops)
    ops = ops._replace(params=params)
    first = None
    if row.slope is not None:
        # The slope that was used, with the derivative of the right-hand side.
        here = config.rhs(clipper(limits)(row.t), y, (params, ops.constants))
        first = row.slope + here - lax.stop_gradient(here)
    return take(config, row.t, y, row.h, row.t + row.h, first, ops, limits, row.phase)


def step_of_stages(
    config: Config, row: Row, y: jax.Array, stages: list[jax.Array], params: Tree, ops: Operands
) -> Step:
    """The recorded explicit or Rosenbrock step, from its stages."""
    tab = config.tableau
    y1 = y + row.h * combine(tab.b, stages)
    if not tab.implicit:
        return Step(y1, stages, stages[-1], stiffness_pair(tab, stages, y, y1, row.h))
    clip, both = clipper(time_limits(config, row.stop, ops)), (params, ops.constants)

    def slope(y: jax.Array) -> jax.Array:
        return config.rhs(clip(row.t + row.h), y, both)

    return Step(y1, stages, slope(y1), implicit_pair(tab, slope, stages, y1, row.h))


def add_dense_stages(config: Config, row: Row, y: jax.Array, step: Step, ops: Operands) -> Step:
    """The step with the stages that only dense output needs."""
    if config.tableau.implicit:
        return step
    params = (ops.params, ops.constants)
    clip = clipper(time_limits(config, row.stop, ops))
    stages = dense_stages(config.rhs, config.tableau, row.t, y, row.h, params, step.stages, clip)
    return step._replace(stages=stages)


def take_step(
    config: Config, row: Row, y: jax.Array, params: Tree, ops: Operands, sources: Sources
) -> tuple[jax.Array, Local]:
    """The recorded step, jump included, as a function of state and parameters."""
    step = step_again(config, row, y, params, ops)
    if sources.dense_y is not None:
        step = add_dense_stages(config, row, y, step, ops._replace(params=params))
    local = local_outputs(config, row, y, step, ops, sources)
    y1 = step.y1
    on_stop = config.on_stop
    if on_stop is not None:
        t1, which = ops.stops.times[row.stop], ops.stops.jumps[row.stop]
        y1 = lax.cond(
            row.reaches & (row.h != 0),
            lambda y: on_stop(which, t1, y, (params, ops.constants)),
            lambda y: y,
            y1,
        )
    return y1, local


def local_cotangent(row: Row, index: jax.Array, sources: Sources) -> tuple[jax.Array | None, Local]:
    """Cotangents of the state and the local outputs that enter at this step."""
    own, coefficients = None, None
    if sources.dense_y is not None:
        assert sources.dense_coefficients is not None
        at = jnp.maximum(row.save_row, 0)
        has_save = row.save_row >= 0
        own = jnp.where(has_save, sources.dense_y[at], 0.0)
        coefficients = jnp.where(has_save, sources.dense_coefficients[at], 0.0)

    def weight(value: jax.Array | None, step: jax.Array | None) -> jax.Array | None:
        if value is None or step is None:
            return value
        return jnp.where(step == index, value, 0.0)

    pairs = zip(sources.terms, sources.steps, strict=True)
    return own, Local(coefficients, Terms(*(weight(v, s) for v, s in pairs)))
