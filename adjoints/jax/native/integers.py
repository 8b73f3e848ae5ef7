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
from .cases import choice, chosen, integer_of, truth
from .equation import Equation, Rule, is_known, told
from .linear import LINEAR
from .moves import INDEXED, MOVES
from .primitives import OF_KNOWN, accumulated


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
    return _each(equation, lambda a: a.astype(equation["new_dtype"]))


def _select_n(equation: Equation) -> np.ndarray:
    if _is_truth(equation.written.invars[0]):
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


def _places(rule: Rule, some: slice) -> Rule:
    """A rule that wants `some` inputs known, for each that they may be."""

    def of_choices(equation: Equation) -> np.ndarray:
        given = equation.inputs[some]
        integers = [e for array in given for e in equation.expressions(array)]
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


#: Of integers that are not known, or with such results.
INTEGERS: dict[str, Rule] = {
    **MOVES,
    **LINEAR,
    **{name: _each_of(function) for name, function in OF_KNOWN.items()},
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
    **{name: _places(INDEXED[name], slice(1, 2)) for name in ("gather", "scatter", "scatter-add")},
}
