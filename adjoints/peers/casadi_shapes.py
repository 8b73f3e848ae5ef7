"""What the functions of the namespace are made of: elements in a new order, and reductions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import casadi as ca
import numpy as np

from .casadi_array import CasadiArray, as_array


def rearranged(
    arrays: Sequence[CasadiArray], move: Callable[[list[np.ndarray]], np.ndarray]
) -> CasadiArray:
    """The elements of some arrays in a new order.

    Parameters
    ----------
    arrays : sequence of CasadiArray
    move : callable
        From the positions of the elements, arrays of integers in the shapes of `arrays` that
        count on from one array to the next, to those of the result.
    """
    starts = np.cumsum([0, *(array.size for array in arrays[:-1])])
    places = [array.positions() + start for array, start in zip(arrays, starts, strict=True)]
    if len(arrays) == 1:
        joined = arrays[0].column
    elif all(array.concrete for array in arrays):
        joined = np.concatenate([array.column for array in arrays])
    else:
        joined = ca.vertcat(*(array.symbolic() for array in arrays))
    size = sum(array.size for array in arrays)
    return CasadiArray(joined, (size,), arrays[0].dtype).taken(np.asarray(move(places)))


def folded(
    array: CasadiArray,
    axis: Any,
    keepdims: bool,
    function: Callable[[Any], Any],
    numpy_function: Callable[..., Any],
) -> CasadiArray:
    """A reduction over some or all axes.

    Parameters
    ----------
    array : CasadiArray
    axis : int, sequence of int or None
    keepdims : bool
    function : callable
        From a CasADi matrix to one number for each of its rows.
    numpy_function : callable
        The same on NumPy arrays, with ``axis`` and ``keepdims``.
    """
    if array.concrete:
        return as_array(numpy_function(array.numpy(), axis=axis, keepdims=keepdims))
    every = range(array.ndim)
    axes = every if axis is None else [a % array.ndim for a in np.atleast_1d(axis).tolist()]
    kept = [a for a in every if a not in axes]
    places = np.transpose(array.positions(), [*axes, *kept])
    rows = math.prod(array.shape[a] for a in kept)
    matrix = ca.reshape(array.taken(places).column, rows, array.size // rows)
    shape = [1 if a in axes else array.shape[a] for a in (every if keepdims else kept)]
    return CasadiArray(function(matrix), tuple(shape))
