"""One recorded step backwards, by one vector-Jacobian product."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ..steps.acceptance import TermInputs, Terms, term_inputs
from ..steps.runge_kutta import dense_coefficients
from .config import Config
from .recorded_step import add_dense_stages, take_step, wanted_terms
from .sources import Sources, StepOutputs, entering_at_step
from .state import Operands, Row, Trial
from .stepping import take

Tree = Any


class AtEnd(NamedTuple):
    """The cotangents of state and slope at the end of a step, and that state itself."""

    state: jax.Array
    slope: jax.Array
    y1: jax.Array


def sweep_step(
    config: Config,
    row: Row,
    index: jax.Array,
    ops: Operands,
    w: Tree,
    dparams: Tree,
    sources: Sources,
) -> tuple[Tree, Tree]:
    """One step backwards; `row` and `index` have a leading axis of one.

    `w` is the cotangent of the state at the end of the step, or with that of the slope an
    :class:`AtEnd`.
    """
    row, index = jax.tree.map(lambda leaf: leaf[0], row), index[0]
    config = replace(config, jax_differentiates=True)
    pull = _pull_with_slope if isinstance(w, AtEnd) else _pull_state

    def back(sources: Sources) -> tuple[Tree, Tree]:
        own, doutputs = entering_at_step(row, index, sources)
        dstart, dp = pull(config, row, ops, w, doutputs, sources)
        if own is None:
            return dstart, dp
        if isinstance(dstart, AtEnd):
            return dstart._replace(state=dstart.state + own), dp
        return dstart + own, dp

    tab = config.tableau
    if sources.dense_y is None or tab.stages == tab.steps:
        # Dense output that takes no stages of its own costs less than another program without it.
        dstart, dp = back(sources)
    else:
        bare = sources._replace(dense_y=None, dense_coefficients=None)
        dstart, dp = lax.cond(row.save_row >= 0, lambda: back(sources), lambda: back(bare))
    return dstart, jax.tree.map(jnp.add, dparams, dp)


def _pull_state(
    config: Config,
    row: Row,
    ops: Operands,
    w: Tree,
    doutputs: StepOutputs,
    sources: Sources,
) -> tuple[jax.Array, Tree]:
    """The cotangents of state and parameters before a step."""
    own = config.solver.pull_step
    if own is not None and row.y.size > config.solver.chunked_states:
        # Of smaller states, as many lanes have, XLA makes few kernels by itself.
        return own(config, row, ops, w, doutputs, sources)

    def step(y: jax.Array, params: Tree) -> tuple[jax.Array, StepOutputs]:
        return take_step(config, row, y, params, ops, sources)

    return jax.vjp(step, row.y, ops.params)[1]((w, doutputs))


def _pull_with_slope(
    config: Config,
    row: Row,
    ops: Operands,
    w: AtEnd,
    doutputs: StepOutputs,
    sources: Sources,
) -> tuple[AtEnd, Tree]:
    """The same from, and to, the cotangents of the slopes at both ends."""
    wanted, slope = sources.terms, row.slope
    if slope is None:
        slope = config.rhs(row.t, row.y, (ops.params, ops.constants))

    def parts(start: tuple[jax.Array, jax.Array], params: Tree) -> Tree:
        y, slope = start
        own = ops._replace(params=params)
        trial = Trial(row.t, y, row.h, row.t + row.h, slope, None, None, w.y1)
        step = take(config, trial, own)
        coefficients = None
        if sources.dense_y is not None:
            step = add_dense_stages(config, row, y, step, own)
            coefficients = dense_coefficients(config.tableau, step.stages)
        inputs = term_inputs(config.tableau, step, y, config.error_norm, wanted)
        # The ends of the step are known, and pulled back by hand.
        return step.y1, step.slope, coefficients, inputs._replace(ends=None)

    values, vjp = jax.vjp(parts, (row.y, slope), ops.params)
    inputs = values[3]
    if inputs.errors and config.error_norm == "scaled":
        inputs = inputs._replace(ends=(row.y, w.y1))
    dinputs = _pull_terms(inputs, doutputs.terms, w.state, row.h, ops)
    dy1 = w.state if dinputs.ends is None else dinputs.ends[1]
    inner = dinputs._replace(ends=None)
    (dy, dslope), dp = vjp((dy1, w.slope, doutputs.coefficients, inner))
    if dinputs.ends is not None:
        dy = dy + dinputs.ends[0]
    return AtEnd(dy, dslope, row.y), dp


def _pull_terms(
    inputs: TermInputs, dterms: Terms, dy1: jax.Array, h: jax.Array, ops: Operands
) -> TermInputs:
    """The cotangents of what a step's terms are made of; that of the new state is added to `dy1`.

    In a branch, a border that XLA does not fuse across: else the kernel of each stage's cotangent
    would compute all of this again.
    """

    def pull(inputs: TermInputs, dterms: Terms, dy1: jax.Array) -> TermInputs:
        found = jax.vjp(lambda inputs: wanted_terms(inputs, dterms, h, ops), inputs)[1](dterms)[0]
        if found.ends is None:
            return found
        return found._replace(ends=(found.ends[0], found.ends[1] + dy1))

    def nothing(inputs: TermInputs, dterms: Terms, dy1: jax.Array) -> TermInputs:
        none = jax.tree.map(jnp.zeros_like, inputs)
        return none if none.ends is None else none._replace(ends=(none.ends[0], dy1))

    return lax.cond(h != 0, pull, nothing, inputs, dterms, dy1)
