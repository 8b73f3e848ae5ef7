"""Forward mode through the accepted steps: JAX's own, with the step size held fixed."""

from __future__ import annotations

from dataclasses import replace

import jax
from jax import lax

from .record import Outputs, outputs, solve_recording
from .state import Config, Operands


def solve_forward(config: Config, keep_steps: bool, y0: jax.Array, ops: Operands) -> Outputs:
    """Solve so that ``jax.jvp`` and ``jax.jacfwd`` give the derivative of the accepted steps.

    With ``config.through_step_size`` it is the derivative of the whole adaptive program.
    """
    plain = replace(config, plain=True)
    solved = solve_recording(plain, y0, ops, keep_steps=keep_steps, keep_rows=False)
    # The last save is the end of the last step: its time enters through the slope there.
    late = ops.save_at[-1] - lax.stop_gradient(ops.save_at[-1])
    ys = solved.ys.at[-1].add(late * lax.stop_gradient(solved.final.slope))
    return outputs(solved)._replace(ys=ys)
