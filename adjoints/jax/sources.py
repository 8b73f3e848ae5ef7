"""The cotangents that enter at the steps themselves: at saves on them and at their estimates."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..steps.acceptance import Terms
from .state import Row


class Sources(NamedTuple):
    """Cotangents that enter at the steps themselves; ``None`` where there are none.

    ``dense_y`` and ``dense_coefficients`` belong to the rows of dense output, ``terms`` are the
    weights of the regularisers' terms and ``steps`` the only step that counts, for a maximum.
    ``starts`` belong to the states from which the steps start, by their numbers, and ``before`` to
    those before the stops.
    """

    dense_y: jax.Array | None
    dense_coefficients: jax.Array | None
    terms: Terms
    steps: Terms
    starts: jax.Array | None = None
    before: jax.Array | None = None

    @property
    def any(self) -> bool:
        """Whether anything enters at the steps at all."""
        states = (self.dense_y, self.starts, self.before)
        return any(x is not None for x in states) or any(w is not None for w in self.terms)


class StepOutputs(NamedTuple):
    """What a step yields besides the new state; ``before`` is that before the stop it reaches."""

    coefficients: jax.Array | None
    terms: Terms
    before: jax.Array | None = None


def entering_at_step(
    row: Row, index: jax.Array, sources: Sources
) -> tuple[jax.Array | None, StepOutputs]:
    """Cotangents of the state and of the outputs that enter at this step."""
    own, coefficients = None, None
    if sources.dense_y is not None:
        assert sources.dense_coefficients is not None
        at = jnp.maximum(row.save_row, 0)
        has_save = row.save_row >= 0
        own = jnp.where(has_save, sources.dense_y[at], 0.0)
        coefficients = jnp.where(has_save, sources.dense_coefficients[at], 0.0)
    if sources.starts is not None:
        # What fills up a chunk is no step, and its number may be none.
        here = jnp.where(row.h != 0, sources.starts[index], 0.0)
        own = here if own is None else own + here
    before = None
    if sources.before is not None:
        reaches = row.reaches & (row.h != 0)
        before = jnp.where(reaches, sources.before[row.stop], 0.0)
    weights = weights_at_step(index, sources.terms, sources.steps)
    return own, StepOutputs(coefficients, weights, before)


def weights_at_step(index: jax.Array, terms: Terms, steps: Terms) -> Terms:
    """The weights of the regularisers' terms at one step; of a maximum only at its own."""

    def weight(value: jax.Array | None, step: jax.Array | None) -> jax.Array | None:
        if value is None or step is None:
            return value
        return jnp.where(step == index, value, 0.0)

    return Terms(*(weight(v, s) for v, s in zip(terms, steps, strict=True)))
