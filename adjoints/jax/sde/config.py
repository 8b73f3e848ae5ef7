"""What a solve of a stochastic equation does (static), reads and carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from ...steps.acceptance import Terms
from ...steps.stochastic_step import Field
from ...steps.stochastic_tableaus import StochasticTableau
from .tree import Tree

#: How steps come about: by the embedded error, by a size for all, or as they are given.
ADAPTIVE, CONSTANT, GIVEN = "adaptive", "constant", "given"


@dataclass(frozen=True)
class Config:
    """What a solve does; everything here is static.

    Attributes
    ----------
    drift, diffusion : callable
        Of ``(t, y, params)``.
    tableau : StochasticTableau
    tree : Tree
        The Brownian path between two saves.
    key_kind : str
        Of the random numbers.
    adjoint : {"discrete", "forward"}
    steps : {"adaptive", "constant", "given"}
    max_steps, window : int
        Attempts allowed, and accepted steps whose states are recorded as they are.
    error_norm, reduction : str
        How ``error_estimate`` and its like are formed.
    """

    drift: Field
    diffusion: Field
    tableau: StochasticTableau
    tree: Tree
    key_kind: str
    adjoint: str
    steps: str
    max_steps: int
    window: int
    error_norm: str
    reduction: str

    @property
    def windows(self) -> int:
        """Windows that ``max_steps`` accepted steps can fill."""
        return -(-self.max_steps // self.window)


class Operands(NamedTuple):
    """What a solve reads; only ``params`` are differentiated.

    ``starts`` and ``ends`` are the times of the intervals between saves, ``key`` the words of the
    key. ``given`` are start and size of given steps. ``sound`` is false where arguments whose
    values were not known before make no sense.
    """

    params: Any
    constants: Any
    key: jax.Array
    starts: jax.Array
    ends: jax.Array
    rtol: jax.Array
    atol: jax.Array
    size: jax.Array | None
    given: jax.Array | None
    sound: jax.Array | None


class State(NamedTuple):
    """What one attempt hands to the next.

    ``interval`` is the number of the interval between saves, ``at`` where in it the solve has
    come, from 0 to 1. ``passed`` counts intervals of no length.
    """

    interval: jax.Array
    at: jax.Array
    y: jax.Array
    size: jax.Array
    previous_error: jax.Array
    accepted: jax.Array
    attempts: jax.Array
    passed: jax.Array
    status: jax.Array


class Row(NamedTuple):
    """Where a step begins and ends in its interval between saves."""

    interval: jax.Array
    start: jax.Array
    end: jax.Array


class Outputs(NamedTuple):
    """What a differentiable solve returns; ``rows`` are its accepted steps."""

    ys: jax.Array
    totals: Terms
    rows: Row
    accepted: jax.Array
    rejected: jax.Array
    attempts: jax.Array
    status: jax.Array
