"""The operations on expressions: how each is written in C, and its derivative."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from .expressions import Expression

#: Partial derivatives by each operand, from the result and the operands; ``None`` is zero.
Partials = Callable[..., tuple[Expression | None, ...]]


class Operation(NamedTuple):
    """How an operation is written in C, and its partial derivatives."""

    c: str
    partials: Partials


def _constant(like: Expression, value: float) -> Expression:
    return like.made_by.constant(value)


def _call(name: str, *operands: Expression) -> Expression:
    return operands[0].made_by.make(name, *operands)


def _half_where_equal(a: Expression, b: Expression, taken: Expression) -> Expression:
    """One where `a` is taken, zero where it is not, and a half where both are equal."""
    one, half, zero = (_constant(a, value) for value in (1.0, 0.5, 0.0))
    return _call("select", _call("equal", a, b), half, _call("select", taken, one, zero))


def _maximum(_: Expression, a: Expression, b: Expression) -> tuple[Expression, Expression]:
    return _half_where_equal(a, b, _call("less", b, a)), _half_where_equal(
        b, a, _call("less", a, b)
    )


def _minimum(_: Expression, a: Expression, b: Expression) -> tuple[Expression, Expression]:
    return _half_where_equal(a, b, _call("less", a, b)), _half_where_equal(
        b, a, _call("less", b, a)
    )


def _power(r: Expression, a: Expression, b: Expression) -> tuple[Expression | None, ...]:
    by_base = b * _call("pow", a, b - 1.0)
    if b.number is not None:
        return by_base, None
    # As the frameworks have it, zero to a power does not move with the power.
    safe = _call("select", _call("equal", a, _constant(a, 0.0)), _constant(a, 1.0), a)
    return by_base, r * _call("log", safe)


def _given(r: Expression, _: Expression, *by: Expression) -> tuple[Expression | None, ...]:
    """A value as it is computed, with derivatives of its own."""
    assert callable(r.value)
    return None, *r.value(r, *by)


def _fmod(_: Expression, a: Expression, b: Expression) -> tuple[Expression, Expression]:
    whole = _call("sign", a / b) * _call("floor", _call("abs", a / b))
    return _constant(a, 1.0), -whole


def _erf(_: Expression, a: Expression) -> tuple[Expression]:
    return (2.0 / math.sqrt(math.pi) * _call("exp", -(a * a)),)


def _none(*operands: Expression) -> tuple[None, ...]:
    return (None,) * (len(operands) - 1)


OPERATIONS: dict[str, Operation] = {
    "add": Operation("({0} + {1})", lambda r, a, b: (_constant(a, 1.0), _constant(a, 1.0))),
    "sub": Operation("({0} - {1})", lambda r, a, b: (_constant(a, 1.0), _constant(a, -1.0))),
    "mul": Operation("({0} * {1})", lambda r, a, b: (b, a)),
    "div": Operation("({0} / {1})", lambda r, a, b: (1.0 / b, -(r / b))),
    "neg": Operation("(-{0})", lambda r, a: (_constant(a, -1.0),)),
    "pow": Operation("pow_lanes({0}, {1})", _power),
    "sqrt": Operation("sqrt_lanes({0})", lambda r, a: (0.5 / r,)),
    "cbrt": Operation("cbrt_lanes({0})", lambda r, a: (1.0 / 3.0 / (r * r),)),
    "exp": Operation("exp_lanes({0})", lambda r, a: (r,)),
    "exp2": Operation("exp2_lanes({0})", lambda r, a: (math.log(2.0) * r,)),
    "expm1": Operation("expm1_lanes({0})", lambda r, a: (r + 1.0,)),
    "log": Operation("log_lanes({0})", lambda r, a: (1.0 / a,)),
    "log1p": Operation("log1p_lanes({0})", lambda r, a: (1.0 / (1.0 + a),)),
    "log2": Operation("log2_lanes({0})", lambda r, a: (1.0 / (math.log(2.0) * a),)),
    "log10": Operation("log10_lanes({0})", lambda r, a: (1.0 / (math.log(10.0) * a),)),
    "logistic": Operation("(1 / (1 + exp_lanes(-{0})))", lambda r, a: (r * (1.0 - r),)),
    "erf": Operation("erf_lanes({0})", _erf),
    "erfc": Operation("erfc_lanes({0})", lambda r, a: (-_erf(r, a)[0],)),
    "sin": Operation("sin_lanes({0})", lambda r, a: (_call("cos", a),)),
    "cos": Operation("cos_lanes({0})", lambda r, a: (-_call("sin", a),)),
    "tan": Operation("tan_lanes({0})", lambda r, a: (1.0 + r * r,)),
    "asin": Operation("asin_lanes({0})", lambda r, a: (1.0 / _call("sqrt", 1.0 - a * a),)),
    "acos": Operation("acos_lanes({0})", lambda r, a: (-(1.0 / _call("sqrt", 1.0 - a * a)),)),
    "atan": Operation("atan_lanes({0})", lambda r, a: (1.0 / (1.0 + a * a),)),
    "atan2": Operation(
        "atan2_lanes({0}, {1})", lambda r, a, b: (b / (a * a + b * b), -(a / (a * a + b * b)))
    ),
    "hypot": Operation("hypot_lanes({0}, {1})", lambda r, a, b: (a / r, b / r)),
    "sinh": Operation("sinh_lanes({0})", lambda r, a: (_call("cosh", a),)),
    "cosh": Operation("cosh_lanes({0})", lambda r, a: (_call("sinh", a),)),
    "tanh": Operation("tanh_lanes({0})", lambda r, a: (1.0 - r * r,)),
    "asinh": Operation("asinh_lanes({0})", lambda r, a: (1.0 / _call("sqrt", a * a + 1.0),)),
    "acosh": Operation("acosh_lanes({0})", lambda r, a: (1.0 / _call("sqrt", a * a - 1.0),)),
    "atanh": Operation("atanh_lanes({0})", lambda r, a: (1.0 / (1.0 - a * a),)),
    "fmod": Operation("fmod_lanes({0}, {1})", _fmod),
    "abs": Operation("fabs_lanes({0})", lambda r, a: (_call("sign", a),)),
    "sign": Operation("sign({0})", _none),
    "floor": Operation("floor_lanes({0})", _none),
    "ceil": Operation("ceil_lanes({0})", _none),
    "round": Operation("round_lanes({0})", _none),
    "rint": Operation("rint_lanes({0})", _none),
    "held": Operation("({0})", _none),
    "given": Operation("({0})", _given),
    "maximum": Operation("maximum({0}, {1})", _maximum),
    "minimum": Operation("minimum({0}, {1})", _minimum),
    "less": Operation("({0} < {1})", _none),
    "less_equal": Operation("({0} <= {1})", _none),
    "equal": Operation("({0} == {1})", _none),
    "not": Operation("no({0})", _none),
    "and": Operation("({0} & {1})", _none),
    "or": Operation("({0} | {1})", _none),
    "select": Operation("blend({0}, {1}, {2})", lambda r, c, a, b: _of_select(c)),
}


def _of_select(condition: Expression) -> tuple[Expression | None, ...]:
    one, zero = _constant(condition, 1.0), _constant(condition, 0.0)
    return None, _call("select", condition, one, zero), _call("select", condition, zero, one)
