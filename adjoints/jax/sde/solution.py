"""What ``solve_sde`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ..solution import padded, status_name, trimmed
from .config import Config, Operands, Outputs
from .control import times_of


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "ys",
        "error_estimate",
        "error_squared",
        "stiffness_estimate",
        "stats",
        "status_code",
        "padded_steps",
    ],
    meta_fields=[],
)
@dataclass(frozen=True)
class StochasticSolution:
    """A solve of a stochastic equation, with the inside of the solver as differentiable outputs.

    Attributes
    ----------
    ys : array, shape ``(len(save_at), *y0.shape)``
        The solution at the save times; NaN where the solver broke down.
    error_estimate, error_squared : array
        R_E and R_E2: the norm of the embedded error of each accepted step times its size, and its
        square, reduced.
    stiffness_estimate : array or None
        R_S: the stiffness estimate of each accepted step times its size, reduced. ``None`` for a
        method without two stages of the drift at the same time.
    stats : dict of str to array
        ``steps``, ``rejected``, ``drift_evals`` and ``diffusion_evals``.
    status_code : array
        Index into :data:`~adjointbench.adjoints.result.STATUSES`.
    padded_steps : array, shape ``(max_steps, 2)``
        Start and size of the accepted steps, filled up with steps of size zero.
    """

    ys: jax.Array
    error_estimate: jax.Array
    error_squared: jax.Array
    stiffness_estimate: jax.Array | None
    stats: dict[str, jax.Array]
    status_code: jax.Array
    padded_steps: jax.Array

    @property
    def status(self) -> Any:
        """``"ok"`` or what went wrong; the integer code(s) while tracing or for a batch."""
        return status_name(self.status_code)

    @property
    def steps(self) -> tuple[jax.Array, jax.Array]:
        """``(t, h)`` of the accepted steps; ``solve_sde(..., steps=these)`` takes them again."""
        return trimmed(self.padded_steps, self.stats["steps"])

    @property
    def estimates(self) -> dict[str, jax.Array | None]:
        """The solver's estimates by the names of the regularisers that are made of them."""
        return {
            "error": self.error_estimate,
            "error_squared": self.error_squared,
            "stiffness": self.stiffness_estimate,
        }


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
