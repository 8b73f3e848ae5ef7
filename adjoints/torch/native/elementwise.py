"""ATen's functions of each element, as formulas of expressions.

A formula is written so that its derivative is PyTorch's, at its kinks and far out too: the
derivative of a choice is taken of both sides, so that neither may overflow where it is not taken.

References
----------
PyTorch, tools/autograd/derivatives.yaml and torch/csrc/autograd/FunctionsManual.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...native.expressions import Expression, Expressions
from ...native.symbolic_array import as_expression, mapped

Array = np.ndarray
Formula = Callable[..., Expression]


def operated(name: str, *operands: Any) -> Expression:
    """An operation on expressions and numbers, at least one an expression."""
    make = next(x.made_by for x in operands if isinstance(x, Expression))
    return make.make(name, *(as_expression(make, x) for x in operands))


def choose(condition: Expression, yes: Any, no: Any) -> Expression:
    """One of two, by a condition."""
    return operated("select", condition, yes, no)


def less(a: Any, b: Any) -> Expression:
    """Whether `a` is less than `b`."""
    return operated("less", a, b)


def at_most(a: Any, b: Any) -> Expression:
    """Whether `a` is not more than `b`."""
    return operated("less_equal", a, b)


def equal(a: Any, b: Any) -> Expression:
    """Whether both are equal."""
    return operated("equal", a, b)


def exp(a: Any) -> Expression:
    """The exponential."""
    return operated("exp", a)


def log1p(a: Any) -> Expression:
    """The logarithm of one more."""
    return operated("log1p", a)


def opposite(a: Any) -> Expression:
    """Whether `a` is zero, or false."""
    return operated("not", a)


def on_elements(formula: Formula) -> Callable[..., Array]:
    """A formula of expressions as a function of arrays, which are broadcast, and numbers."""

    def rule(make: Expressions, *args: Any, **kwargs: Any) -> Array:
        places = [i for i, x in enumerate(args) if _is_numeric(x)]
        told = {k: make.constant(x) if _is_numeric(x) else x for k, x in kwargs.items()}

        def of_each(*elements: Expression) -> Expression:
            each = dict(zip(places, elements, strict=True))
            return formula(*(each.get(i, x) for i, x in enumerate(args)), **told)

        return mapped(make, of_each, *(args[i] for i in places))

    return rule


def _is_numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray | int | float)


def _div(a: Any, b: Any, rounding_mode: str | None = None) -> Expression:
    if rounding_mode is None:
        return a / b
    if rounding_mode == "trunc":
        return _trunc(a / b)
    # As Python divides: what the remainder leaves is a multiple, but for rounding.
    return choose(equal(b, 0.0), a / b, operated("rint", (a - _remainder(a, b)) / b))


def _trunc(a: Expression) -> Expression:
    return choose(less(a, 0.0), operated("ceil", a), operated("floor", a))


def _remainder(a: Any, b: Any) -> Expression:
    """That of a division rounded down, which has the sign of the divisor."""
    rest = operated("fmod", a, b)
    other_side = opposite(equal(less(rest, 0.0), less(b, 0.0)))
    return choose(operated("and", rest, other_side), rest + b, rest)


def _pow(a: Any, b: Any) -> Expression:
    power = operated("pow", a, b)
    return a.made_by.given(_power_slopes, power, a, b) if b.number is None else power


def _power_slopes(r: Expression, a: Expression, b: Expression) -> tuple[Expression, Expression]:
    """To the power of zero no base moves anything, and zero does not move with its power."""
    by_base = b * operated("pow", a, choose(equal(b, 0.0), 1.0, b - 1.0))
    return by_base, r * operated("log", choose(equal(a, 0.0), 1.0, a))


def _atan2(a: Any, b: Any) -> Expression:
    return a.made_by.given(_atan2_slopes, operated("atan2", a, b), a, b)


def _atan2_slopes(_: Expression, a: Expression, b: Expression) -> tuple[Expression, Expression]:
    """At the origin they are zero."""
    square = a * a + b * b
    square = choose(equal(square, 0.0), 1.0, square)
    return b / square, -(a / square)


def _clamp(x: Expression, min: Any = None, max: Any = None) -> Expression:
    """At a bound the derivative passes; between bounds that are equal, nothing does."""
    if min is None:
        return choose(less(max, x), max, x)
    if max is None:
        return choose(less(x, min), min, x)
    lower = choose(less(min, max), min, operated("held", min))
    inside = choose(less(x, min), lower, choose(less(max, x), max, x))
    return choose(less(max, min), max, inside)


def _xlogy(a: Any, b: Any) -> Expression:
    zero = operated("and", equal(a, 0.0), at_most(b, 0.0))
    return choose(zero, 0.0, a * operated("log", choose(zero, 1.0, b)))


def _fmax(a: Any, b: Any) -> Expression:
    return choose(at_most(b, a), a, choose(equal(b, b), b, a))


def _fmin(a: Any, b: Any) -> Expression:
    return choose(at_most(a, b), a, choose(equal(b, b), b, a))


def _elu(x: Any, alpha: Any = 1.0, scale: Any = 1.0, input_scale: Any = 1.0) -> Expression:
    low = at_most(x, 0.0)
    bent = operated("expm1", choose(low, x * input_scale, 0.0)) * (alpha * scale)
    return choose(low, bent, x * scale)


def _softplus(x: Any, beta: Any = 1.0, threshold: Any = 20.0) -> Expression:
    far = less(threshold, x * beta)
    return choose(far, x, log1p(exp(choose(far, 0.0, x * beta))) / beta)


def _softplus_backward(w: Any, x: Any, beta: Any, threshold: Any) -> Expression:
    return choose(less(threshold, x * beta), w, w * operated("logistic", x * beta))


def _log_1_plus_exp(x: Expression) -> Expression:
    low = less(x, 0.0)
    small = log1p(exp(choose(low, x, -x)))
    return choose(low, small, x + small)


def _logaddexp(a: Any, b: Any) -> Expression:
    low = less(a, b)
    small = log1p(exp(choose(low, a - b, b - a)))
    return choose(low, b + small, a + small)


def _gelu(x: Any, approximate: str = "none") -> Expression:
    if approximate == "none":
        return 0.5 * x * (1.0 + operated("erf", x * math.sqrt(0.5)))
    inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x))
    return 0.5 * x * (1.0 + operated("tanh", inner))


def _hardtanh(x: Any, min_val: Any = -1.0, max_val: Any = 1.0) -> Expression:
    return choose(at_most(x, min_val), min_val, choose(at_most(max_val, x), max_val, x))


def _named(name: str) -> Formula:
    return lambda *operands: operated(name, *operands)


#: Those that are operations of the same name.
_ALIKE = """
    neg sqrt exp exp2 expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh
    asinh acosh atanh abs sign floor ceil maximum minimum erf erfc hypot fmod
