"""Drift and diffusion as the loop calls them, with what they close over among the parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ...arguments import accepts, check_function, check_like_state
from ...state_layout import Split
from ...steps.stochastic_step import Field
from ..user_functions import Converted, JaxView, Module, UserFunction, may_close, split_params

Tree = Any


@dataclass(frozen=True)
class Term(UserFunction):
    """``drift`` or ``diffusion`` of ``(t, y, p)`` as the loop calls it."""

    name: str = ""

    def __call__(self, t: jax.Array, y: jax.Array, params: Any) -> jax.Array:
        """The term, as an array like `y`."""
        return self.view.state(self.name, self.returned(t, y, params), y)


class Terms(NamedTuple):
    """Both terms, and the arrays that they are called with."""

    drift: Field
    diffusion: Field
    smooth: list[jax.Array]
    constants: list[jax.Array]
    written: tuple[UserFunction, ...]


def terms_of_equation(drift: Any, diffusion: Any, params: Tree, start: jax.Array) -> Terms:
    """What a user passed; traced values that functions close over are differentiated too."""
    smooth, constants, split = split_params(params)
    drawn, spread = (
        _term(name, function, params, split, smooth, constants)
        for name, function in (("drift", drift), ("diffusion", diffusion))
    )
    every = list(smooth)

    def opened(term: Term, written: Any) -> Field:
        if not may_close(written):
            return term
        t = jnp.zeros((), start.dtype)
        converted, hoisted = jax.closure_convert(term, t, start, (smooth, constants))
        if not hoisted:
            return term
        every.extend(hoisted)
        return Converted(converted, len(smooth), len(every) - len(hoisted), len(hoisted))

    both = opened(drawn, drift), opened(spread, diffusion)
    return Terms(*both, every, constants, (drawn, spread))


def _term(
    name: str,
    function: Any,
    params: Tree,
    split: Split,
    smooth: list[jax.Array],
    constants: list[jax.Array],
) -> Term:
    """One term; the arrays of a function that is a pytree are put to the parameters."""
    spread = params is None and accepts(function, "t", "y")
    if not spread:
        check_function(name, function, "t", "y", "params")
    if not jax.tree_util.all_leaves([function]):
        own, fixed, parts = split_params(function)
        function = Module(parts, len(smooth), len(constants))
        smooth.extend(own)
        constants.extend(fixed)
    return Term(function, split, JaxView(spread=spread), name)


def check_terms(terms: Terms, start: jax.Array, *, additive: bool, solver: str) -> None:
    """Refuse terms that are not like the state, and a diffusion that reads it where it may not."""
    t = jax.ShapeDtypeStruct((), start.dtype)
    params = (terms.smooth, terms.constants)
    for name, term in (("drift", terms.drift), ("diffusion", terms.diffusion)):
        check_like_state(name, jax.eval_shape(term, t, start, params), start)
    if additive:
        jaxpr = jax.make_jaxpr(terms.diffusion)(t, start, params).jaxpr
        y = jaxpr.invars[1]
        if any(y in equation.invars for equation in jaxpr.eqns) or y in jaxpr.outvars:
            raise ValueError(
                f"solver={solver!r} is for additive noise, and diffusion(t, y, params) reads y; "
                "use solver='sriw1'"
            )
