"""Primitives on integers that depend on what is not known yet, and on places that these tell."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...native.expressions import Expression
from ...native.symbolic_array import array_of, mapped, reduced
from .cases import between, choice, chosen, integer_of, is_chosen, truth
from .equation import Equation, Rule, is_known, told
from .linear import LINEAR
from .moves import INDEXED, MOVES
from .primitives import OF_KNOWN, RULES, accumulated, select_n


def _is_truth(variable: Any) -> bool:
    return told(variable).dtype == np.bool_


def _number(equation: Equation, value: Any) -> Expression:
    """A known integer or truth, which numbers can tell from its neighbours."""
    if abs(int(value)) > 2**53:
        raise TypeError(f"the integer {value} is too large")
    return equation.make.constant(float(value))


def _each(equation: Equation, function: Callable[..., Any]) -> np.ndarray:
    """A function of NumPy's integers and truths, element by element."""
    given = equation.written.invars
    join = truth if _is_truth(equation.written.outvars[0]) else choice

    def of_known(*values: int) -> Expression:
        pairs = zip(values, given, strict=True)
        return _number(equation, function(*(np.array(x, told(v).dtype) for x, v in pairs)))

    def of_row(*row: Expression) -> Expression:
        pairs = zip(row, given, strict=True)
        integers = (integer_of(e) if _is_truth(v) else e for e, v in pairs)
        return chosen(of_known, *integers, join=join)

    return mapped(equation.make, of_row, *equation.inputs)


def _each_of(function: Callable[..., Any]) -> Rule:
    return lambda equation: _each(equation, function)


def _quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if b == 0:
        raise TypeError("an integer is divided by zero")
    return np.abs(a) // np.abs(b) * np.sign(a) * np.sign(b)


def _convert(equation: Equation) -> np.ndarray:
    if told(equation.written.invars[0]).dtype.kind == "f":
        return mapped(equation.make, _whole, *equation.inputs)
    if np.dtype(equation["new_dtype"]).kind != "b" and not _are_chosen(equation):
        return equation.inputs[0]
    return _each(equation, lambda a: a.astype(equation["new_dtype"]))


def _whole(real: Expression) -> Expression:
    """A real number as an integer: rounded to zero, of NaN zero, and 32 bits long."""
    make, zero = real.made_by, real.made_by.constant(0.0)
    sides = (make.make(name, real) for name in ("ceil", "floor"))
    rounded = choice(make.make("less", real, zero), *sides)
    known = choice(make.make("equal", real, real), rounded, zero)
    return make.make("minimum", make.make("maximum", known, zero - 2.0**31), zero + (2.0**31 - 1))


def _are_chosen(equation: Equation) -> bool:
    """Whether all its integers are choices between known ones."""
    pairs = zip(equation.written.invars, equation.inputs, strict=True)
    integers = (x for v, x in pairs if not is_known(x) and not _is_truth(v))
    return all(is_chosen(e) for x in integers for e in equation.expressions(x))


def _or_as_real(name: str, rule: Rule) -> Rule:
    """A rule for choices, and for other integers that of real numbers: it is exact for these."""
    return lambda equation: (rule if _are_chosen(equation) else RULES[name])(equation)


def _select_n(equation: Equation) -> np.ndarray:
    if _is_truth(equation.written.invars[0]):
        if not _are_chosen(equation):
            return select_n(equation)
        return _each(equation, lambda which, no, yes: yes if which else no)

    def of_row(which: Expression, *cases: Expression) -> Expression:
        return chosen(lambda number: cases[number], which)

    return mapped(equation.make, of_row, *equation.inputs)


def _pair(equation: Equation, function: Callable[[int, int], int]) -> Callable[..., Expression]:
    """A function of two integers of the dtype of the output."""
    limits = np.iinfo(told(equation.written.outvars[0]).dtype)

    def of_known(a: int, b: int) -> Expression:
        if not limits.min <= function(a, b) <= limits.max:
            raise TypeError("an integer overflows")
        return _number(equation, function(a, b))

    return functools.partial(chosen, of_known)


def _reduced(function: Callable[[int, int], int]) -> Rule:
    def rule(equation: Equation) -> np.ndarray:
        fold = functools.partial(functools.reduce, _pair(equation, function))
        return reduced(equation.make, fold, equation.inputs[0], tuple(equation["axes"]))

    return rule


def _cumsum(equation: Equation) -> np.ndarray:
    return accumulated(equation, np.frompyfunc(_pair(equation, int.__add__), 2, 1))


