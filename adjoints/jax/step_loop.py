"""The adaptive loop: the state before the first attempt, attempts, and when they end."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.acceptance import CODES, RUNNING
from ..steps.step_size import SMALLEST_ERROR
from . import control_flow
from .attempt import attempt
from .config import Config
from .control import control_of
from .events.detection import events_at_start
from .record import writes_of
from .sides import clipper, time_limits
from .state import Operands, State
from .stepping import start_radius
from .totals import add_terms

Tree = Any


def start(config: Config, y0: jax.Array, ops: Operands) -> State:
    """The state before the first attempt; the right-hand side is evaluated once or twice."""
    clip = clipper(time_limits(config, ops.stops.first, ops))
    slope = config.rhs(clip(ops.t0), y0, (ops.params, ops.constants))
    h = control_of(config).first_size(config, y0, slope, ops)
    zero = jnp.int32(0)
    finite = jnp.isfinite(slope).all() & jnp.isfinite(y0).all()
    status = jnp.where(finite, RUNNING, CODES["nonfinite"])
    if ops.begins is not None:
        status = jnp.where(ops.begins == RUNNING, status, ops.begins)
    if ops.sound is not None:
        status = jnp.where(ops.sound, status, CODES["failed"])
    return State(
        t=ops.t0,
        y=y0,
        slope=slope,
        h=h if config.through_step_size else lax.stop_gradient(h),
        previous_error=jnp.full_like(ops.t0, SMALLEST_ERROR),
        stop=ops.stops.first,
        saved=zero,
        save_row=zero,
        accepted=zero,
        attempts=zero,
        linear_solves=zero,
        phase=zero,
        radius=start_radius(config, clip(ops.t0), y0, ops),
        status=status.astype(jnp.int32),
        events=events_at_start(config.events, ops.stops, ops.t0, y0, ops),
    )


def running(state: State, ops: Operands) -> jax.Array:
    """Whether another attempt is to be made."""
    go = state.status == RUNNING
    return go if ops.limit is None else go & (state.t < ops.limit)


def step_on(
    config: Config, carry: Tree, buffers: dict[str, Any], ops: Operands, windows: Any
) -> tuple[Tree, dict[str, Any]]:
    """Step to the end, or until so many windows are full."""
    names = tuple(name for name, stored in buffers.items() if stored is not None)

    def turn(carry: Tree, operands: Tree) -> Tree:
        state, totals = carry
        found = attempt(config, state, operands[0])
        totals = add_terms(config.reduction, totals, found.accept, found.terms, state.accepted)
        rows = writes_of(config, state, found, buffers)
        return (found.state, totals), tuple(rows[name] for name in names)

    def active(carry: Tree, operands: Tree) -> jax.Array:
        ops, windows = operands
        go = running(carry[0], ops)
        return go if windows is None else go & (carry[0].accepted < windows * config.window)

    stored = tuple(buffers[name] for name in names)
    carry, stored = control_flow.while_recording(
        active, turn, carry, stored, (ops, windows), plain=config.jax_differentiates
    )
    return carry, {**dict.fromkeys(buffers), **dict(zip(names, stored, strict=True))}
