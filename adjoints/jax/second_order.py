"""Products with second derivatives of a loss that has a :func:`solve` inside.

The tangent of a gradient is that of the recorded solve and of the reverse sweep together: exact for
the accepted steps, as the gradient is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree

Tree = Any


def hessian_vector_product(loss: Callable[[Tree], jax.Array], params: Tree, v: Tree) -> Tree:
    """The Hessian of `loss` times `v`, for two to three gradients; ``jax.jit`` it.

    Parameters
    ----------
    loss : callable
        Of `params`, with :func:`solve` inside as it stands (``adjoint="discrete"``).
    params, v : pytree of floating arrays
        Where, and the direction, of the same structure and shapes.

    Returns
    -------
    pytree
        Like `params`.

    Raises
    ------
    ValueError
        Where `v` is not like `params`.
    """
    return jax.jvp(jax.grad(loss), (params,), (_direction(params, v),))[1]


def hessian(loss: Callable[[Tree], jax.Array], params: Tree) -> jax.Array:
    """The Hessian of `loss`, one product after the other; ``jax.jit`` it.

    On a CPU sooner than ``jax.hessian``, whose tangents go side by side: for the four parameters of
    Lotka-Volterra 7 to 8 gradients, where that took 20 to 24.

    Parameters
    ----------
    loss, params
        As of :func:`hessian_vector_product`.

    Returns
    -------
    jax.Array
        Square, in the order of ``jax.flatten_util.ravel_pytree(params)``.
    """
    flat, restored = ravel_pytree(params)
    product = partial(hessian_vector_product, lambda flat: loss(restored(flat)), flat)
    return lax.map(product, jnp.eye(flat.size, dtype=flat.dtype))


def gauss_newton_product(residual: Callable[[Tree], Tree], params: Tree, v: Tree) -> Tree:
    """``J^T J v`` with ``J`` the Jacobian of `residual`, both on the same steps; ``jax.jit`` it.

    It is the Hessian of half the sum of squares times `v`, but for the curvature of the residuals,
    and never negative.

    Parameters
    ----------
    residual : callable
        Of `params`, with :func:`solve` inside as it stands; an array or a pytree of them.
    params, v : pytree of floating arrays
        As of :func:`hessian_vector_product`.

    Returns
    -------
    pytree
        Like `params`.
    """

    def pullback(params: Tree) -> tuple[Tree, Any]:
        return jax.vjp(residual, params)

    _, moved, pull = jax.jvp(pullback, (params,), (_direction(params, v),), has_aux=True)
    return pull(moved)[0]


def _direction(params: Tree, v: Tree) -> Tree:
    """`v` as arrays of the dtypes of `params`."""
    wanted, given = jax.tree.structure(params), jax.tree.structure(v)
    if wanted != given:
        raise ValueError(f"v must have the structure of params, {wanted}, and has {given}")
    shapes, of_v = ([jnp.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in (params, v))
    if shapes != of_v:
        raise ValueError(f"v must have the shapes of params, {shapes}, and has {of_v}")
    return jax.tree.map(lambda leaf, d: jnp.asarray(d, jnp.result_type(leaf)), params, v)
