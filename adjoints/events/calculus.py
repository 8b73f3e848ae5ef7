"""What :func:`~.crossing.pass_event` needs of a framework, by the arrays that it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import is_jax_array, is_torch_array

from .crossing import Derivative, Hold, Slope

#: An array of whatever framework runs the equations.
Array = Any

#: By how much of its size a state moves in the difference that tells a slope on NumPy.
STEP = 1e-6


class Calculus(NamedTuple):
    """``derivative(function, x) -> (value, slope)``, and ``hold(x)``, which has no derivative."""

    derivative: Derivative
    hold: Hold


def calculus_of(rhs: Slope, t: Array, y: Array) -> Calculus:
    """That of the framework of `y`.

    On NumPy slopes are central differences, good to six digits: with the steps of Newton's method
    that follow, its result is right to rounding. Nothing need be held there: what is differentiated
    by complex steps or differences runs through all steps.

    Parameters
    ----------
    rhs : callable
        ``rhs(t, y)``: tells on NumPy how fast the state moves.
    t, y : array
    """
    if is_jax_array(y):
        return _on_jax()
    if is_torch_array(y):
        return _on_torch()
    step = short_time(rhs, t, y)

    def derivative(function: Callable[[Array], Array], x: Array) -> tuple[Array, Array]:
        return function(x), (function(x + step) - function(x - step)) / (2 * step)

    return Calculus(derivative, lambda x: x)


def short_time(rhs: Slope, t: Array, y: np.ndarray) -> float:
    """A time in which a state of NumPy moves by about :data:`STEP` of its size."""
    size, speed = float(np.max(np.abs(y))), float(np.max(np.abs(rhs(t, y))))
    known = size > 0 and speed > 0 and np.isfinite(size / speed)
    return STEP * (size / speed if known else max(float(np.abs(t)), 1.0))


def _on_jax() -> Calculus:
    import jax

    def derivative(function: Callable[[Array], Array], x: Array) -> tuple[Array, Array]:
        return jax.jvp(function, (x,), (jax.numpy.ones_like(x),))

    return Calculus(derivative, jax.lax.stop_gradient)


def _on_torch() -> Calculus:
    import torch

    def derivative(function: Callable[[Array], Array], x: Array) -> tuple[Array, Array]:
        # Reverse mode: PyTorch has no forward mode for some operations.
        value, pull, *_ = torch.func.vjp(function, x)
        return value, pull(torch.ones_like(value))[0]

    return Calculus(derivative, lambda x: x.detach())
