"""What a solve and its reverse pass return, whatever the adjoint."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax

from ..steps.acceptance import Terms
from .state import State, StopArrays

Tree = Any


class Met(NamedTuple):
    """The events of a finished solve.

    ``stops`` are all stops, ``before`` the states before each, of which a row is added that is none
    of theirs, and ``number`` says how many of them are events.
    """

    stops: StopArrays
    before: jax.Array
    number: jax.Array


class Outputs(NamedTuple):
    """What a differentiable solve returns.

    ``path`` has all accepted steps as they were recorded, and ``y_end`` is the last state, where
    dense output is wanted. ``met`` are the events, where any are looked for.
    """

    ys: jax.Array
    totals: Terms
    final: State
    steps: jax.Array | None
    path: jax.Array | None
    y_end: jax.Array | None = None
    met: Met | None = None

    @property
    def before(self) -> jax.Array | None:
        """The states before the stops, of which those of events are made."""
        return None if self.met is None else self.met.before


class Counts(NamedTuple):
    """Work and status of a reverse pass."""

    steps: jax.Array
    rejected: jax.Array
    rhs_evals: jax.Array
    vjp_evals: jax.Array
    jacobian_evals: jax.Array
    linear_solves: jax.Array
    status: jax.Array


class Pulled(NamedTuple):
    """What a reverse pass returns."""

    dy0: jax.Array
    dparams: Tree
    counts: Counts
