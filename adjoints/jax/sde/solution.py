"""What ``solve_sde`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ...solution import SolverOutputs
from ..solution import ARRAYS, StatusAndSteps, padded
from .config import Config, Operands, Outputs
from .control import times_of


@partial(jax.tree_util.register_dataclass, data_fields=ARRAYS, meta_fields=())
@dataclass(frozen=True)
class StochasticSolution(StatusAndSteps, SolverOutputs[Any]):
    """A solve: see :class:`~adjointbench.adjoints.solution.SolverOutputs`; ``status``, ``steps``.

    Attributes
    ----------
    stiffness_estimate : array or None
        ``None`` for a method without two stages of the drift at the same time.
    stats : dict of str to array
        ``steps``, ``rejected``, ``drift_evals`` and ``diffusion_evals``.
    padded_steps : array, shape ``(max_steps, 2)``
        Start and size of the accepted steps, filled up with steps of size zero.
    """

    padded_steps: jax.Array


def solution_of(config: Config, out: Outputs, ops: Operands) -> StochasticSolution:
    """The public form of what a solve found."""
    tableau = config.tableau
    t, h = times_of(out.rows, ops)
    assert out.totals.error is not None
    assert out.totals.error_squared is not None
    stats = {
        "steps": out.accepted,
        "rejected": out.rejected,
        "drift_evals": 1 + len(tableau.drift_stages) * out.attempts,
        "diffusion_evals": 1 + len(tableau.diffusion_stages) * out.attempts,
    }
    return StochasticSolution(
        ys=out.ys,
        error_estimate=out.totals.error,
        error_squared=out.totals.error_squared,
        stiffness_estimate=out.totals.stiffness,
        stats=stats,
        status_code=out.status,
        padded_steps=padded(jnp.stack([t, h], axis=-1), out.accepted, ops.ends[-1]),
    )
