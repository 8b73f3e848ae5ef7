"""The gradient of a training step on JAX, through the encoder of its start values where it has one.

The derivative by the start values, which the problem's own adjoint finds, is pulled back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..adjoints.program import TrainingGradient
from .loss_gradient import LossGradient
from .stochastic_gradient import StochasticGradient

Tree = Any


def training_gradient(
    loss_gradient: LossGradient | StochasticGradient,
    params: Tree,
    y0: Any,
    constants: Tree,
    coefficients: Any,
) -> TrainingGradient:
    """Loss and gradient by all weights: `y0` is not looked at where it is encoded."""
    start, run = loss_gradient.task.start, loss_gradient.training_gradient
    if start is None:
        return run(params, y0, constants, coefficients)
    own, encoder, rest = loss_gradient.parts(params, constants)
    (encoded, divergence), pull = jax.vjp(lambda w: start(w, constants, scanned), encoder)
    found = run(own, encoded, rest, coefficients)
    (slopes,) = pull((found.dy0, jnp.ones_like(divergence)))
    return found._replace(loss=found.loss + divergence, dparams={**found.dparams, **slopes})


def scanned(cell: Callable[[Any, Any], Any], state: Any, inputs: Any) -> Any:
    """``scan`` of JAX: the cell is compiled once."""
    return jax.lax.scan(lambda state, x: (cell(state, x), None), state, inputs)[0]
