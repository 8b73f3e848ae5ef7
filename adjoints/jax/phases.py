"""When a solver switches between an explicit and an implicit method, and back.

The estimate that comes with an explicit step sees only the modes which move. Those at rest are
amplified all the same by steps beyond the region of stability, and so is every derivative with
respect to them, with no sign of it in the error estimate. So the norm of the last known Jacobian,
that of the start or of the last implicit step, has a say too: an explicit step that would leave
the region by it is taken implicitly, which brings the norm up to date.

References
----------
L. Petzold, SIAM J. Sci. Stat. Comput. 4 (1983) 136-148; the counts are those of
OrdinaryDiffEq.jl's automatic switching (C. Rackauckas, Q. Nie, J. Open Res. Softw. 5 (2017) 15).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ..steps.acceptance import Step
from .state import State, Trial

#: Where ``|h| radius`` is above this, stability limits the explicit method: three quarters of
#: the extent of its region of stability along the negative real axis.
STIFF = 0.75 * 3.5068
#: Signs of stiffness in a row that make the solver implicit, and of its end that undo it.
BEFORE_IMPLICIT, BEFORE_EXPLICIT = 10, 3


def is_implicit(phase: jax.Array) -> jax.Array:
    """Whether the next step is an implicit one."""
    return phase < 0


def present_phase(phase: jax.Array, h_radius: jax.Array) -> jax.Array:
    """The phase in which a step is tried, by its size times the norm of the last Jacobian."""
    return jnp.where(jnp.abs(h_radius) > STIFF, jnp.minimum(phase, -1), phase).astype(jnp.int32)


def next_phase(phase: jax.Array, h_radius: jax.Array) -> jax.Array:
    """The phase after an accepted step.

    Not negative: explicit, after so many signs of stiffness in a row. Negative: implicit; -1
    and so many less for signs that the equations are no longer stiff.

    Parameters
    ----------
    phase : array
    h_radius : array
        The step size times an estimate of the largest eigenvalue.
    """
    stiff = jnp.abs(h_radius) > STIFF
    explicit = jnp.where(stiff, phase + 1, 0)
    explicit = jnp.where(explicit >= BEFORE_IMPLICIT, -1, explicit)
    implicit = jnp.where(stiff, -1, phase - 1)
    implicit = jnp.where(implicit < -BEFORE_EXPLICIT, 0, implicit)
    return jnp.where(is_implicit(phase), implicit, explicit).astype(jnp.int32)


def switched(following: State, state: State, trial: Trial, step: Step, accept: jax.Array) -> State:
    """How a solver that switches goes on; a rejected step, which is never taken again, is no sign.

    Parameters
    ----------
    following, state : State
        After and before the attempt; of a solver that does not switch the first is returned.
    trial, step
        What was tried.
    accept : array
    """
    if state.radius is None:
        return following
    assert step.radius is not None
    assert trial.phase is not None
    return following._replace(
        phase=jnp.where(accept, next_phase(trial.phase, step.radius * trial.h), state.phase),
        radius=jnp.where(accept & is_implicit(trial.phase), step.radius, state.radius),
    )
