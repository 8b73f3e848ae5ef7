"""Explicit Runge-Kutta methods as the loop uses them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ..steps.acceptance import Step, explicit_step
from ..steps.tableau import Tableau
from .config import ChunkSweep, Config
from .explicit_chunks import sweep_explicit_chunk
from .outcomes import Counts
from .sides import clipper
from .state import Operands, State, Trial


@dataclass(frozen=True)
class ExplicitRungeKutta:
    """An explicit Runge-Kutta method; its attributes are those of a :class:`.config.Solver`."""

    tableau: Tableau
    keeps_slopes: bool = False
    first_same_as_last: bool = True
    chunked_states: int = 8

    def step(self, config: Config, trial: Trial, ops: Operands) -> Step:
        """One step from its stages, one right-hand side each."""
        t, y, h, t1, slope, limits, _, y1 = trial
        params, clip = (ops.params, ops.constants), clipper(limits)
        known = None if y1 is None else partial(_known, y1)
        rhs, tab = config.rhs, self.tableau
        return explicit_step(rhs, tab, t, y, h, t1, slope, params, clip, known)

    def start_radius(self, config: Config, t0: jax.Array, y0: jax.Array, ops: Operands) -> None:
        """Nothing: it does not switch."""

    def rhs_evals(self, final: State) -> jax.Array:
        """The stages of all attempts."""
        return evals_at_start(self.tableau) + final.attempts * self.tableau.steps

    def jacobian_evals(self, final: State) -> jax.Array:
        """None."""
        return final.attempts * 0

    def sweep_counts(self, steps: jax.Array, final: State) -> Counts:
        """A step's stages are computed again and pulled back."""
        none, evals = jnp.zeros_like(steps), self.tableau.steps * steps
        return Counts(
            steps=steps,
            rejected=jnp.zeros_like(steps),
            rhs_evals=evals,
            vjp_evals=evals,
            jacobian_evals=0 * steps,
            linear_solves=none,
            status=final.status,
        )

    @property
    def sweep_chunk(self) -> ChunkSweep:
        """By the derivatives of the stages."""
        return sweep_explicit_chunk

    @property
    def pull_step(self) -> None:
        """Nothing: its stages are few operations besides the right-hand side."""


@jax.custom_jvp
def _known(value: jax.Array, formula: jax.Array) -> jax.Array:
    """A `value` that is known, with the derivatives of its `formula`, which is not evaluated."""
    return value


@_known.defjvp
def _known_tangent(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    return primals[0], tangents[1]


def evals_at_start(tableau: Tableau) -> jax.Array:
    """Right-hand sides before the first attempt: the slope there, and one for the first guess."""
    return jnp.int32(2 if tableau.adaptive else 1)
