"""Loops over the stages of steps, whose bodies are compiled once for all stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .one_kernel import LARGEST_SUM

Tree = Any


def in_turn(count: int, stage: Callable[[jax.Array, Tree], Tree], carry: Tree) -> Tree:
    """``carry = stage(i, carry)`` for each ``i`` below `count`."""
    return lax.fori_loop(jnp.int32(0), jnp.int32(count), stage, carry)


def square_rows(rows: np.ndarray | None, count: int, dtype: Any) -> jax.Array:
    """Coefficients of the first `count` stages in each other, as what a loop reads by its turn."""
    assert rows is not None
    return jnp.asarray(np.asarray(rows)[:count, :count], dtype)


def combined(weights: Any, stages: jax.Array) -> jax.Array:
    """``sum_i weights[i] stages[i]``, zeros included.

    In parts, as of larger sums XLA makes a call to a library, which takes longer.
    """
    terms, rows = column(weights, stages) * stages, max(1, LARGEST_SUM // stages[0].size)
    parts = [jnp.sum(terms[i : i + rows], axis=0) for i in range(0, len(stages), rows)]
    return sum(parts[1:], parts[0])


def column(weights: Any, stages: jax.Array) -> jax.Array:
    """One weight for each stage, to be multiplied with them."""
    return jnp.asarray(weights, stages.dtype).reshape(-1, *(1,) * (stages.ndim - 1))


def put(stages: jax.Array, stage: jax.Array, i: jax.Array) -> jax.Array:
    """`stages` with one more."""
    return lax.dynamic_update_index_in_dim(stages, stage, i, 0)
