"""The regularisers of a solve, summed up step by step."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..steps.acceptance import Terms


class Total(NamedTuple):
    """A regulariser so far, and the step of its largest term."""

    value: jax.Array
    step: jax.Array


class Totals(NamedTuple):
    """The regularisers so far; ``None`` where the method has none."""

    error: Total | None
    error_squared: Total | None
    stiffness: Total | None


def no_terms(known: tuple[bool, bool, bool], zero: jax.Array) -> Totals:
    """Totals before the first step, with the terms that the method is known to have."""
    first = jnp.int32(0)
    return Totals(*(Total(zero, first) if k else None for k in known))


def add_terms(
    reduction: str, totals: Totals, accept: jax.Array, terms: Terms, step: jax.Array
) -> Totals:
    """The totals with the terms of one attempt, number `step` of the accepted ones if it is."""

    def one(total: Total | None, term: jax.Array | None) -> Total | None:
        if total is None or term is None:
            return None
        if reduction == "max":
            larger = accept & (term > total.value)
            return Total(jnp.where(larger, term, total.value), jnp.where(larger, step, total.step))
        return Total(total.value + jnp.where(accept, term, 0.0), total.step)

    return Totals(*(one(a, b) for a, b in zip(totals, terms, strict=True)))


def reduced(reduction: str, totals: Totals, steps: jax.Array) -> Totals:
    """The totals of a finished solve; for a mean, divided by its steps."""
    if reduction != "mean":
        return totals
    count = jnp.maximum(steps, 1)
    return Totals(
        *(
            None if t is None else t._replace(value=t.value / count.astype(t.value.dtype))
            for t in totals
        )
    )


def values_of(totals: Totals) -> Terms:
    """The regularisers alone."""
    return Terms(*(None if t is None else t.value for t in totals))


def largest_steps(totals: Totals) -> Terms:
    """The numbers of the steps with the largest terms."""
    return Terms(*(None if t is None else t.step for t in totals))


def per_step(reduction: str, dtotals: Terms, steps: jax.Array) -> Terms:
    """Cotangents of the terms of one step, of so many."""
    if reduction != "mean":
        return dtotals
    count = jnp.maximum(steps, 1)
    return Terms(*(None if d is None else d / count.astype(d.dtype) for d in dtotals))
