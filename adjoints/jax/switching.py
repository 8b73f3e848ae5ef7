"""A solver that switches between an explicit and an implicit method as the equations ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.acceptance import RUNNING, Step
from ..steps.runge_kutta import combine, stiffness
from ..steps.tableau import Tableau
from .config import Config, Solver
from .explicit import ExplicitRungeKutta, evals_at_start
from .implicit_steps import frozen_jacobian
from .outcomes import Counts
from .phases import is_implicit
from .rosenbrock import Rosenbrock
from .sides import clipper
from .state import Operands, State, Trial


@dataclass(frozen=True)
class Switching:
    """A pair of methods; its attributes are those of a :class:`.config.Solver`.

    Its tableau is the form in which both give their steps: the "stages" are the embedded error
    and the powers of the dense output.
    """

    tableau: Tableau
    explicit: ExplicitRungeKutta
    implicit: Rosenbrock
    keeps_slopes: bool = False
    first_same_as_last: bool = False
    chunked_states: int = 0

    def step(self, config: Config, trial: Trial, ops: Operands) -> Step:
        """A step of the explicit or of the implicit method."""
        t, y, h, t1, first, limits, phase, _ = trial
        assert phase is not None
        stiff = is_implicit(phase)
        if first is None:
            first = config.rhs(clipper(limits)(t), y, (ops.params, ops.constants))

        def run_explicit(h: Any, *rest: Any) -> Step:
            return _common_form(self.explicit, config, h[0], *rest)

        def run_implicit(h: Any, *rest: Any) -> Step:
            return _common_form(self.implicit, config, h[1], *rest)

        # Where lanes disagree both branches run: the one that is not chosen takes a step of size
        # zero, in which nothing overflows.
        zero = jnp.zeros_like(h)
        sizes = (jnp.where(stiff, zero, h), jnp.where(stiff, h, zero))
        return config.choose(stiff, run_implicit, run_explicit, sizes, t, y, t1, first, ops, limits)

    def start_radius(
        self, config: Config, t0: jax.Array, y0: jax.Array, ops: Operands
    ) -> jax.Array:
        """The norm of the Jacobian at the start."""
        return config.system.largest_row_sum(
            frozen_jacobian(config, t0, y0, (ops.params, ops.constants))
        )

    def rhs_evals(self, final: State) -> jax.Array:
        """The stages of all attempts, of whichever method."""
        begin = evals_at_start(self.tableau)
        explicit, implicit = self.explicit.tableau.steps, self.implicit.tableau.steps
        solved = final.linear_solves // implicit
        return begin + (final.attempts - solved) * explicit + solved * implicit

    def jacobian_evals(self, final: State) -> jax.Array:
        """One an implicit attempt, and one at the start."""
        return 1 + final.linear_solves // self.implicit.tableau.steps

    def sweep_counts(self, steps: jax.Array, final: State) -> Counts:
        """As if no implicit attempt had been rejected."""
        explicit, implicit = self.explicit.tableau.steps, self.implicit.tableau.steps
        solved = jnp.minimum(final.linear_solves // implicit, steps)
        evals = (steps - solved) * explicit + solved * implicit
        return Counts(
            steps=steps,
            rejected=jnp.zeros_like(steps),
            rhs_evals=evals,
            vjp_evals=evals,
            jacobian_evals=solved,
            linear_solves=2 * implicit * solved,
            status=final.status,
        )

    @property
    def sweep_chunk(self) -> None:
        """Nothing: its steps differ in kind, and are swept one by one."""

    @property
    def pull_step(self) -> None:
        """Nothing: its steps differ in kind."""


def _common_form(
    solver: Solver,
    config: Config,
    h: jax.Array,
    t: jax.Array,
    y: jax.Array,
    t1: jax.Array,
    first: jax.Array,
    ops: Operands,
    limits: Any,
) -> Step:
    """A step whose "stages" are its error and the powers of its dense output."""
    step = solver.step(config, Trial(t, y, h, t1, first, limits, None), ops)
    tab = solver.tableau
    assert step.pair is not None
    assert tab.error is not None
    radius = lax.stop_gradient(stiffness(step.pair) if step.radius is None else step.radius)
    return Step(
        y1=step.y1,
        stages=[combine(tab.error, step.stages), *(combine(d, step.stages) for d in tab.dense.T)],
        slope=step.slope,
        pair=step.pair,
        failure=jnp.int32(RUNNING) if step.failure is None else step.failure,
        linear_solves=jnp.int32(0) if step.linear_solves is None else step.linear_solves,
        radius=radius,
    )
