"""The functions of the Python array API that have a counterpart in CasADi.

What ``array_namespace`` returns for a :class:`~.casadi_array.CasadiArray`. A name that is not here
raises ``AttributeError`` with a sentence, and so does not exist for ``hasattr``.
"""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any

import casadi as ca
import numpy as np

from . import casadi_array
from .casadi_array import CasadiArray as Array
from .casadi_array import as_array, elementwise
from .casadi_shapes import folded, rearranged

Axis = int | Sequence[int] | None
Move = Callable[..., np.ndarray]


def __getattr__(name: str) -> Any:
    raise AttributeError(f"xp.{name} has no counterpart in CasADi")


bool, int32, int64, float32, float64 = np.bool_, np.int32, np.int64, np.float32, np.float64
e, pi, inf, nan, newaxis = np.e, np.pi, np.inf, np.nan, np.newaxis
isdtype, result_type = np.isdtype, np.result_type
matmul = casadi_array.matmul


# Functions of each element.


def _function(name: str, casadi_name: str = "", dtype: Any = float64) -> Callable[..., Array]:
    of_expressions, of_numbers = getattr(ca, casadi_name or name), getattr(np, name)

    def function(*x: Any) -> Array:
        return elementwise(of_expressions, of_numbers, *x, dtype=dtype)

    return function


abs, sign = _function("abs", "fabs"), _function("sign")
floor, ceil = _function("floor"), _function("ceil")
exp, expm1 = _function("exp"), _function("expm1")
log, log1p, log10 = _function("log"), _function("log1p"), _function("log10")
sqrt, hypot, atan2 = _function("sqrt"), _function("hypot"), _function("atan2")
sin, cos, tan = _function("sin"), _function("cos"), _function("tan")
asin, acos, atan = _function("asin"), _function("acos"), _function("atan")
sinh, cosh, tanh = _function("sinh"), _function("cosh"), _function("tanh")
asinh, acosh, atanh = _function("asinh"), _function("acosh"), _function("atanh")
maximum, minimum = _function("maximum", "fmax"), _function("minimum", "fmin")
logical_and = _function("logical_and", "logic_and", bool)
logical_or = _function("logical_or", "logic_or", bool)
logical_not = _function("logical_not", "logic_not", bool)
add, subtract, multiply = operator.add, operator.sub, operator.mul
divide, negative, pow = operator.truediv, operator.neg, operator.pow
less, less_equal = operator.lt, operator.le
greater, greater_equal = operator.gt, operator.ge
equal, not_equal = operator.eq, operator.ne


def square(x: Array) -> Array:
    """``x**2``."""
    return x**2


def reciprocal(x: Array) -> Array:
    """``1 / x``."""
    return 1.0 / x


def logaddexp(a: Array, b: Array) -> Array:
    """``log(exp(a) + exp(b))``, in range whatever their size."""
    return maximum(a, b) + log1p(exp(-abs(a - b)))


def clip(x: Array, min: Any = None, max: Any = None) -> Array:
    """`x` kept between two bounds."""
    x = x if min is None else maximum(x, min)
    return x if max is None else minimum(x, max)


def where(condition: Any, a: Any, b: Any) -> Array:
    """`a` where the condition holds, else `b`; a condition of plain numbers selects at once."""
    condition, a, b = broadcast_arrays(as_array(condition), as_array(a), as_array(b))
    if condition.concrete:
        return rearranged([a, b], lambda places: np.where(condition.numpy(), *places))
    return elementwise(ca.if_else, np.where, condition, a, b)


# Reductions.


def _reduction(
    name: str, of_rows: Callable[[Any], Any], dtype: Any = float64
) -> Callable[..., Array]:
    def function(x: Array, *, axis: Axis = None, keepdims: Any = False) -> Array:
        return folded(x, axis, keepdims, of_rows, getattr(np, name))

    return function


