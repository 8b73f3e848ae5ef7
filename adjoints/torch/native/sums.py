"""ATen's sums, products, extremes and what is made of them, on arrays of expressions."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...native.expressions import Expression, Expressions
from ...native.symbolic_array import extreme, mapped, product, reduced
from .elementwise import at_most, choose, equal, exp, operated, opposite

Array = np.ndarray
Dims = int | Sequence[int] | None


#: Those that are equal share the derivative.
_MAXIMUM = functools.partial(extreme, "maximum")
_MINIMUM = functools.partial(extreme, "minimum")


def _along(
    make: Expressions,
    function: Callable[[Sequence[Expression]], Expression],
    a: Array,
    dim: Dims = None,
    keepdim: bool = False,
) -> Array:
    """A function of what lies along some axes; none given: along all."""
    dims = [] if dim is None else np.atleast_1d(np.asarray(dim, int)).tolist()
    axes = [d % a.ndim for d in dims] if a.ndim and dims else list(range(a.ndim))
    found = reduced(make, function, a, axes)
    return np.expand_dims(found, axes) if keepdim else found


def _rule(function: Callable[[Sequence[Expression]], Expression]) -> Callable[..., Array]:
    def rule(
        make: Expressions, a: Array, dim: Dims = None, keepdim: bool = False, dtype: Any = None
    ) -> Array:
        return _along(make, function, a, dim, keepdim)

    return rule


def _sum(terms: Sequence[Expression]) -> Expression:
    return functools.reduce(operator.add, terms)


def _mean(terms: Sequence[Expression]) -> Expression:
    return _sum(terms) / len(terms)


def _product(factors: Sequence[Expression]) -> Expression:
    return functools.reduce(operator.mul, factors)


def _first_extreme(
    before: Callable[[Expression, Expression], Expression],
) -> Callable[[Sequence[Expression]], Expression]:
    """The first of the extremes, or the first that is not a number."""

    def later(found: Expression, x: Expression) -> Expression:
        number = equal(found, found)
        return choose(operated("and", number, opposite(before(x, found))), x, found)

    return lambda xs: functools.reduce(later, xs)


def _largest(make: Expressions, a: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    function = _MAXIMUM if dim is None else _first_extreme(at_most)
    return _along(make, function, a, dim, keepdim)


def _smallest(make: Expressions, a: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    first = _first_extreme(lambda x, found: at_most(found, x))
    return _along(make, _MINIMUM if dim is None else first, a, dim, keepdim)


def _root(square: Expression) -> Expression:
    """The square root, with a derivative of zero at zero."""
    return square.made_by.given(_root_slope, operated("sqrt", square), square)


def _root_slope(root: Expression, _: Expression) -> tuple[Expression]:
    return (choose(equal(root, 0.0), 0.0, 0.5 / choose(equal(root, 0.0), 1.0, root)),)


def _norm(
    make: Expressions,
    a: Array,
    ord: float = 2,
    dim: Dims = None,
    keepdim: bool = False,
    dtype: Any = None,
) -> Array:
    functions: dict[float, Callable[[Sequence[Expression]], Expression]] = {
        2: lambda xs: _root(_sum([x * x for x in xs])),
        1: lambda xs: _sum([operated("abs", x) for x in xs]),
        math.inf: lambda xs: extreme("maximum", [operated("abs", x) for x in xs]),
    }
    if ord not in functions:
        raise TypeError(f"the norm of order {ord}")
    return _along(make, functions[ord], a, dim, keepdim)


def _held_maximum(xs: Sequence[Expression]) -> Expression:
    """What exponents are less by, so that none overflows; derivatives do not see it."""
    return operated("held", _MAXIMUM(xs))


def _log_sum(xs: Sequence[Expression]) -> Expression:
    return operated("log", _sum([exp(x) for x in xs]))


def _log_sum_exp(xs: Sequence[Expression]) -> Expression:
    shift = _held_maximum(xs)
    return _log_sum([x - shift for x in xs]) + shift


def _softmax(make: Expressions, a: Array, dim: int, half_to_float: bool) -> Array:
    found = mapped(make, exp, a - _along(make, _held_maximum, a, dim, True))
    return found / _along(make, _sum, found, dim, True)


def _log_softmax(make: Expressions, a: Array, dim: int, half_to_float: bool) -> Array:
    less = a - _along(make, _held_maximum, a, dim, True)
    return less - _along(make, _log_sum, less, dim, True)


def _variance(xs: Sequence[Expression], correction: float) -> Expression:
    mean = _mean(xs)
    return _sum([(x - mean) * (x - mean) for x in xs]) / (len(xs) - correction)


def _spread(root: bool) -> Callable[..., Array]:
    def rule(
        make: Expressions,
        a: Array,
        dim: Dims = None,
        *,
        correction: float | None = None,
        keepdim: bool = False,
    ) -> Array:
        def function(xs: Sequence[Expression]) -> Expression:
            square = _variance(xs, 1.0 if correction is None else correction)
            return _root(square) if root else square

        return _along(make, function, a, dim, keepdim)

    return rule


def _layer_norm(
    make: Expressions, a: Array, shape: Sequence[int], weight: Any, bias: Any, eps: float
) -> Array:
    dims = list(range(-len(shape), 0))

    def scale(xs: Sequence[Expression]) -> Expression:
        return 1.0 / operated("sqrt", _variance(xs, 0.0) + eps)

    found = (a - _along(make, _mean, a, dims, True)) * _along(make, scale, a, dims, True)
    found = found if weight is None else found * weight
    return found if bias is None else found + bias


def _glu(make: Expressions, a: Array, dim: int = -1) -> Array:
    value, gate = np.split(a, 2, dim)
    return value * mapped(make, lambda x: operated("logistic", x), gate)


def _added(multiplied: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def rule(
        make: Expressions, c: Array, a: Array, b: Array, beta: float = 1, alpha: float = 1
    ) -> Array:
        return c * float(beta) + multiplied(a, b) * float(alpha)

    return rule


def _convolution(
    make: Expressions,
    a: Array,
    weight: Array,
    bias: Array | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Array:
    if transposed:
        raise TypeError("a transposed convolution")
    a = np.pad(a, [(0, 0), (0, 0), *((p, p) for p in padding)], constant_values=0.0)
    axes = list(zip(a.shape[2:], weight.shape[2:], stride, dilation, strict=True))
    sizes = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in axes]

    def shifted(place: tuple[int, ...]) -> list[Array]:
        spans = (
            slice(i * d, i * d + s * (size - 1) + 1, s)
            for i, size, (_, _, s, d) in zip(place, sizes, axes, strict=True)
        )
        return np.split(a[(..., *spans)], groups, 1)

    total: Any = 0.0
    for place in np.ndindex(weight.shape[2:]):
        pairs = zip(np.split(weight[(..., *place)], groups), shifted(place), strict=True)
        parts = [np.tensordot(w, x, (1, 1)) for w, x in pairs]
        total = total + np.swapaxes(np.concatenate(parts), 0, 1)
    return total if bias is None else total + bias.reshape(-1, *(1,) * len(sizes))


def _cross(make: Expressions, a: Array, b: Array, dim: int = -1) -> Array:
    u, v = (np.moveaxis(x, dim, 0) for x in np.broadcast_arrays(a, b))
    parts = [u[(i + 1) % 3] * v[(i + 2) % 3] - u[(i + 2) % 3] * v[(i + 1) % 3] for i in range(3)]
    return np.stack(parts, dim if np.ndim(parts[0]) else 0)


#: Products of vectors and matrices.
_PRODUCTS = ("dot", "vdot", "mv", "mm", "bmm")

SUMS: dict[str, Callable[..., Array]] = {
    **dict.fromkeys(_PRODUCTS, lambda make, a, b: product(a, b)),
    **dict.fromkeys(("addmm", "addmv", "baddbmm"), _added(product)),
    "addr": _added(np.outer),
    "sum": _rule(_sum),
    "mean": _rule(_mean),
    "prod": _rule(_product),
    "amax": _rule(_MAXIMUM),
    "amin": _rule(_MINIMUM),
    "max": _largest,
    "min": _smallest,
    "any": _rule(lambda xs: functools.reduce(lambda a, b: operated("or", a, b), xs)),
    "all": _rule(lambda xs: functools.reduce(lambda a, b: operated("and", a, b), xs)),
    "logsumexp": _rule(_log_sum_exp),
    "cumsum": lambda make, a, dim, dtype=None: np.cumsum(a, dim),
    "cumprod": lambda make, a, dim, dtype=None: np.cumprod(a, dim),
    "trace": lambda make, a: np.asarray(np.trace(a)),
    "linalg_vector_norm": _norm,
    "linalg_cross": _cross,
    "_softmax": _softmax,
    "_log_softmax": _log_softmax,
    "var": _spread(root=False),
    "std": _spread(root=True),
    "native_layer_norm": _layer_norm,
    "glu": _glu,
    "convolution": _convolution,
}
