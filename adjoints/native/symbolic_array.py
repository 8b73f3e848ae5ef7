"""A NumPy array whose elements are expressions: what a right-hand side is traced with.

Whatever only moves elements about (indexing, stacking, rolling, ...) NumPy does itself on arrays of
objects, and ``+``, ``*``, sums and matrix products by the operators of the elements. What is left
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
    ("add", "subtract", "multiply", "true_divide", "divide", "negative", "positive", "matmul")
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


_OWN: dict[str, Callable[..., Any]] = {
    "where": _where,
    "clip": _clip,
    "mean": _mean,
    "norm": _norm,
}
