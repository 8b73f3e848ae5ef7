"""What a user is told from inside a derivative, where nothing can be returned."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.custom_batching import custom_vmap

from ..result import STATUSES, reverse_breakdown
from ..steps.acceptance import CODES

Tree = Any


@jax.custom_jvp
def differentiated_once(tree: Tree) -> Tree:
    """`tree`; a derivative of it is refused in a sentence, where JAX would end in an assertion."""
    return tree


@differentiated_once.defjvp
def _refuse(primals: Any, tangents: Any) -> Any:
    raise NotImplementedError(
        "the gradient of a continuous adjoint cannot be differentiated again; for second "
        "derivatives pass adjoint='discrete', and take jax.hessian or hessian_vector_product"
    )


def _tell_one(status: jax.Array) -> None:
    broke = status != CODES["ok"]
    lax.cond(broke, lambda code: jax.debug.callback(_warn, code), lambda code: None, status)


@custom_vmap
def _tell(status: jax.Array) -> jax.Array:
    _tell_one(status)
    return status


@_tell.def_vmap
def _tell_lanes(lanes: int, batched: Any, status: jax.Array) -> tuple[jax.Array, bool]:
    # One call for all lanes: a branch of `cond` would run for each of them.
    _tell_one(jnp.max(status))
    return status, True


def tell_breakdown(status: jax.Array) -> jax.Array:
    """`status`; at run time a ``RuntimeWarning`` where that of a reverse solve is not ``ok``.

    What it returns must be used, or the warning goes with it.
    """
    return _tell(status)


def _warn(code: np.ndarray) -> None:
    warnings.warn(reverse_breakdown(STATUSES[int(code)]), RuntimeWarning, stacklevel=2)
