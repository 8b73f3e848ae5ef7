"""Derivatives along directions and along the flow, by the framework of the arrays given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from array_api_compat import is_jax_array, is_torch_array

Array = Any
#: ``f(t, y)``.
Flow = Callable[[Array, Array], Array]


def jacobian_product(f: Flow, t: Array, y: Array, direction: Array) -> tuple[Array, Array]:
    """``f(t, y)``, and its Jacobian by ``y`` times `direction`.

    Raises
    ------
    ValueError
        Where the arrays are neither JAX's nor PyTorch's.
    """
    if is_jax_array(y):
        import jax

        return jax.jvp(lambda y: f(t, y), (y,), (direction,))
    _check_torch(y)
    import torch

    found = torch.func.jvp(lambda y: f(t, y), (y,), (direction,))
    return found[0], found[1]


def time_derivatives(f: Flow, t: Array, y: Array, order: int) -> list[Array]:
    """The derivatives ``[y', y'', ...]`` by time of the solution through ``(t, y)``.

    By Taylor mode on JAX (:mod:`jax.experimental.jet`), whose work grows with the square of the
    order; by nested forward mode on PyTorch, which has no Taylor mode, and whose work doubles
    with each order.

    Raises
    ------
    ValueError
        Where the arrays are neither JAX's nor PyTorch's.
    """
    if is_jax_array(y):
        return _by_taylor_mode(f, t, y, order)
    _check_torch(y)
    derivatives = [f]
    for _ in range(order - 1):
        derivatives.append(_total_derivative(f, derivatives[-1]))
    return [derivative(t, y) for derivative in derivatives]


def hold(x: Array) -> Array:
    """`x`, as a constant for derivatives.

    Raises
    ------
    ValueError
        Where the array is neither JAX's nor PyTorch's.
    """
    if is_jax_array(x):
        import jax

        return jax.lax.stop_gradient(x)
    _check_torch(x)
    return x.detach()


def _by_taylor_mode(f: Flow, t: Array, y: Array, order: int) -> list[Array]:
    """Each round turns the derivatives of the state that are known into one more."""
    import jax.numpy as jnp
    from jax.experimental.jet import jet

    known = [f(t, y)]
    for length in range(1, order):
        # Time itself has the derivatives 1, 0, 0, ...
        times = [jnp.ones_like(t), *[jnp.zeros_like(t)] * (length - 1)]
        slope, higher = jet(f, (t, y), (times, known))
        known = [slope, *higher]
    return known


def _total_derivative(f: Flow, g: Flow) -> Flow:
    import torch

    def derivative(t: Array, y: Array) -> Array:
        return torch.func.jvp(g, (t, y), (torch.ones_like(t), f(t, y)))[1]

    return derivative


def _check_torch(y: Array) -> None:
    if not is_torch_array(y):
        raise ValueError(
            f"y is of type {type(y).__name__}, which no framework differentiates here; use a "
            "method on JAX or PyTorch"
        )
