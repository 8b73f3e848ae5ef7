"""Diagonally implicit Runge-Kutta methods as the loop uses them: Newton's method a stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.acceptance import CODES, RUNNING, Step
from ..steps.newton import CONTINUED_FROM, NEWTON_TOLERANCE, continued_weights, stage_guess
from ..steps.runge_kutta import combine
from ..steps.tableau import Tableau
from .config import ChunkSweep, Config
from .dirk_chunks import sweep_dirk_chunk
from .explicit import evals_at_start
from .implicit_steps import failure_of, frozen_jacobian, implicit_pair, rhs_on_side
from .linear import linear_solver
from .newton import solve_stage
from .outcomes import Counts
from .sides import clipper
from .state import Operands, State, Trial


@dataclass(frozen=True)
class DiagonallyImplicit:
    """A diagonally implicit method; its attributes are those of a :class:`.config.Solver`.

    ``newton_tolerance`` is the share of the tolerance to which its stages converge.
    """

    tableau: Tableau
    newton_tolerance: float = NEWTON_TOLERANCE
    keeps_slopes: bool = True
    first_same_as_last: bool = False
    chunked_states: int = 6

    def step(self, config: Config, trial: Trial, ops: Operands) -> Step:
        """One step: stage by stage by Newton's method, all with one matrix."""
        tab, (t, y, h, t1, first, limits, *_) = self.tableau, trial
        rhs = rhs_on_side(config, trial, ops)
        slope = rhs(t, y) if first is None else first
        jacobian = frozen_jacobian(config, clipper(limits)(t), y, (ops.params, ops.constants))
        system = config.system
        matrix = system.shifted(jacobian, 1.0, -tab.gamma * h)
        product = _frozen_product(config, trial, ops)
        whole = system.whole(jacobian, product, y)
        factors = system.factorize(system.shifted(whole, 1.0, -tab.gamma * h))
        failure = failure_of(matrix, factors)
        stages, failure, solves = self._stages(config, rhs, trial, slope, factors, failure, ops)
        y1 = y + h * combine(tab.b, stages)
        if not tab.stiffly_accurate:
            stages.append(rhs(t1, y1))
        pair = implicit_pair(tab, lambda y: rhs(t1, y), stages, y1, h)
        slow = None
        if tab.error is not None:
            step = lax.stop_gradient(tab.gamma * h)
            solve = linear_solver(lambda u: u - step * product(u), factors, system.solve)
            slow = solve(combine(tab.error, stages))
        return Step(y1, stages, stages[-1], pair, failure, solves, slow_error=slow)

    def _stages(
        self,
        config: Config,
        rhs: Callable[[jax.Array, jax.Array], jax.Array],
        trial: Trial,
        slope: jax.Array,
        factors: Any,
        failure: jax.Array,
        ops: Operands,
    ) -> tuple[list[jax.Array], jax.Array, jax.Array]:
        """The stages that make the new state, how they were found, and in how many solves."""
        tab, t, y, h, limits = self.tableau, trial.t, trial.y, trial.h, trial.limits
        beyond = rhs if limits is None else _beyond(rhs, tab, t, h, limits)
        solves = jnp.int32(0)
        stages = [slope]
        for i in range(1, tab.steps):
            base = y + h * combine(tab.a[i, :i], stages)
            time = t + float(tab.c[i]) * h
            slope_at = beyond if tab.c[i] > 1 else rhs

            def slope_at_stage(
                state: jax.Array, time: jax.Array = time, slope_at: Any = slope_at
            ) -> jax.Array:
                return slope_at(time, state)

            guess, scaled_h = stage_guess(tab, i, stages), tab.gamma * h
            found = solve_stage(
                slope_at_stage,
                base,
                guess,
                factors,
                y,
                scaled_h,
                ops,
                system=config.system,
                tolerance=self.newton_tolerance,
                components=config.components,
            )
            stages.append(found.slope)
            solves = solves + found.iterations
            diverged = (failure == RUNNING) & ~found.converged
            failure = jnp.where(diverged, CODES["newton"], failure).astype(jnp.int32)
        return stages, failure, solves

    def start_radius(self, config: Config, t0: jax.Array, y0: jax.Array, ops: Operands) -> None:
        """Nothing: it does not switch."""

    def rhs_evals(self, final: State) -> jax.Array:
        """One a Newton iteration, and one at the end of an attempt where no stage lies there."""
        begin = evals_at_start(self.tableau)
        ends = jnp.int32(0 if self.tableau.stiffly_accurate else 1)
        return begin + final.linear_solves + ends * final.attempts

    def jacobian_evals(self, final: State) -> jax.Array:
        """One an attempt."""
        return final.attempts * 1

    def sweep_counts(self, steps: jax.Array, final: State) -> Counts:
        """Newton's iterations are done again, as many as forwards.

        Each stage is pulled back with its own Jacobian and one solve with the transposed matrix.
        """
        implicit = self.tableau.steps - 1
        return Counts(
            steps=steps,
            rejected=jnp.zeros_like(steps),
            rhs_evals=final.linear_solves + steps,
            vjp_evals=self.tableau.steps * steps,
            jacobian_evals=(1 + implicit) * steps,
            linear_solves=final.linear_solves + implicit * steps,
            status=final.status,
        )

    @property
    def sweep_chunk(self) -> ChunkSweep:
        """By the derivatives of whole steps."""
        return sweep_dirk_chunk

    @property
    def pull_step(self) -> None:
        """Nothing: JAX differentiates its steps."""


def _frozen_product(
    config: Config, trial: Trial, ops: Operands
) -> Callable[[jax.Array], jax.Array]:
    """The product with the Jacobian, which carries no derivative but that of the vector."""
    t, y = lax.stop_gradient((clipper(trial.limits)(trial.t), trial.y))
    params = lax.stop_gradient((ops.params, ops.constants))

    def product(u: jax.Array) -> jax.Array:
        return jax.jvp(lambda y: config.rhs(t, y, params), (y,), (u,))[1]

    return product


def _beyond(
    rhs: Callable[[jax.Array, jax.Array], jax.Array],
    tab: Tableau,
    t: jax.Array,
    h: jax.Array,
    limits: tuple[jax.Array, jax.Array],
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The right-hand side at the stage of a method that lies after the end of the step.

    Where a stop is in between, it is continued from within the step, by a polynomial in time at
    the stage's own state: at the last time before the stop the method would lose its order.
    """
    weights = continued_weights(tab)

    def continued(t: jax.Array, h: jax.Array, y: jax.Array) -> jax.Array:
        return combine(weights, [rhs(t + node * h, y) for node in CONTINUED_FROM])

    def beyond(time: jax.Array, y: jax.Array) -> jax.Array:
        passes = time > limits[1]
        return lax.cond(passes, lambda y: continued(t, h, y), lambda y: rhs(time, y), y)

    return beyond
