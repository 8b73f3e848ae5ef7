"""Where the size of a step comes from: from the error, from nowhere, or from the user.

Three ways of control with the same functions; :func:`control_of` picks one. A window that is taken
again is told its sizes besides (``recorded``), whatever the control.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from ..steps.acceptance import (
    CODES,
    FIXED_STEPS,
    STRETCH_GIVEN,
    given_step_fits,
    given_step_slack,
    next_size,
)
from ..steps.runge_kutta import error_scale
from ..steps.step_size import STRETCH, first_step
from ..steps.tableau import Tableau
from .config import Config
from .mass import first_slope
from .state import Operands, State

Tree = Any

#: The size of a step that was recorded, and whether it reached the next stop.
Recorded = tuple[jax.Array, jax.Array]


class Reach(NamedTuple):
    """Start and size of the step to try; whether it ends on the next stop, or on the limit."""

    t: jax.Array
    h: jax.Array
    stop: jax.Array
    limit: jax.Array


class Control(Protocol):
    """Where the size of a step comes from. Static."""

    def first_size(
        self, config: Config, y0: jax.Array, slope: jax.Array, ops: Operands
    ) -> jax.Array:
        """The size of the first step."""
        ...

    def reach(self, state: State, ops: Operands) -> Reach:
        """How far the next attempt goes."""
        ...

    def next_size(
        self, state: State, h: jax.Array, error: jax.Array, reached: jax.Array, ops: Operands
    ) -> jax.Array:
        """The size to try next, after a step of size `h` that `reached` a stop or not."""
        ...


@dataclass(frozen=True)
class ErrorControl:
    """Sizes by the embedded error; rounded to a few bits, unless derivatives flow through them."""

    tableau: Tableau
    rounded: bool

    def first_size(
        self, config: Config, y0: jax.Array, slope: jax.Array, ops: Operands
    ) -> jax.Array:
        """Hairer's, unless it is given."""
        span = _first_span(ops)
        if ops.first_step is not None:
            return _limited(ops.first_step.astype(ops.t0.dtype), ops)
        n, slope = config.components, first_slope(config, slope)
        scale = error_scale(y0, y0, ops.rtol, ops.atol)
        part = (y0[:n], slope[:n], scale[:n]) if n is not None else (y0, slope, scale)

        def rhs(t: jax.Array, y: jax.Array, params: Tree) -> jax.Array:
            full = y if n is None else jnp.concatenate([y, y0[n:]])
            slope = first_slope(config, config.rhs(t, full, params))
            return slope if n is None else slope[:n]

        params = (ops.params, ops.constants)
        order = self.tableau.error_order
        first = first_step(rhs, ops.t0, part[0], part[1], params, part[2], span, order)
        return _limited(first, ops)

    def reach(self, state: State, ops: Operands) -> Reach:
        """To the next stop or limit where the step comes near it."""
        return _reach_by_size(state, ops, STRETCH if ops.max_step is None else STRETCH_GIVEN)

    def next_size(
        self, state: State, h: jax.Array, error: jax.Array, reached: jax.Array, ops: Operands
    ) -> jax.Array:
        """By the PI controller; a step cut short by a stop does not shrink what follows."""
        proposal = next_size(self.tableau, h, state.h, error, state.previous_error, reached)
        return _limited(short(proposal) if self.rounded else proposal, ops)


@dataclass(frozen=True)
class ConstantSize:
    """Steps of one size, those to a stop excepted."""

    def first_size(
        self, config: Config, y0: jax.Array, slope: jax.Array, ops: Operands
    ) -> jax.Array:
        """A fixed share of the span, unless it is given."""
        if ops.first_step is not None:
            return _limited(ops.first_step.astype(ops.t0.dtype), ops)
        return _limited((ops.stops.end - ops.t0) / FIXED_STEPS, ops)

    def reach(self, state: State, ops: Operands) -> Reach:
        """To the next stop or limit where the step comes near it."""
        return _reach_by_size(state, ops, STRETCH_GIVEN)

    def next_size(
        self, state: State, h: jax.Array, error: jax.Array, reached: jax.Array, ops: Operands
    ) -> jax.Array:
        """The same."""
        return state.h


@dataclass(frozen=True)
class GivenSteps:
    """The steps that were given, taken one after the other, each in equal pieces."""

    def first_size(
        self, config: Config, y0: jax.Array, slope: jax.Array, ops: Operands
    ) -> jax.Array:
        """Not read."""
        return _first_span(ops)

    def reach(self, state: State, ops: Operands) -> Reach:
        """As far as the step goes that is next; those of size zero do nothing."""
        assert ops.steps is not None
        stop = ops.stops.times[state.stop]
        pieces = ops.steps.pieces
        t, h = ops.steps.rows[state.attempts // pieces]
        h = h / pieces.astype(h.dtype)
        t = jnp.where(h == 0, state.t, t + (state.attempts % pieces).astype(h.dtype) * h)
        reaches = (h != 0) & (t + h >= stop - given_step_slack(t, h, stop))
        return Reach(t, h, reaches, jnp.bool_(False))

    def next_size(
        self, state: State, h: jax.Array, error: jax.Array, reached: jax.Array, ops: Operands
    ) -> jax.Array:
        """Not read."""
        return state.h


def control_of(config: Config) -> Control:
    """Where a solve takes its step sizes from."""
    if config.given_steps:
        return GivenSteps()
    if config.controlled:
        return ErrorControl(config.tableau, rounded=not config.through_step_size)
    return ConstantSize()


def reach_of_recorded(state: State, ops: Operands, recorded: Recorded) -> Reach:
    """How far a recorded step went."""
    h, reaches = recorded
    stop = ops.stops.times[state.stop]
    return Reach(state.t, jnp.where(reaches, stop - state.t, h), reaches, jnp.bool_(False))


def status_of_given(
    state: State,
    following: State,
    reach: Reach,
    finished: jax.Array,
    status: jax.Array,
    ops: Operands,
) -> jax.Array:
    """The `status` after a step that was given: failed where the steps do not go on to the end."""
    fits = given_step_fits(reach.t, reach.h, state.t, ops.stops.times[state.stop])
    arrives = ~finished | (following.t >= ops.stops.end)
    return jnp.where(fits & arrives, status, jnp.int32(CODES["failed"]))


def short(h: jax.Array) -> jax.Array:
    """The step size to eight significant bits."""
    return h.astype(jnp.bfloat16).astype(h.dtype)


def _first_span(ops: Operands) -> jax.Array:
    return ops.stops.times[ops.stops.first] - ops.t0


def _limited(h: jax.Array, ops: Operands) -> jax.Array:
    """A step size, or the largest that is allowed."""
    return h if ops.max_step is None else jnp.minimum(h, ops.max_step)


def _reach_by_size(state: State, ops: Operands, stretch: float) -> Reach:
    """To the next stop where so many times the size would reach it."""
    stop = ops.stops.times[state.stop]
    end = stop if ops.limit is None else jnp.minimum(stop, ops.limit)
    ends = state.t + stretch * state.h >= end
    h = jnp.where(ends, end - state.t, state.h)
    if ops.limit is None:
        return Reach(state.t, h, ends, jnp.bool_(False))
    return Reach(state.t, h, ends & (stop <= ops.limit), ends & (ops.limit <= stop))
