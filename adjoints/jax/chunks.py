"""What sweeping back over a chunk of steps at once needs, whatever their kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..steps.acceptance import Step
from .config import Config
from .one_kernel import LARGEST_SUM
from .recorded_step import step_outputs
from .sides import clipper, time_limits
from .sources import Sources, StepOutputs, entering_at_step
from .state import Operands, Row

Tree = Any


#: ``step_of_stages(config, row, y, stages, params, ops)``.
StepOfStages = Callable[[Config, Row, jax.Array, list[jax.Array], Any, Operands], Step]


def entering_cotangents(
    config: Config,
    rows: Row,
    index: jax.Array,
    stages: Sequence[jax.Array],
    tangents: jax.Array,
    ops: Operands,
    sources: Sources,
    step_of_stages: StepOfStages,
) -> tuple[jax.Array | None, list[jax.Array] | None, Tree]:
    """Cotangents of the states, of the stages and of the parameters that enter at the steps.

    Parameters
    ----------
    config, rows, index, stages, ops, sources
    tangents : array, shape (stages, steps, n, n)
        The derivatives of the stages by the state at the start of the step.
    step_of_stages : callable
        The recorded step from its stages.
    """
    if not sources.any:
        return None, None, None
    own, doutputs = jax.vmap(entering_at_step, in_axes=(0, 0, None))(rows, index, sources)

    def outputs(y: jax.Array, stages: list[jax.Array], params: Tree) -> StepOutputs:
        def one(row: Row, y: jax.Array, stages: list[jax.Array]) -> StepOutputs:
            step = step_of_stages(config, row, y, stages, params, ops)
            return step_outputs(config, row, y, step, ops, sources)

        return jax.vmap(one)(rows, y, stages)

    _, vjp = jax.vjp(outputs, rows.y, stages, ops.params)
    direct, by_stage, dp = vjp(doutputs)
    steps = index.shape[0]
    entering = direct.reshape(steps, -1)
    if own is not None:
        entering = entering + own.reshape(steps, -1)
    flat = [u.reshape(steps, -1) for u in by_stage]
    for u, tangent in zip(flat, tangents, strict=True):
        entering = entering + row_product(u, tangent)
    return entering, flat, dp


def pull_parameters(
    values: Callable[[Tree, Tree], jax.Array], at: Tree, params: Tree, cotangents: jax.Array
) -> Tree:
    """The cotangents of the parameters of ``values(params, at)``, for all stages of all steps.

    Where there are few parameters, one by one and then summed, which is few kernels; by all at once
    each parameter has a sum of its own.
    """
    every = jax.vmap(jax.vmap(values, in_axes=(None, 0)), in_axes=(None, 0))
    places = math.prod(cotangents.shape[:2])
    if places * sum(leaf.size for leaf in jax.tree.leaves(params)) > LARGEST_SUM:
        return jax.vjp(lambda p: every(p, at), params)[1](cotangents)[0]

    def one(at: Tree, cotangent: jax.Array) -> Tree:
        return jax.vjp(lambda p: values(p, at), params)[1](cotangent)[0]

    return jax.tree.map(lambda g: jnp.sum(g, axis=(0, 1)), jax.vmap(jax.vmap(one))(at, cotangents))


def recur(
    squares: jax.Array, entering: jax.Array | None, w: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """``w <- w squares[j] + entering[j]`` from the last ``j`` to the first.

    Returns
    -------
    w : array, shape (n,)
    ahead : array, shape (steps, n)
        What ``w`` was before each turn.
    """
    length, n = squares.shape[:2]

    def back(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        w, ahead = carry
        j = length - 1 - i
        ahead = lax.dynamic_update_index_in_dim(ahead, w, j, 0)
        w = jnp.sum(w[:, None] * squares[j], axis=0)
        return w if entering is None else w + entering[j], ahead

    return lax.fori_loop(
        jnp.int32(0), jnp.int32(length), back, (w, jnp.zeros((length, n), w.dtype))
    )


def stage_times(config: Config, row: Row, count: int, ops: Operands) -> jax.Array:
    """The times at which the first `count` stages of a step were taken."""
    clip = clipper(time_limits(config, row.stop, ops))
    c = jnp.asarray(config.tableau.c[:count], row.t.dtype)
    return clip(row.t + c * row.h)


def stage_jacobians(
    config: Config, times: jax.Array, states: jax.Array, ops: Operands
) -> jax.Array:
    """The Jacobian at each stage, for all steps: shape ``(stages, steps, n, n)``."""
    shape = states.shape[2:]
    both = (ops.params, ops.constants)
    units, flat = unit_vectors(states.reshape(*states.shape[:2], -1))

    def square(y: jax.Array, t: jax.Array) -> jax.Array:
        def slope(y: jax.Array) -> jax.Array:
            return config.rhs(t, y.reshape(shape), both).ravel()

        return jax.vmap(lambda unit: jax.jvp(slope, (y,), (unit,))[1], out_axes=1)(units)

    return jax.vmap(jax.vmap(square))(flat, times)


def unit_vectors(flat: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The unit vectors of small flat states, known only when those are, and the states.

    Of vectors known before, XLA would compute each product with a parameter before the loop: in a
    kernel of its own, and carried through the loop.
    """
    n = flat.shape[-1]
    return lax.optimization_barrier((jnp.asarray(np.eye(n, dtype=flat.dtype)), flat))


def product(left: jax.Array, right: jax.Array) -> jax.Array:
    """Products of small matrices, as arithmetic that fuses rather than calls to a library."""
    return jnp.sum(left[..., :, :, None] * right[..., None, :, :], axis=-2)


def row_product(row: jax.Array, square: jax.Array) -> jax.Array:
    """Products of rows with small matrices, as arithmetic that fuses."""
    return jnp.sum(row[..., :, None] * square, axis=-2)


def add_trees(*trees: Tree) -> Tree:
    """The sum of trees of the same structure, leaving out those that are ``None``."""
    return jax.tree.map(
        lambda *leaves: sum(leaves[1:], leaves[0]), *(t for t in trees if t is not None)
    )
