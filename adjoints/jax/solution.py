"""What ``solve`` returns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from ..result import STATUSES
from ..solution import OpenSolution
from ..state_layout import View
from .config import Config
from .dense_output import DenseOutput
from .events.outputs import EventRecord
from .outcomes import Outputs

#: The fields of what a solve returns that are arrays.
ARRAYS = (
    *("ys", "error_estimate", "error_squared", "stiffness_estimate"),
    *("stats", "status_code", "padded_steps"),
)


class StatusAndSteps:
    """Status and accepted steps of a solve, as its user sees them."""

    stats: dict[str, Any]
    status_code: Any
    padded_steps: Any

    @property
    def status(self) -> Any:
        """``"ok"`` or what went wrong; the integer code(s) while tracing or for a batch."""
        code = self.status_code
        return code if isinstance(code, Tracer) or code.ndim else STATUSES[int(code)]

    @property
    def steps(self) -> tuple[jax.Array, jax.Array]:
        """``(t, h)`` of the accepted steps; a solve with ``steps=these`` takes them again.

        While tracing, and for a batch, they are filled up with steps of size zero at the end
        time, which change nothing.
        """
        t, h = self.padded_steps[..., 0], self.padded_steps[..., 1]
        if isinstance(h, Tracer) or h.ndim != 1:
            return t, h
        count = int(self.stats["steps"])
        return t[:count], h[:count]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[*ARRAYS, "dense_output", "event_record"],
    meta_fields=["engine", "linear_solver"],
)
@dataclass(frozen=True)
class Solution(StatusAndSteps, OpenSolution[Any]):
    """A solve: see :class:`~adjointbench.adjoints.solution.OpenSolution`; ``status``, ``steps``.

    Attributes
    ----------
    padded_steps : array, shape ``(max_steps, 2)``
        The accepted steps, with negative sizes backwards, filled up with steps of size zero.
    """

    padded_steps: jax.Array


def solution_of(
    config: Config,
    out: Outputs,
    dense_output: DenseOutput | None,
    view: View,
    engine: str,
    linear_solver: str | None,
    event_record: EventRecord | None = None,
) -> Solution:
    """The public form of what a solve found, as its user sees it."""
    final, totals = out.final, out.totals
    stats = {
        "steps": final.accepted,
        "rejected": final.attempts - final.accepted,
        "rhs_evals": config.solver.rhs_evals(final),
        "jacobian_evals": config.solver.jacobian_evals(final),
        "linear_solves": final.linear_solves,
    }
    assert out.steps is not None
    return Solution(
        ys=view.structure(out.ys),
        error_estimate=totals.error,
        error_squared=totals.error_squared,
        stiffness_estimate=totals.stiffness,
        stats=stats,
        status_code=final.status,
        padded_steps=view.turned(padded(out.steps[: config.max_steps], final.accepted, final.t)),
        dense_output=dense_output,
        engine=engine,
        linear_solver=linear_solver,
        event_record=event_record,
    )


def padded(steps: jax.Array, count: jax.Array, end: jax.Array) -> jax.Array:
    """The steps, filled up with steps of size zero at the end."""
    taken = jnp.arange(steps.shape[0], dtype=count.dtype) < count
    idle = jnp.stack([end, jnp.zeros_like(end)])
    return jnp.where(taken[:, None], steps, idle)
