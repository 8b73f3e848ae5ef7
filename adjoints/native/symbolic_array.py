"""A NumPy array whose elements are expressions: what a right-hand side is traced with.

Whatever only moves elements about (indexing, stacking, rolling, ...) NumPy does itself on arrays of
objects, and ``+``, ``*`` and sums by the operators of the elements. What is left
is what NumPy would ask a truth of, or a method: functions of each element, comparisons, choices.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..standard_names import STANDARD_NAMES
from .expressions import Expression, Expressions
from .operations import OPERATIONS

#: Functions of each element that have another name among the operations.
_OPERATIONS = {
    "fabs": "abs",
    "float_power": "pow",
    "fmax": "maximum",
    "fmin": "minimum",
    "logical_and": "and",
    "logical_or": "or",
    "logical_not": "not",
    "bitwise_and": "and",
    "bitwise_or": "or",
    "invert": "not",
}

#: Those that are another with its operands exchanged, or its opposite.
_EXCHANGED = {"greater": "less", "greater_equal": "less_equal"}

#: Those that the operators of the elements do.
_BY_OPERATORS = frozenset(
    ("add", "subtract", "multiply", "true_divide", "divide", "negative", "positive")
)


class SymbolicArray(np.ndarray):
    """An array of expressions; its dtype is that of objects."""

    made_by: Expressions

    def __array_finalize__(self, of: Any) -> None:
        self.made_by = getattr(of, "made_by", None)  # pyright: ignore

    def __getitem__(self, key: Any) -> Any:
        """Part of the array; of a single element an array too."""
        return self._wrapped(super().__getitem__(key))

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's functions of each element, and the operators, by the operations."""
        name = ufunc.__name__
        if method == "reduce" and name in ("maximum", "minimum"):
            return self._reduced(name, inputs[0], **options)
        if name == "matmul":
            return self._wrapped(product(*inputs))
        if name in _BY_OPERATORS:
            plain = [np.asarray(value) for value in inputs]
            options.pop("out", None)
            options.pop("dtype", None)
            return self._wrapped(getattr(ufunc, method)(*plain, **options))
        if method != "__call__":
            raise TypeError(f"{name}.{method} of a value that is not known yet")
        return self._elementwise(name, *inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """NumPy's other functions: choices by expressions, the rest by NumPy itself."""
        own = _OWN.get(function.__name__)
        if own is not None:
            return own(self, *args, **kwargs)
        return super().__array_function__(function, types, args, kwargs)

    def _elementwise(self, name: str, *inputs: Any) -> Any:
        if name in _EXCHANGED:
            return self._elementwise(_EXCHANGED[name], *reversed(inputs))
        if name == "not_equal":
            return self._elementwise("logical_not", self._elementwise("equal", *inputs))
        if name == "square":
            return inputs[0] * inputs[0]
        if name == "reciprocal":
            return 1.0 / inputs[0]
        name = STANDARD_NAMES.get(name, name)
        operation = _OPERATIONS.get(name, name)
        if operation not in OPERATIONS:
            raise TypeError(f"xp.{name} has no counterpart in C here")
        return self.operated(operation, *inputs)

    def operated(self, operation: str, *inputs: Any) -> SymbolicArray:
        """An operation on the elements of some arrays, broadcast."""
        function = functools.partial(self.made_by.make, operation)
        return self._wrapped(mapped(self.made_by, function, *inputs))

    def _reduced(self, operation: str, array: Any, axis: Any = 0, **options: Any) -> Any:
        axes = tuple(range(array.ndim)) if axis is None else tuple(np.atleast_1d(axis).tolist())
        whole = reduced(self.made_by, functools.partial(extreme, operation), array, axes)
        if options.get("keepdims"):
            whole = np.expand_dims(whole, tuple(a % array.ndim for a in axes))
        return self._wrapped(whole)

    def _wrapped(self, array: Any) -> SymbolicArray:
        return symbolic(self.made_by, array)


def symbolic(make: Expressions, values: Any) -> SymbolicArray:
    """Expressions, or numbers, as an array."""
    array = np.asarray(values, object).view(SymbolicArray)
    array.made_by = make
    return array


def elements(array: SymbolicArray) -> list[Expression]:
    """The expressions of an array, in C order."""
    return [as_expression(array.made_by, x) for x in np.asarray(array).ravel().tolist()]


def as_expression(make: Expressions, value: Any) -> Expression:
    """An element of an array, which may be a number."""
    return value if isinstance(value, Expression) else make.constant(float(value))


def array_of(expressions: Sequence[Any], shape: Sequence[int]) -> np.ndarray:
    """Expressions, in C order, as an array of objects."""
    array = np.empty(len(expressions), object)
    array[:] = expressions
    return array.reshape(tuple(shape))


def mapped(make: Expressions, function: Callable[..., Expression], *arrays: Any) -> np.ndarray:
    """A function of the elements of some arrays, broadcast."""
    given = np.broadcast_arrays(*(np.asarray(x, object) for x in arrays))
    columns = ([as_expression(make, x) for x in array.ravel().tolist()] for array in given)
    return array_of([function(*row) for row in zip(*columns, strict=True)], given[0].shape)


def product(a: Any, b: Any) -> np.ndarray:
    """The matrix product of arrays of expressions and numbers.

    Where an element's operator raises, as it does when there are too many, NumPy's own lets go of
    a sum that is somebody else's, and the process crashes later.
    """
    left, right = np.asarray(a, object), np.asarray(b, object)
    rows = left[None] if left.ndim == 1 else left
    columns = right[:, None] if right.ndim == 1 else right
    sums = [np.sum(rows[..., i, :, None] * columns, axis=-2) for i in range(rows.shape[-2])]
    found = np.stack(sums, axis=-2)
    found = found[..., 0, :] if left.ndim == 1 else found
    return found[..., 0] if right.ndim == 1 else found


def reduced(
    make: Expressions,
    function: Callable[[Sequence[Expression]], Expression],
    array: Any,
    axes: Sequence[int],
) -> np.ndarray:
    """A function of what lies along some axes of an array."""
    moved = np.moveaxis(np.asarray(array, object), axes, range(len(axes)))
    shape = moved.shape[len(axes) :]
    columns = moved.reshape(-1, math.prod(shape)).T.tolist()
    found = [function([as_expression(make, x) for x in column]) for column in columns]
    return array_of(found, shape)


def extreme(operation: str, of: Sequence[Expression]) -> Expression:
    """The largest or the smallest; those that share the place share its derivative equally."""
    make = of[0].made_by
    value = functools.reduce(functools.partial(make.make, operation), of)
    return make.given(_equal_shares, value, *of) if len(of) > 1 else value


def _equal_shares(result: Expression, *of: Expression) -> list[Expression]:
    make = result.made_by
    one, zero = make.constant(1.0), make.constant(0.0)
    hits = [make.make("select", make.make("equal", e, result), one, zero) for e in of]
    count = sum(hits)
    return [hit / count for hit in hits]


def _where(any_of: SymbolicArray, condition: Any, a: Any, b: Any) -> Any:
    return any_of.operated("select", condition, a, b)


def _clip(any_of: SymbolicArray, x: Any, a_min: Any = None, a_max: Any = None, **o: Any) -> Any:
    lower, upper = o.get("min", a_min), o.get("max", a_max)
    x = x if lower is None else any_of.operated("maximum", x, lower)
    return x if upper is None else any_of.operated("minimum", x, upper)


def _mean(any_of: SymbolicArray, x: Any, axis: Any = None, **options: Any) -> Any:
    total = np.sum(x, axis=axis, keepdims=options.get("keepdims", False))
    return total / (x.size / max(1, np.size(total)))


def _norm(any_of: SymbolicArray, x: Any, *args: Any, **options: Any) -> Any:
    raise TypeError("xp.linalg.norm has no counterpart here; use xp.sqrt(xp.sum(x * x))")


def _dot(any_of: SymbolicArray, a: Any, b: Any) -> Any:
    if max(np.ndim(a), np.ndim(b)) > 2 or min(np.ndim(a), np.ndim(b)) == 0:
        raise TypeError("xp.dot is for vectors and matrices here; use xp.matmul")
    return symbolic(any_of.made_by, product(a, b))


def _tensordot(any_of: SymbolicArray, a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = np.asarray(a, object), np.asarray(b, object)
    if isinstance(axes, int):
        axes = (range(a.ndim - axes, a.ndim), range(axes))
    of_a, of_b = (
        [i % x.ndim for i in np.atleast_1d(own)] for x, own in zip((a, b), axes, strict=True)
    )
    kept_a, kept_b = (
        [i for i in range(x.ndim) if i not in own] for x, own in ((a, of_a), (b, of_b))
    )
    shape = [*(a.shape[i] for i in kept_a), *(b.shape[i] for i in kept_b)]
    count = int(np.prod([a.shape[i] for i in of_a], dtype=int))
    left = a.transpose(*kept_a, *of_a).reshape(-1, count)
    right = b.transpose(*of_b, *kept_b).reshape(count, -1)
    return symbolic(any_of.made_by, product(left, right)).reshape(shape)


def _without_counterpart(name: str) -> Callable[..., Any]:
    def refuse(any_of: SymbolicArray, *args: Any, **options: Any) -> Any:
        raise TypeError(f"xp.{name} has no counterpart here; use xp.matmul or xp.sum")

    return refuse


_OWN: dict[str, Callable[..., Any]] = {
    "where": _where,
    "clip": _clip,
    "mean": _mean,
    "norm": _norm,
    "dot": _dot,
    "tensordot": _tensordot,
    # NumPy's own loops over objects do not stop where an element's operator raises.
    **{name: _without_counterpart(name) for name in ("einsum", "inner", "vdot")},
}