def _first(equation: Equation, sign: int) -> np.ndarray:
    """The place of the first of the largest integers or truths, or of the smallest."""
    make, of_truths = equation.make, _is_truth(equation.written.invars[0])

    def place(column: Sequence[Expression]) -> Expression:
        values = [integer_of(e) if of_truths else e for e in column]
        best, at = values[0], make.constant(0.0)
        for i, value in enumerate(values[1:], 1):
            at = chosen(
                lambda a, b, at, i=i: make.constant(i if sign * b > sign * a else at),
                *(best, value, at),
            )
            best = chosen(lambda a, b: make.constant(sign * max(sign * a, sign * b)), best, value)
        return at

    return reduced(equation.make, place, equation.inputs[0], tuple(equation["axes"]))


def _in_reach(equation: Equation, places: np.ndarray) -> list[Expression]:
    """Places in the first input as choices between those that it has, and beyond."""
    end = max(equation.inputs[0].shape)
    integers = equation.expressions(places)
    return [e if is_chosen(e) else between(e, -1, end) for e in integers]


def _gather(equation: Equation) -> np.ndarray:
    """Each part has a place of its own, so it is chosen on its own."""
    (array, places), shape = equation.inputs, equation.shape
    rows = array_of(_in_reach(equation, places), places.shape)
    inner = equation["dimension_numbers"].offset_dims

    @functools.cache
    def at(*place: int) -> np.ndarray:
        dtype = told(equation.written.invars[1]).dtype
        everywhere = np.broadcast_to(np.array(place, dtype), places.shape)
        found = INDEXED["gather"](replace(equation, inputs=[array, everywhere]))
        return array_of(equation.expressions(np.asarray(found)), shape)

    def element(*position: int) -> Expression:
        row = rows[tuple(i for axis, i in enumerate(position) if axis not in inner)]
        return chosen(lambda *place: at(*place)[position], *row)

    return array_of([element(*position) for position in np.ndindex(*shape)], shape)


def _places(rule: Rule, some: slice) -> Rule:
    """A rule that wants `some` inputs known, for each that they may be."""

    def of_choices(equation: Equation) -> np.ndarray:
        given = equation.inputs[some]
        integers = [e for array in given for e in _in_reach(equation, array)]
        splits = np.cumsum([array.size for array in given])[:-1]

        @functools.cache
        def at(*numbers: int) -> list[Expression]:
            flat = np.split(np.array(numbers), splits)
            variables = equation.written.invars[some]
            known = [
                part.astype(told(variable).dtype).reshape(array.shape)
                for part, variable, array in zip(flat, variables, given, strict=True)
            ]
            inputs = list(equation.inputs)
            inputs[some] = known
            return equation.expressions(np.asarray(rule(replace(equation, inputs=inputs))))

        found = (
            chosen(lambda *numbers, i=i: at(*numbers)[i], *integers)
            for i in range(math.prod(equation.shape))
        )
        return array_of(list(found), equation.shape)

    return of_choices


def concerns(equation: Equation) -> bool:
    """Whether an equation has to do with integers that are not known."""
    pairs = zip(equation.written.invars, equation.inputs, strict=True)
    variables = [v for v, x in pairs if not is_known(x)]
    return any(
        np.issubdtype(told(v).dtype, np.integer) for v in (*variables, *equation.written.outvars)
    )


#: What is the same for real numbers that are integers.
_AS_REAL = ("add", "sub", "mul", "neg", "max", "min", "lt", "le", "gt", "ge", "eq", "ne")

#: Of integers that are not known, or with such results.
INTEGERS: dict[str, Rule] = {
    **MOVES,
    **LINEAR,
    **{name: _each_of(function) for name, function in OF_KNOWN.items()},
    **{name: _or_as_real(name, _each_of(OF_KNOWN[name])) for name in _AS_REAL},
    "div": _each_of(_quotient),
    "rem": _each_of(np.fmod),
    "sign": _each_of(np.sign),
    "abs": _each_of(np.abs),
    "clamp": _each_of(lambda low, a, high: np.minimum(np.maximum(a, low), high)),
    "convert_element_type": _convert,
    "select_n": _select_n,
    "reduce_sum": _reduced(int.__add__),
    "reduce_max": _reduced(max),
    "reduce_min": _reduced(min),
    "cumsum": _cumsum,
    "argmax": lambda equation: _first(equation, 1),
    "argmin": lambda equation: _first(equation, -1),
    "dynamic_slice": _places(MOVES["dynamic_slice"], slice(1, None)),
    "dynamic_update_slice": _places(MOVES["dynamic_update_slice"], slice(2, None)),
    "gather": _gather,
    **{name: _places(INDEXED[name], slice(1, 2)) for name in ("scatter", "scatter-add")},
}
