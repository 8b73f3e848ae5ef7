"""One step of the solver that was asked for, of those components that move."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from ..steps.acceptance import Step
from .config import Config
from .state import Operands, Trial

Tree = Any


def take(config: Config, trial: Trial, ops: Operands) -> Step:
    """One step; passive components of a flat state stay as they are."""
    n = config.passive_from
    if n is None:
        return config.solver.step(config, trial, ops)
    passive = trial.y[n:]

    def still(slope: jax.Array) -> jax.Array:
        return jnp.concatenate([slope, jnp.zeros_like(passive)])

    active = _active(config, passive)
    rtol, atol = (tol[:n] if tol.ndim else tol for tol in (ops.rtol, ops.atol))
    ops = ops._replace(rtol=rtol, atol=atol)
    slope = None if trial.slope is None else trial.slope[:n]
    known = None if trial.y1 is None else trial.y1[:n]
    step = active.solver.step(active, trial._replace(y=trial.y[:n], slope=slope, y1=known), ops)
    return step._replace(
        y1=jnp.concatenate([step.y1, passive]),
        stages=[still(stage) for stage in step.stages],
        slope=still(step.slope),
        slow_error=None if step.slow_error is None else still(step.slow_error),
    )


def start_radius(config: Config, t0: jax.Array, y0: jax.Array, ops: Operands) -> jax.Array | None:
    """The norm of the Jacobian at the start, for a solver that switches by it."""
    n = config.passive_from
    if n is None:
        return config.solver.start_radius(config, t0, y0, ops)
    return config.solver.start_radius(_active(config, y0[n:]), t0, y0[:n], ops)


def _active(config: Config, passive: jax.Array) -> Config:
    """The same for the active components alone, the others given."""

    def rhs(t: jax.Array, active: jax.Array, params: Tree) -> jax.Array:
        return config.rhs(t, jnp.concatenate([active, passive]), params)[: config.passive_from]

    return replace(config, rhs=rhs, passive_from=None)
