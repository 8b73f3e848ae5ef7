"""Rosenbrock methods as the loop uses them: linear systems with one matrix a step."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ..steps.acceptance import Step
from ..steps.rosenbrock import rosenbrock_stages
from ..steps.runge_kutta import combine
from ..steps.tableau import Tableau
from .config import ChunkSweep, Config, StepPull
from .explicit import evals_at_start
from .implicit_steps import failure_of, frozen_jacobian, implicit_pair, rhs_on_side
from .linear import linear_solver
from .mass import mass_times, step_matrix
from .outcomes import Counts
from .rosenbrock_back import pull_rosenbrock_step
from .rosenbrock_chunks import sweep_rosenbrock_chunk
from .sides import clipper
from .state import Operands, State, Trial


@dataclass(frozen=True)
class Rosenbrock:
    """A Rosenbrock method; its attributes are those of a :class:`.config.Solver`."""

    tableau: Tableau
    keeps_slopes: bool = False
    first_same_as_last: bool = False
    chunked_states: int = 6

    def step(self, config: Config, trial: Trial, ops: Operands) -> Step:
        """One step: every stage a system with the same matrix."""
        tab, (t, y, h, t1, first, limits, *_) = self.tableau, trial
        system = config.system
        rhs = rhs_on_side(config, trial, ops)
        slope = rhs(t, y) if first is None else first
        jacobian = frozen_jacobian(config, clipper(limits)(t), y, (ops.params, ops.constants))
        matrix = step_matrix(config, tab.gamma, jacobian, h)

        def product(u: jax.Array) -> jax.Array:
            return jax.jvp(lambda y: rhs(t, y), (y,), (u,))[1]

        whole = system.whole(jacobian, product, y)
        factors = system.factorize(step_matrix(config, tab.gamma, whole, h))
        time_slope = jax.jvp(lambda t: rhs(t, y), (t,), (jnp.ones_like(t),))[1]
        mass = mass_times(config)
        solve = linear_solver(lambda u: mass(u) / tab.gamma - h * product(u), factors, system.solve)
        stages = rosenbrock_stages(rhs, tab, t, y, h, slope, time_slope, solve, mass)
        y1 = y + h * combine(tab.b, stages)
        failure = failure_of(matrix, factors)
        pair = None
        if config.mass is None:
            pair = implicit_pair(tab, lambda y: rhs(t1, y), stages, y1, h)
        slope = rhs(t1, y1)
        solves = jnp.int32(tab.steps)
        radius = system.largest_row_sum(jacobian)
        return Step(y1, stages, slope, pair, failure, solves, radius)

    def start_radius(self, config: Config, t0: jax.Array, y0: jax.Array, ops: Operands) -> None:
        """Nothing: it does not switch."""

    def rhs_evals(self, final: State) -> jax.Array:
        """The stages of all attempts."""
        return evals_at_start(self.tableau) + final.attempts * self.tableau.steps

    def jacobian_evals(self, final: State) -> jax.Array:
        """One an attempt."""
        return final.attempts * 1

    def sweep_counts(self, steps: jax.Array, final: State) -> Counts:
        """A step's stages are computed again and pulled back, with one matrix for both.

        Each stage is solved for once forwards, and once with the transposed matrix.
        """
        evals = self.tableau.steps * steps
        return Counts(
            steps=steps,
            rejected=jnp.zeros_like(steps),
            rhs_evals=evals,
            vjp_evals=evals,
            jacobian_evals=1 * steps,
            linear_solves=2 * self.tableau.steps * steps,
            status=final.status,
        )

    @property
    def sweep_chunk(self) -> ChunkSweep:
        """By the derivatives of the stages."""
        return sweep_rosenbrock_chunk

    @property
    def pull_step(self) -> StepPull:
        """By loops over its stages."""
        return pull_rosenbrock_step