"""

#: Of numbers, with a number as result.
FORMULAS: dict[str, Formula] = {
    **{name: _named(name) for name in _ALIKE.split()},
    "add": lambda a, b, alpha=1.0: a + b * alpha,
    "sub": lambda a, b, alpha=1.0: a - b * alpha,
    "rsub": lambda a, b, alpha=1.0: b - a * alpha,
    "mul": lambda a, b: a * b,
    # Of truth values, which are numbers then; what would round is refused by its dtype.
    "_to_copy": lambda a, **_: a,
    "div": _div,
    "remainder": _remainder,
    "pow": _pow,
    "atan2": _atan2,
    "reciprocal": lambda a: 1.0 / a,
    "rsqrt": lambda a: 1.0 / operated("sqrt", a),
    "sgn": _named("sign"),
    "round": _named("rint"),
    "trunc": _trunc,
    "frac": lambda a: a - _trunc(a),
    "deg2rad": lambda a: a * (math.pi / 180.0),
    "rad2deg": lambda a: a * (180.0 / math.pi),
    "xlogy": _xlogy,
    "clamp": _clamp,
    "clamp_min": _clamp,
    "clamp_max": lambda x, max: _clamp(x, None, max),
    "fmax": _fmax,
    "fmin": _fmin,
    "sigmoid": _named("logistic"),
    "relu": lambda x: choose(at_most(x, 0.0), 0.0, x),
    "leaky_relu": lambda x, slope=0.01: choose(less(0.0, x), x, x * slope),
    "threshold": lambda x, threshold, value: choose(at_most(x, threshold), value, x),
    "hardtanh": _hardtanh,
    "elu": _elu,
    "celu": lambda x, alpha=1.0: _elu(x, alpha, 1.0, 1.0 / alpha),
    "_prelu_kernel": lambda x, weight: choose(less(0.0, x), x, weight * x),
    "gelu": _gelu,
    "logit": lambda x: operated("log", x / (1.0 - x)),
    "silu": lambda x: x * operated("logistic", x),
    "mish": lambda x: x * operated("tanh", _log_1_plus_exp(x)),
    "softplus": _softplus,
    "log_sigmoid_forward": lambda x: -_log_1_plus_exp(-x),
    "logaddexp": _logaddexp,
    "lerp": lambda a, b, weight: a + weight * (b - a),
    "addcmul": lambda a, b, c, value=1.0: a + value * b * c,
    "addcdiv": lambda a, b, c, value=1.0: a + value * b / c,
    # What autograd calls in its derivatives, for functions that take derivatives themselves.
    "tanh_backward": lambda w, r: w * (1.0 - r * r),
    "sigmoid_backward": lambda w, r: w * (r * (1.0 - r)),
    "softplus_backward": _softplus_backward,
    "threshold_backward": lambda w, x, threshold: choose(at_most(x, threshold), 0.0, w),
}

#: With a truth value among the arguments, or as result.
TRUTHS: dict[str, Formula] = {
    "lt": less,
    "le": at_most,
    "eq": equal,
    "gt": lambda a, b: less(b, a),
    "ge": lambda a, b: at_most(b, a),
    "ne": lambda a, b: opposite(equal(a, b)),
    "logical_not": opposite,
    "bitwise_not": opposite,
    **dict.fromkeys(("logical_and", "bitwise_and"), _named("and")),
    **dict.fromkeys(("logical_or", "bitwise_or"), _named("or")),
    **dict.fromkeys(
        ("logical_xor", "bitwise_xor"),
        lambda a, b: opposite(equal(opposite(a), opposite(b))),
    ),
    "isnan": lambda a: opposite(equal(a, a)),
    "where": choose,
    "masked_fill": lambda x, mask, value: choose(mask, value, x),
}