def _pairwise(function: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    return lambda matrix: functools.reduce(function, ca.horzsplit(matrix))


sum = _reduction("sum", ca.sum2)
mean = _reduction("mean", lambda matrix: ca.sum2(matrix) / matrix.shape[1])
prod = _reduction("prod", _pairwise(operator.mul))
max = _reduction("max", _pairwise(ca.fmax))
min = _reduction("min", _pairwise(ca.fmin))


def var(x: Array, *, axis: Axis = None, correction: float = 0.0, keepdims: Any = False) -> Array:
    """Variance."""
    squares = (x - mean(x, axis=axis, keepdims=True)) ** 2
    total = sum(squares, axis=axis, keepdims=keepdims)
    return total / (squares.size / total.size - correction)


def std(x: Array, *, axis: Axis = None, correction: float = 0.0, keepdims: Any = False) -> Array:
    """Standard deviation."""
    return sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def vecdot(a: Array, b: Array, *, axis: int = -1) -> Array:
    """Sum of products over one axis."""
    return sum(a * b, axis=axis)


# Arrays in another order: NumPy does it to the positions.


def _move(function: Move) -> Callable[..., Array]:
    def moved(x: Any, *arguments: Any, **options: Any) -> Array:
        return rearranged([as_array(x)], lambda p: function(p[0], *arguments, **options))

    return moved


def _join(function: Move) -> Callable[..., Array]:
    def joined(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Array:
        return rearranged([as_array(x) for x in arrays], lambda p: function(p, axis=axis))

    return joined


stack, concat = _join(np.stack), _join(np.concatenate)
reshape, broadcast_to = _move(np.reshape), _move(np.broadcast_to)
permute_dims, moveaxis = _move(np.transpose), _move(np.moveaxis)
matrix_transpose = _move(np.matrix_transpose)
expand_dims, squeeze = _move(np.expand_dims), _move(np.squeeze)
roll, flip, tile, repeat = _move(np.roll), _move(np.flip), _move(np.tile), _move(np.repeat)


def broadcast_arrays(*arrays: Array) -> list[Array]:
    """All arrays in their common shape."""
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    return [broadcast_to(x, shape) for x in arrays]


def unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The slices along an axis."""
    return tuple(moveaxis(x, axis, 0))


def take(x: Array, indices: Any, /, *, axis: int | None = None) -> Array:
    """Slices at plain indices."""
    places = as_array(indices).numpy()
    return rearranged([x], lambda p: np.take(p[0], places, axis=axis))


def take_along_axis(x: Array, indices: Any, /, *, axis: int = -1) -> Array:
    """Elements at plain indices, one index for each."""
    places = as_array(indices).numpy()
    return rearranged([x], lambda p: np.take_along_axis(p[0], places, axis=axis))


def triu(x: Array, /, *, k: int = 0) -> Array:
    """The upper triangle, zeros below."""
    return where(np.triu(np.ones(x.shape, bool), k=k), x, 0.0)


def tril(x: Array, /, *, k: int = 0) -> Array:
    """The lower triangle, zeros above."""
    return where(np.tril(np.ones(x.shape, bool), k=k), x, 0.0)


# New arrays.


def asarray(value: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Array:
    """`value` as an array; a list of expressions is refused, as in the standard."""
    array = as_array(value)
    return array if dtype is None else astype(array, dtype)


def astype(x: Array, dtype: Any, /, *, copy: Any = True, device: Any = None) -> Array:
    """`x` in another dtype; expressions are real numbers whatever it is."""
    column = x.column.astype(dtype) if x.concrete else x.column
    return Array(column, x.shape, dtype)


def _new(function: Callable[..., np.ndarray]) -> Callable[..., Array]:
    def made(*arguments: Any, device: Any = None, **options: Any) -> Array:
        return as_array(function(*arguments, **options))

    return made


def _like(value: float) -> Callable[..., Array]:
    def made(x: Array, /, *, dtype: Any = None, device: Any = None) -> Array:
        return as_array(np.full(x.shape, value, x.dtype if dtype is None else dtype))

    return made


arange, linspace, eye = _new(np.arange), _new(np.linspace), _new(np.eye)
zeros, ones, full = _new(np.zeros), _new(np.ones), _new(np.full)
zeros_like, ones_like = _like(0.0), _like(1.0)

Array.namespace = sys.modules[__name__]
