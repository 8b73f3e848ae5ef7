"""The regularisers of a solve, summed up step by step."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..steps.acceptance import Terms
from .config import Config
from .state import Attempt, State


class Total(NamedTuple):
    """A regulariser so far, and the step of its largest term."""

    value: jax.Array
    step: jax.Array


class Totals(NamedTuple):
    """The regularisers so far; ``None`` where the method has none."""

    error: Total | None
    error_squared: Total | None
    stiffness: Total | None


def no_terms(config: Config, state: State) -> Totals:
    """Totals before the first step, with the terms that the method has."""
    zero, first = jnp.zeros_like(state.t), jnp.int32(0)
    tab = config.tableau
    known = (tab.adaptive, tab.adaptive, tab.stiffness_stages is not None)
    return Totals(*(Total(zero, first) if k else None for k in known))


def add_terms(config: Config, totals: Totals, found: Attempt, step: jax.Array) -> Totals:
    """The totals with those of one attempt, number `step` of the accepted ones if it is."""

    def one(total: Total | None, term: jax.Array | None) -> Total | None:
        if total is None or term is None:
            return None
        if config.reduction == "max":
            larger = found.accept & (term > total.value)
            return Total(jnp.where(larger, term, total.value), jnp.where(larger, step, total.step))
        return Total(total.value + jnp.where(found.accept, term, 0.0), total.step)

    return Totals(*(one(a, b) for a, b in zip(totals, found.terms, strict=True)))


def reduced(config: Config, totals: Totals, final: State) -> Totals:
    """The totals of a finished solve; for a mean, divided by its steps."""
    if config.reduction != "mean":
        return totals
    steps = jnp.maximum(final.accepted, 1).astype(final.y.dtype)
    return Totals(*(None if t is None else t._replace(value=t.value / steps) for t in totals))


def values_of(totals: Totals) -> Terms:
    """The regularisers alone."""
    return Terms(*(None if t is None else t.value for t in totals))


def largest_steps(totals: Totals) -> Terms:
    """The numbers of the steps with the largest terms."""
    return Terms(*(None if t is None else t.step for t in totals))


def per_step(config: Config, dtotals: Terms, final: State) -> Terms:
    """Cotangents of the terms of one step."""
    steps = jnp.maximum(final.accepted, 1).astype(final.y.dtype)
    mean = config.reduction == "mean"
    return Terms(*(None if d is None else (d / steps if mean else d) for d in dtotals))
