"""The discrete adjoint of a stochastic solve: a reverse sweep over the accepted steps.

For the increments of the Brownian motion that it saw, an accepted step is a smooth map of state and
parameters, and the sweep is that of an ordinary equation: one vector-Jacobian product a step, with
the increments drawn again from key and time. Kept are the ends of all steps, the states before the
last :data:`WINDOW` of them, and one state before every so many others, from which they are taken
again.

The derivative is that of the solve for this path and these steps: the pathwise gradient, which is
an unbiased estimate of the derivative of an expectation.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from ...steps.acceptance import CODES, Terms
from .. import storage
from ..sources import weights_at_step
from ..totals import largest_steps, per_step, values_of
from .config import Config, Operands, Outputs, Row
from .loop import Solved, solve_recording, take, terms_of

Tree = Any


def solve_outputs(config: Config, y0: jax.Array, params: Tree, rest: Operands) -> Outputs:
    """Solve; `y0` and `params` can be differentiated."""
    if config.adjoint == "forward":
        ops = rest._replace(params=params)
        return _outputs(config, solve_recording(config, y0, ops, keep_states=False))
    return _solve_reverse(config, y0, params, rest)


def _outputs(config: Config, solved: Solved) -> Outputs:
    final = solved.final
    tried = final.attempts - final.passed - final.accepted
    return Outputs(
        ys=solved.ys,
        totals=values_of(solved.totals),
        rows=solved.rows,
        accepted=final.accepted,
        rejected=tried if config.steps == "adaptive" else jnp.zeros_like(tried),
        attempts=final.attempts,
        status=final.status,
    )


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _solve_reverse(config: Config, y0: jax.Array, params: Tree, rest: Operands) -> Outputs:
    ops = rest._replace(params=params)
    return _outputs(config, solve_recording(config, y0, ops, keep_states=False))


def _forward(config: Config, *arguments: Any) -> tuple[Outputs, Any]:
    y0, params, rest = jax.tree.map(
        lambda leaf: leaf.value, arguments, is_leaf=lambda leaf: hasattr(leaf, "perturbed")
    )
    ops = rest._replace(params=params)
    solved = solve_recording(config, y0, ops, keep_states=True)
    return _outputs(config, solved), (solved, ops)


def _reverse(config: Config, kept: tuple[Solved, Operands], cotangents: Outputs) -> Any:
    solved, ops = kept
    zero = lambda leaf: isinstance(leaf, SymbolicZero)  # noqa: E731
    dys = cotangents.ys
    dys = jnp.zeros(dys.shape, dys.dtype) if zero(dys) else dys
    dtotals = Terms(*(None if d is None or zero(d) else d for d in cotangents.totals))
    dy0, dparams = pull_back(config, solved, ops, dys, dtotals)
    ok = solved.final.status == CODES["ok"]
    dy0, dparams = jax.tree.map(lambda g: jnp.where(ok, g, jnp.nan), (dy0, dparams))
    return dy0, dparams, None


_solve_reverse.defvjp(_forward, _reverse, symbolic_zeros=True)


def pull_back(
    config: Config, solved: Solved, ops: Operands, dys: jax.Array, dtotals: Terms
) -> tuple[jax.Array, Tree]:
    """Cotangents of start value and parameters.

    Parameters
    ----------
    config, solved, ops
    dys : array, shape ``(len(save_at), *y0.shape)``
    dtotals : Terms
        Cotangents of the regularisers; ``None`` where there is none.
    """
    weights = per_step(config.reduction, dtotals, solved.final.accepted)
    largest = largest_steps(solved.totals)
    only = largest if config.reduction == "max" else Terms(None, None, None)
    at_start, at_saves = _by_intervals(ops, dys)
    accepted, window = solved.final.accepted, config.window

    def one_step(first: jax.Array, states: jax.Array, carry: Tree) -> Tree:
        index, w, dparams = carry
        row = storage.read(solved.rows, index)
        y = storage.read(states, index - first)
        w = w + jnp.where(row.end == 1, at_saves[row.interval], 0)
        dy, dp = _step_back(config, row, y, ops, w, weights_at_step(index, weights, only))
        return index - 1, dy, jax.tree.map(jnp.add, dparams, dp)

    def one_window(carry: Tree) -> Tree:
        index, w, dparams = carry
        first = index // window * window
        states = _states_of_window(config, solved, first, index, ops)
        return lax.while_loop(
            lambda carry: carry[0] >= first,
            partial(one_step, first, states),
            (index, w, dparams),
        )

    zeros = jax.tree.map(jnp.zeros_like, (dys[0], ops.params))
    _, w, dparams = lax.while_loop(lambda carry: carry[0] >= 0, one_window, (accepted - 1, *zeros))
    return w + at_start, dparams


def _by_intervals(ops: Operands, dys: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Cotangents of the start, and of the states at the ends of the intervals with steps in them.

    Saves at the same time are of the same state.
    """
    count = dys.shape[0]
    number = jnp.where(ops.ends > ops.starts, jnp.arange(1, count + 1), 0)
    owner = lax.cummax(number)
    merged = jnp.zeros((count + 1, *dys.shape[1:]), dys.dtype).at[owner].add(dys)
    return merged[0], merged[1:]


def _step_back(
    config: Config, row: Row, y: jax.Array, ops: Operands, w: jax.Array, weights: Terms
) -> tuple[jax.Array, Tree]:
    """One step backwards: cotangents of the state before it and of the parameters."""

    def outputs(y: jax.Array, params: Tree) -> tuple[jax.Array, Terms]:
        step, h = take(config, row, y, params, ops)
        terms = terms_of(config, step, y, h, ops)
        wanted = (None if v is None else x for x, v in zip(terms, weights, strict=True))
        return step.y1, Terms(*wanted)

    _, vjp = jax.vjp(outputs, y, ops.params)
    return vjp((w, weights))


def _states_of_window(
    config: Config, solved: Solved, first: jax.Array, last: jax.Array, ops: Operands
) -> jax.Array:
    """The states before the steps from number `first` to `last`: recorded, or found again."""
    assert solved.states is not None
    assert solved.firsts is not None
    if config.windows == 1:
        return solved.states

    def again(states: jax.Array, y: jax.Array) -> jax.Array:
        def forwards(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple:
            y, states = carry
            states = storage.write(states, i, y)
            step, _ = take(config, storage.read(solved.rows, first + i), y, ops.params, ops)
            return step.y1, states

        return lax.fori_loop(0, last - first + 1, forwards, (y, states))[1]

    y = storage.read(solved.firsts, first // config.window)
    recorded = last == solved.final.accepted - 1
    return lax.cond(recorded, lambda states, y: states, again, solved.states, y)
