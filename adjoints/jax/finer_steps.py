"""The accepted steps of a solve, cut into equal pieces and taken again with no control."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from ..steps.acceptance import CODES
from .config import Config
from .outcomes import Outputs
from .state import Operands, StepArrays


def finer_config(config: Config, room: int) -> Config:
    """How the steps of a solve are taken again, in `room` pieces at most."""
    return replace(config, given_steps=True, max_steps=room, through_step_size=False)


def room_for(steps: int) -> int:
    """Room for so many steps, of few sizes: each needs a program of its own."""
    room = 256
    while room < steps:
        room *= 16
    return room


def finer_operands(config: Config, ops: Operands, out: Outputs, pieces: Any) -> Operands:
    """What is read by the solve that takes the steps of a finished one again.

    A reverse solve has a mesh of its own, on which the error goes with the tolerance: that is
    divided by what the pieces divide the error of the forward steps by.

    Parameters
    ----------
    config, ops
        Of the solve that took the steps.
    out : Outputs
        What it returned, steps included.
    pieces : int or array
        Into how many equal ones each step is cut.
    """
    assert out.steps is not None
    assert ops.reverse_rtol is not None
    assert ops.reverse_atol is not None
    taken = jnp.where(out.final.status == CODES["ok"], out.final.accepted, 0)
    gain = jnp.asarray(pieces, out.ys.dtype) ** config.tableau.order
    tightest = 8 * jnp.finfo(out.ys.dtype).eps
    return ops._replace(
        steps=StepArrays(jax.lax.stop_gradient(out.steps), taken, jnp.asarray(pieces, jnp.int32)),
        reverse_rtol=jnp.maximum(ops.reverse_rtol / gain, tightest),
        reverse_atol=ops.reverse_atol / gain,
    )
