"""Where the Jacobian of a right-hand side may have entries, found by JAX from its operations."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ...problems import Problem
from ...problems.functions import framework_of
from .pattern import Pattern

Tree = Any


def unseen_by_jax(problem: Problem) -> str:
    """Why JAX cannot look at the equations of a problem; empty where it can."""
    if framework_of(problem.rhs) == "torch":
        return "rhs is written for PyTorch alone"
    missing = [name for name in ("jax", "asdex") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed" if missing else ""


def pattern_of(rhs: Callable[..., Any], y0: Any, params: Tree) -> Pattern | str:
    """The pattern of ``d rhs / dy``, or why it is not known.

    Parameters
    ----------
    rhs : callable
        ``rhs(t, y, params)`` on arrays of JAX; hashable, and looked at once.
    y0, params : array, pytree of array
        Their shapes and types count.
    """
    import jax
    import jax.numpy as jnp

    leaves, structure = jax.tree.flatten(params)
    kinds = tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
    return _found(rhs, (jnp.shape(y0), jnp.result_type(y0)), structure, kinds)


@lru_cache(maxsize=64)
def _found(rhs: Callable[..., Any], state: Any, structure: Any, kinds: Any) -> Pattern | str:
    try:
        import asdex
    except ImportError:
        return "asdex, which finds where the Jacobian has entries, is not installed"

    import jax
    import jax.numpy as jnp

    with jax.ensure_compile_time_eval():
        y, t = jnp.zeros(*state), jnp.zeros((), state[1])
        params = jax.tree.unflatten(structure, [jnp.zeros(*kind) for kind in kinds])

    def flat(y: Any, t: Any, params: Tree) -> Any:
        return rhs(t, y, params).ravel()

    try:
        found = asdex.jacobian_sparsity(flat, y, t, params)
    except Exception as error:  # an operation that it does not know
        return f"asdex does not know where the Jacobian has entries: {error!r}"
    return Pattern(found.n, found.rows, found.cols)
