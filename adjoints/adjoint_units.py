"""The units in which a continuous adjoint is integrated, for every backend.

A gradient is linear in the loss, so the tolerances of a reverse solve must not depend on the unit
of the loss, nor on those of states, parameters and time. The absolute tolerance of a forward solve
is in the units of the state. With ``S`` the size of the state, ``L`` the largest logarithmic
derivative of the loss by a saved state, ``max |dL/dy_i| S_i``, and ``P`` the size of a parameter,
the adjoint ``w`` is of the size ``L / S`` and the parameters' cotangent ``m`` of the size
``L / P``. Both are divided by ``L / S`` here, which leaves tolerances of ``atol / S`` for ``w``
and ``atol / P`` for ``m``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from array_api_compat import array_namespace

Array = Any


class AdjointUnits(NamedTuple):
    """Units and absolute tolerances of a reverse solve.

    Attributes
    ----------
    unit : array
        A scalar. Cotangents are divided by it before the solve, gradients multiplied after.
    atol : array
        Of the adjoint: a scalar, or of the shape of the state.
    atol_params : list of array
        Of the cotangent of each array of parameters: scalars.
    """

    unit: Array
    atol: Array
    atol_params: list[Array]


def adjoint_units(
    ys: Array,
    y0: Array,
    dys: Array,
    params: Sequence[Array],
    span: Array,
    rtol: Array,
    atol: Array,
) -> AdjointUnits:
    """The units of one reverse solve.

    Parameters
    ----------
    ys, dys : array, shape ``(saves, *y0.shape)``
        The saved states, and the derivatives of the loss by them.
    y0 : array
    params : sequence of array
        Arrays of parameters; each is one unit.
    span : array
        The length of the time to go.
    rtol, atol : array
        Of the reverse solve, ``atol`` in the units of the state; scalars, or of its shape.
    """
    xp = array_namespace(ys)
    eps = float(xp.finfo(ys.dtype).eps)
    least = atol / rtol
    sizes = xp.maximum(xp.max(xp.abs(ys), axis=0), xp.abs(y0))
    sizes = xp.maximum(sizes, least + xp.zeros_like(sizes))
    size = xp.max(sizes)
    largest = xp.max(xp.abs(dys) * sizes[None, ...])
    unit = xp.where(largest > 0, largest / size, xp.ones_like(size))
    # What is smaller than that is rounding.
    floor = 4 * eps * size
    tightest = xp.maximum(xp.min(atol) if atol.ndim else atol, floor)
    atol_params = [tightest / size_of_parameters(p, size, span) for p in params]
    return AdjointUnits(unit, xp.maximum(atol, floor) / size, atol_params)


def size_of_parameters(param: Array, like: Array, span: Array) -> Array:
    """The size of an array of parameters; where all are zero, that of a number or of a rate.

    Parameters
    ----------
    param : array
    like : array
        A scalar that gives the dtype.
    span : array
        The length of the time to go.
    """
    xp = array_namespace(like)
    one = xp.ones_like(like)
    fallback = xp.maximum(one, one / span)
    if 0 in param.shape:
        return fallback
    size = xp.astype(xp.max(xp.abs(param)), like.dtype)
    return xp.where(size > 0, size, fallback)
