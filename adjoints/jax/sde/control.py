"""Where a step ends: on cells of the Brownian tree, after a constant size, or as it is given.

Under control by the error every step is one cell of the tree, between two multiples of a power of
two of the interval between saves. A rejected cell is halved, and the steps inside it end on its end
before any goes further: no value of the path that was looked at is skipped. That nesting is what
convergence with steps chosen by the path rests on (J. Foster, A. Jelincic, "On the convergence of
adaptive approximations for stochastic differential equations", arXiv:2311.14201); and it makes a
step the cheapest read of the tree.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ...steps.acceptance import given_step_fits, given_step_slack
from ...steps.brownian import Increment
from ...steps.step_size import SMALLEST_ERROR, next_factor
from .config import ADAPTIVE, CONSTANT, Config, Operands, Row, State

#: A cell may be larger than the size asked for by so much, so that rounding does not halve it.
SLACK = 1.001


def times_of(row: Row, ops: Operands) -> tuple[jax.Array, jax.Array]:
    """Start and size of a step."""
    begin = ops.starts[row.interval]
    length = ops.ends[row.interval] - begin
    return begin + row.start * length, (row.end - row.start) * length


def increment_of(config: Config, row: Row, ops: Operands) -> Increment:
    """Of the Brownian motion over a step."""
    key = jax.random.wrap_key_data(ops.key, impl=config.key_kind)
    key = jax.random.fold_in(key, row.interval)
    if config.steps == ADAPTIVE:
        level = 1 - jnp.frexp(row.end - row.start)[1]
        index = jnp.ldexp(row.start, level).astype(jnp.int32)
        found = config.tree.cell(key, level, index)
    else:
        found = config.tree.between(key, row.start, row.end)
    root = jnp.sqrt(ops.ends[row.interval] - ops.starts[row.interval])
    return jax.tree.map(lambda leaf: root * leaf, found)


def step_from(config: Config, state: State, ops: Operands) -> tuple[Row, jax.Array]:
    """The step to try, and whether it may be: a given one may not fit."""
    if config.steps == ADAPTIVE:
        end, fits = _end_of_cell(config, state, ops), jnp.bool_(True)
    elif config.steps == CONSTANT:
        end, fits = _end_of_piece(state, ops), jnp.bool_(True)
    else:
        end, fits = _end_as_given(config, state, ops)
    return Row(state.interval, state.at, end), fits


def _length(state: State, ops: Operands) -> jax.Array:
    return ops.ends[state.interval] - ops.starts[state.interval]


def _end_of_cell(config: Config, state: State, ops: Operands) -> jax.Array:
    levels = config.tree.levels
    cells = jnp.log2(_length(state, ops) / (SLACK * state.size))
    wanted = jnp.clip(jnp.ceil(cells), 0, levels).astype(jnp.int32)
    number = jnp.ldexp(state.at, levels).astype(jnp.int32)
    lowest_bit = jax.lax.clz(number & -number)
    aligned = jnp.where(number == 0, 0, levels - 31 + lowest_bit)
    return state.at + jnp.ldexp(jnp.ones_like(state.at), -jnp.maximum(wanted, aligned))


def _end_of_piece(state: State, ops: Operands) -> jax.Array:
    """Of equal pieces, as many as there are sizes in the interval."""
    assert ops.size is not None
    pieces = jnp.maximum(jnp.ceil(_length(state, ops) / (SLACK * ops.size)), 1)
    return jnp.minimum((jnp.round(state.at * pieces) + 1) / pieces, 1)


def _end_as_given(config: Config, state: State, ops: Operands) -> tuple[jax.Array, jax.Array]:
    """The end of a step that is given, and whether it goes on from the one before and fits."""
    assert ops.given is not None
    t, h = ops.given[jnp.minimum(state.attempts - state.passed, ops.given.shape[0] - 1)]
    begin, stop, length = ops.starts[state.interval], ops.ends[state.interval], _length(state, ops)
    idle = length == 0
    share = jnp.where(idle, 1, length)
    rounding = float(jnp.finfo(t.dtype).eps) * jnp.maximum(jnp.abs(begin), jnp.abs(stop)) / share
    end = _on_cell(config, (t + h - begin) / share, 4 * rounding)
    end = jnp.where(end >= 1 - given_step_slack(t, h, stop) / share, 1, end)
    end = jnp.where(h == 0, state.at, end)
    fits = given_step_fits(t, h, begin + state.at * length, stop)
    return jnp.where(idle, 1, end), fits | idle


def _on_cell(config: Config, end: jax.Array, rounding: jax.Array) -> jax.Array:
    """The end of a coarse cell that is as near as rounding, or else what it is."""
    level = jnp.floor(-jnp.log2(16 * rounding))
    level = jnp.clip(level, 0, config.tree.levels).astype(jnp.int32)
    cell = jnp.ldexp(jnp.round(jnp.ldexp(end, level)), -level)
    return jnp.where(jnp.abs(end - cell) <= rounding, cell, end)


def next_size(state: State, h: jax.Array, error: jax.Array, accept: jax.Array) -> jax.Array:
    """The size to try next; a step cut short by the grid does not shrink what follows."""
    size = h * next_factor(error, state.previous_error, 0.5)
    longer = jnp.maximum(size, jnp.where(2 * h < state.size, state.size, 0))
    return jnp.where(accept, longer, jnp.minimum(size, h / 2))


def next_error(state: State, error: jax.Array, accept: jax.Array) -> jax.Array:
    """The error that the controller remembers."""
    return jnp.where(accept, jnp.maximum(error, SMALLEST_ERROR), state.previous_error)
