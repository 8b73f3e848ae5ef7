"""Components that a right-hand side picks out of arrays, one by one: all of them taken at once.

Reverse mode brings what comes back for ``y[0]`` and for ``y[1]`` as two arrays filled up with
zeros, and as many more as there are places that read them. Where an array is taken apart by one
operation, what comes back is put together by one.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, JaxprEqn, Literal, jaxpr_as_fun

from ..steps.runge_kutta import Rhs
from .native.equation import told

Tree = Any

#: Arrays of more components are left as they are: few of them are picked.
MOST_COMPONENTS = 64


def by_components(rhs: Rhs, t: jax.Array, y: jax.Array, params: Tree) -> Rhs:
    """The same function, with the arrays taken apart that it picks components of.

    Parameters
    ----------
    rhs : callable
    t, y, params
        Arguments of the shapes that it is for.
    """
    program = jax.make_jaxpr(rhs)(t, y, params)
    jaxpr = program.jaxpr
    inputs = {variable: i for i, variable in enumerate(jaxpr.invars)}
    picks = [e for e in jaxpr.eqns if _is_pick(e) and e.invars[0] in inputs]
    several = {v for v, count in Counter(e.invars[0] for e in picks).items() if count > 1}
    picks = [e for e in picks if e.invars[0] in several]
    if not picks:
        return rhs
    picked = {id(e) for e in picks}
    rest = jaxpr.replace(
        invars=[*jaxpr.invars, *(e.outvars[0] for e in picks)],
        eqns=[e for e in jaxpr.eqns if id(e) not in picked],
    )
    evaluate = jaxpr_as_fun(ClosedJaxpr(rest, program.consts))
    places = [(inputs[e.invars[0]], e.params["start_indices"][0]) for e in picks]

    def same(t: jax.Array, y: jax.Array, params: Tree) -> jax.Array:
        given = jax.tree.leaves((t, y, params))
        parts = {i: jnp.unstack(given[i]) for i in dict(places)}
        return evaluate(*given, *(parts[i][at].reshape(1) for i, at in places))[0]

    return same


def _is_pick(equation: JaxprEqn) -> bool:
    """Whether an equation is one component of a short vector."""
    if equation.primitive.name != "slice" or isinstance(equation.invars[0], Literal):
        return False
    shape, one = told(equation.invars[0]).shape, told(equation.outvars[0]).size == 1
    return one and len(shape) == 1 and shape[0] <= MOST_COMPONENTS
