"""What the steps of implicit solvers share: their matrix, how it fails, their stiffness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.acceptance import CODES, RUNNING
from ..steps.runge_kutta import combine
from ..steps.tableau import Tableau
from .config import Config
from .linear import Factors, is_finite
from .sides import clipper
from .state import Operands, Trial
from .systems.system import Matrix

Tree = Any


def rhs_on_side(
    config: Config, trial: Trial, ops: Operands
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The right-hand side of time and state, on the step's own side of discontinuities."""
    params, clip = (ops.params, ops.constants), clipper(trial.limits)
    return lambda t, y: config.rhs(clip(t), y, params)


def frozen_jacobian(config: Config, t: jax.Array, y: jax.Array, params: Tree) -> Matrix:
    """The Jacobian that the linear systems are made of; it carries no derivative."""
    t, y, params = lax.stop_gradient((t, y, params))
    if config.jacobian is not None:
        return config.jacobian(t, y, params)
    return config.system.jacobian(lambda y: config.rhs(t, y, params), y)


def failure_of(matrix: Matrix, factors: Factors) -> jax.Array:
    """The status code of a step with this matrix: ``RUNNING`` unless it has no factors."""
    unfit = is_finite(matrix) & ~is_finite(factors)
    return jnp.where(unfit, CODES["linear_solve"], RUNNING).astype(jnp.int32)


def implicit_pair(
    tab: Tableau,
    slope: Callable[[jax.Array], jax.Array],
    stages: list[jax.Array],
    y1: jax.Array,
    h: jax.Array,
) -> tuple[jax.Array, jax.Array] | None:
    """The two differences of Shampine's stiffness estimate, for an implicit step.

    Between the new state and a stage's state at the same time, which are too close for the
    difference of their slopes: the product of the Jacobian with the difference of the states.

    Parameters
    ----------
    tab : Tableau
    slope : callable
        The right-hand side at the end of the step, as a function of the state.
    stages, y1, h
        Of the step.
    """
    if tab.stiffness_stages is None:
        return None
    apart = h * combine(tab.b - tab.a[tab.stiffness_stages[0]], stages)
    return jax.jvp(slope, (y1,), (apart,))[1], apart
