"""Forward mode through the accepted steps: JAX's own, with the step size held fixed."""

from __future__ import annotations

from dataclasses import replace

import jax

from .config import Config
from .forward_pass import outputs, solve_recording
from .outcomes import Outputs
from .state import Operands


def solve_forward(config: Config, keep_steps: bool, y0: jax.Array, ops: Operands) -> Outputs:
    """Solve so that ``jax.jvp`` and ``jax.jacfwd`` give the derivative of the accepted steps.

    With ``config.through_step_size`` it is the derivative of the whole adaptive program.
    """
    config = replace(config, jax_differentiates=True)
    return outputs(solve_recording(config, y0, ops, keep_steps=keep_steps, keep_rows=False))
