"""Primitives of each element, and sums, products and extremes: what each is among the operations.

Derivatives are those that JAX takes, at kinks too. Where those of an operation are other ones they
are given here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from ...native.expressions import Expression
from ...native.symbolic_array import extreme, mapped, product, reduced
from .equation import Equation, Rule, is_known, told

#: Primitives that are an operation, under its name or another.
_OPERATIONS = {
    **{name: name for name in ("add", "sub", "mul", "div", "neg", "pow", "sqrt", "cbrt")},
    **{name: name for name in ("exp", "exp2", "expm1", "log", "log1p", "logistic", "erf", "erfc")},
    **{name: name for name in ("sin", "cos", "tan", "asin", "acos", "atan", "atan2")},
    **{name: name for name in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh")},
    **{name: name for name in ("sign", "floor", "ceil", "and", "or", "not")},
    "add_any": "add",
    "max": "maximum",
    "min": "minimum",
    "rem": "fmod",
    "lt": "less",
    "le": "less_equal",
    "eq": "equal",
    "stop_gradient": "held",
}

#: What NumPy computes as XLA does, to the last bit, without a program being compiled for it.
OF_KNOWN: dict[str, Callable[..., np.ndarray]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "neg": np.negative,
    "max": np.maximum,
    "min": np.minimum,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
}


def _each(equation: Equation, function: Callable[..., Expression]) -> np.ndarray:
    return mapped(equation.make, function, *equation.inputs)


def _operation(name: str) -> Rule:
    return _of_elements(functools.partial(_call, name))


def _of_elements(function: Callable[..., Expression]) -> Rule:
    return lambda equation: _each(equation, function)


def _call(name: str, *operands: Expression) -> Expression:
    return operands[0].made_by.make(name, *operands)


def _different(a: Expression, b: Expression) -> Expression:
    return _call("not", _call("equal", a, b))


def _less_in_order(a: Expression, b: Expression) -> Expression:
    """Less, with NaN above all; JAX makes both zeros one, and NaNs, before it asks."""
    if b.number is not None and not math.isnan(b.number):
        return _call("less", a, b)
    last = _call("or", _call("less", a, b), _different(b, b))
    return _call("and", _call("equal", a, a), last)


def _is_finite(a: Expression) -> Expression:
    return _call("less", _call("abs", a), a.made_by.constant(math.inf))


def _abs(a: Expression) -> Expression:
    return a.made_by.given(_abs_slope, _call("abs", a), a)


def _abs_slope(_: Expression, a: Expression) -> tuple[Expression]:
    one, zero = a.made_by.constant(1.0), a.made_by.constant(0.0)
    # At zero it is one.
    return (_call("select", _call("less_equal", zero, a), one, -one),)


def _clamp(low: Expression, a: Expression, high: Expression) -> Expression:
    value = _call("minimum", _call("maximum", a, low), high)
    return low.made_by.given(_clamp_slopes, value, low, a, high)


def _clamp_slopes(
    _: Expression, low: Expression, a: Expression, high: Expression
) -> tuple[Expression, ...]:
    one, zero = a.made_by.constant(1.0), a.made_by.constant(0.0)
    conditions = (
        _call("and", _call("less", a, low), _call("less", low, high)),
        _call("and", _call("less", low, a), _call("less", a, high)),
        _call("less", high, a),
    )
    return tuple(_call("select", condition, one, zero) for condition in conditions)


def _integer_pow(equation: Equation) -> np.ndarray:
    return _each(equation, lambda a: a ** equation["y"])


def _round(equation: Equation) -> np.ndarray:
    to_even = equation["rounding_method"].name == "TO_NEAREST_EVEN"
    return _each(equation, functools.partial(_call, "rint" if to_even else "round"))


def _convert(equation: Equation) -> np.ndarray:
    """Of truths numbers; the rest are of one dtype."""
    dtype, wanted = told(equation.written.invars[0]).dtype, np.dtype(equation["new_dtype"])
    if dtype == wanted:
        return equation.inputs[0]
    if dtype != np.bool_:
        raise TypeError(f"{dtype} that depends on state, time or parameters becomes {wanted}")
    return _each(equation, lambda a: _call("select", a, *map(a.made_by.constant, (1.0, 0.0))))


def select_n(equation: Equation) -> np.ndarray:
    """One of some arrays, element by element."""
    which, *cases = equation.inputs
    if not is_known(which):
        return _each(equation, lambda c, no, yes: _call("select", c, yes, no))
    found = np.broadcast_to(cases[0], equation.shape)
    for number, case in enumerate(cases[1:], 1):
        found = np.where(which == number, case, found)
    return found


def _sum(equation: Equation) -> np.ndarray:
    return np.asarray(np.sum(equation.inputs[0], tuple(equation["axes"])), object)


def _reduced(function: Callable[[Sequence[Expression]], Expression]) -> Rule:
    return lambda equation: reduced(
        equation.make, function, equation.inputs[0], tuple(equation["axes"])
    )


def _folded(name: str) -> Rule:
    return _reduced(functools.partial(functools.reduce, functools.partial(_call, name)))


def accumulated(equation: Equation, function: np.ufunc) -> np.ndarray:
    """A function of two, along an axis of the input from its beginning or its end."""
    (array,), axis = equation.inputs, equation["axis"]
    if not equation["reverse"]:
        return function.accumulate(array, axis, object)
    return np.flip(function.accumulate(np.flip(array, axis), axis, object), axis)


def _dot_general(equation: Equation) -> np.ndarray:
    (left_summed, right_summed), (left_batch, right_batch) = equation["dimension_numbers"]
    left, right = (np.asarray(x, object) for x in equation.inputs)
    rows = [i for i in range(left.ndim) if i not in (*left_summed, *left_batch)]
    columns = [i for i in range(right.ndim) if i not in (*right_summed, *right_batch)]
    batch = [left.shape[i] for i in left_batch]
    summed = math.prod(left.shape[i] for i in left_summed)
    left = left.transpose(*left_batch, *rows, *left_summed).reshape(*batch, -1, summed)
    right = right.transpose(*right_batch, *right_summed, *columns).reshape(*batch, summed, -1)
    return product(left, right).reshape(equation.shape)


def convert_known(equation: Equation) -> np.ndarray | None:
    """Known values as another dtype; ``None`` where XLA and NumPy may differ."""
    (value,), dtype = equation.inputs, np.dtype(equation["new_dtype"])
    return value.astype(dtype) if dtype.kind == "f" or value.dtype.kind != "f" else None


RULES: dict[str, Rule] = {
    **{primitive: _operation(name) for primitive, name in _OPERATIONS.items()},
    "gt": _of_elements(lambda a, b: _call("less", b, a)),
    "ge": _of_elements(lambda a, b: _call("less_equal", b, a)),
    "lt_to": _of_elements(_less_in_order),
    "le_to": _of_elements(lambda a, b: _call("not", _less_in_order(b, a))),
    "ne": _of_elements(_different),
    "xor": _of_elements(_different),
    "square": _of_elements(lambda a: a * a),
    "rsqrt": _of_elements(lambda a: 1.0 / _call("sqrt", a)),
    "abs": _of_elements(_abs),
    "clamp": _of_elements(_clamp),
    "is_finite": _of_elements(_is_finite),
    "integer_pow": _integer_pow,
    "round": _round,
    "convert_element_type": _convert,
    "reduce_sum": _sum,
    "reduce_prod": _folded("mul"),
    "reduce_and": _folded("and"),
    "reduce_or": _folded("or"),
    "reduce_max": _reduced(functools.partial(extreme, "maximum")),
    "reduce_min": _reduced(functools.partial(extreme, "minimum")),
    "cumsum": lambda equation: accumulated(equation, np.add),
    "cumprod": lambda equation: accumulated(equation, np.multiply),
    "dot_general": _dot_general,
}
