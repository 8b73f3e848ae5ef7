"""Integers that depend on what is not known yet, as places in a table and numbers of branches do.

They are choices between known integers, and a function of them is one of each of those. Any other
integer is one where an array is asked for a place: there are so many places, and beyond.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from ...native.differentiation import pulled_back
from ...native.expressions import Expression

#: Combinations of known integers that are gone through for one.
MOST_CASES = 4096

Join = Callable[[Expression, Expression, Expression], Expression]


def choice(condition: Expression, yes: Expression, no: Expression) -> Expression:
    """One of two values."""
    return condition.made_by.make("select", condition, yes, no)


def truth(condition: Expression, yes: Expression, no: Expression) -> Expression:
    """One of two truths."""
    if (yes.number, no.number) == (1.0, 0.0):
        return condition
    if (yes.number, no.number) == (0.0, 1.0):
        return condition.made_by.make("not", condition)
    return choice(condition, yes, no)


def integer_of(expression: Expression) -> Expression:
    """A truth as an integer."""
    one, zero = (expression.made_by.constant(value) for value in (1.0, 0.0))
    if expression.number is not None:
        return expression
    if expression.operation == "not":
        return choice(expression.operands[0], zero, one)
    return choice(expression, one, zero)


def chosen(
    function: Callable[..., Expression], *integers: Expression, join: Join = choice
) -> Expression:
    """What a function of known integers gives for choices between known integers."""
    found: dict[tuple[Expression, ...], Expression] = {}

    def of(*integers: Expression) -> Expression:
        if integers not in found:
            if len(found) >= MOST_CASES:
                raise TypeError(f"an integer takes more than {MOST_CASES} cases")
            found[integers] = anew(*integers)
        return found[integers]

    def anew(*integers: Expression) -> Expression:
        unknown = [e for e in integers if e.number is None]
        if not unknown:
            return function(*map(_integer, integers))
        if any(e.operation != "select" for e in unknown):
            raise TypeError("an integer depends on state, time or parameters")
        # In one order, so that what is chosen once is not chosen again below.
        first = min((e.operands[0] for e in unknown), key=lambda e: e.order)
        return join(first, of(*_where(first, 1, integers)), of(*_where(first, 2, integers)))

    return of(*integers)


def _integer(expression: Expression) -> int:
    number = expression.number
    assert number is not None
    if number != int(number):
        raise TypeError(f"{number} is no integer")
    return int(number)


def _where(condition: Expression, side: int, of: Sequence[Expression]) -> list[Expression]:
    """What integers are where a condition holds (side 1), or does not (side 2)."""
    return [e.operands[side] if e.number is None and e.operands[0] is condition else e for e in of]


def is_chosen(integer: Expression) -> bool:
    """Whether it is a choice between known integers."""
    seen, waiting = set(), [integer]
    while waiting:
        part = waiting.pop()
        if part not in seen and part.number is None:
            if part.operation != "select":
                return False
            seen.add(part)
            waiting += part.operands[1:]
    return True


def between(integer: Expression, low: int, high: int) -> Expression:
    """Any integer as a choice between known ones: those beyond an end become that."""
    make = integer.made_by
    if low == high:
        return make.constant(low)
    middle = (low + high + 1) // 2
    below_it = make.make("less", integer, make.constant(middle))
    return choice(below_it, between(integer, low, middle - 1), between(integer, middle, high))


def one_of(
    values: Callable[[int], Expression], which: Expression, by: Sequence[Expression]
) -> Expression:
    """A value by its number, differentiable by what all values are functions of.

    Derivatives of the others are not even multiplied by zero: they need not be finite.
    """
    make = which.made_by
    values = functools.cache(values)
    reached: list[Expression] = []

    def value_of(number: int) -> Expression:
        reached.append(values(number))
        return reached[-1]

    value = chosen(value_of, which)
    if all(e is value or e.number is not None for e in reached):
        return value

    @functools.cache
    def slopes(number: int) -> list[Expression]:
        return pulled_back(make, [values(number)], [make.constant(1.0)], by)

    @functools.cache
    def partials(*_: Expression) -> list[Expression]:
        return [one_of(lambda number, i=i: slopes(number)[i], which, by) for i in range(len(by))]

    return make.given(partials, value, *by)
