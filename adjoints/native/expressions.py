"""Scalar expressions: what a traced right-hand side is made of.

An expression is a number, an input, or an operation on others. Equal ones are the same object, so
that what is computed twice is written once, and what is known is computed at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

Number = int | float
Value = float | str | Callable[..., Sequence[Any]]


def _quotient(a: float, b: float) -> float:
    if b != 0:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a * b or a)


#: Operations that numbers go through at once.
_OF_NUMBERS: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _quotient,
    "neg": lambda a: -a,
    "abs": lambda a: abs(a),
    "less": lambda a, b: float(a < b),
    "less_equal": lambda a, b: float(a <= b),
    "equal": lambda a, b: float(a == b),
    "not": lambda a: float(not a),
}


class Expression:
    """A scalar expression; made by :class:`Expressions`, compared by identity.

    Attributes
    ----------
    operation : str
        ``"number"``, ``"input"``, or the name of an operation.
    operands : tuple of Expression
    value : float, str or callable
        Of a number, or the C name of an input; of a ``"given"`` result, its partial derivatives.
    order : int
        Operands come before what is made of them.
    """

    __slots__ = ("made_by", "operands", "operation", "order", "value")

    def __init__(
        self,
        made_by: Expressions,
        operation: str,
        operands: tuple[Expression, ...],
        value: Value,
        order: int,
    ) -> None:
        self.made_by = made_by
        self.operation = operation
        self.operands = operands
        self.value = value
        self.order = order

    @property
    def number(self) -> float | None:
        """Its value where that is known."""
        return self.value if self.operation == "number" else None  # pyright: ignore

    def _with(self, operation: str, other: Any, *, reflected: bool = False) -> Any:
        if not isinstance(other, Expression):
            if np.ndim(other):
                return NotImplemented
            other = self.made_by.constant(float(other))
        pair = (other, self) if reflected else (self, other)
        return self.made_by.make(operation, *pair)

    def __add__(self, other: Any) -> Any:
        return self._with("add", other)

    def __radd__(self, other: Any) -> Any:
        return self._with("add", other, reflected=True)

    def __sub__(self, other: Any) -> Any:
        return self._with("sub", other)

    def __rsub__(self, other: Any) -> Any:
        return self._with("sub", other, reflected=True)

    def __mul__(self, other: Any) -> Any:
        return self._with("mul", other)

    def __rmul__(self, other: Any) -> Any:
        return self._with("mul", other, reflected=True)

    def __truediv__(self, other: Any) -> Any:
        return self._with("div", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with("div", other, reflected=True)

    def __pow__(self, other: Any) -> Any:
        return self._with("pow", other)

    def __rpow__(self, other: Any) -> Any:
        return self._with("pow", other, reflected=True)

    def __neg__(self) -> Expression:
        return self.made_by.make("neg", self)

    def __float__(self) -> float:
        if self.number is None:
            raise TypeError(
                "a number is wanted where the value depends on state, time or parameter"
            )
        return self.number

    def __bool__(self) -> bool:
        if self.number is None:
            raise TypeError("an `if` on a value that is not known yet; use xp.where")
        return bool(self.number)


class Expressions:
    """Makes the expressions of one program, each once.

    Parameters
    ----------
    most : int
        How many there may be; more raise a ``TypeError``.
    """

    def __init__(self, most: int = 200_000) -> None:
        self._most = most
        self._made: dict[tuple[Any, ...], Expression] = {}

    def __len__(self) -> int:
        return len(self._made)

    @contextmanager
    def at_most(self, most: int) -> Iterator[None]:
        """Inside there may be so many, where that is fewer."""
        before = self._most
        self._most = min(before, most)
        try:
            yield
        finally:
            self._most = before

    def constant(self, value: Number) -> Expression:
        """A number."""
        value = float(value)
        # Both zeros, and NaN, by what is written of them.
        return self._once(("number", repr(value)), "number", (), value)

    def input(self, name: str) -> Expression:
        """What the C code knows by this name."""
        return self._once(("input", name), "input", (), name)

    def make(self, operation: str, *operands: Expression) -> Expression:
        """The operation on some expressions, simplified."""
        numbers = [operand.number for operand in operands]
        if operation in _OF_NUMBERS and None not in numbers:
            return self.constant(_OF_NUMBERS[operation](*numbers))
        simpler = _SIMPLER.get(operation)
        if simpler is not None:
            found = simpler(self, *operands)
            if found is not None:
                return found
        key = (operation, *(operand.order for operand in operands))
        return self._once(key, operation, operands, "")

    def given(
        self,
        partials: Callable[..., Sequence[Expression | None]],
        value: Expression,
        *by: Expression,
    ) -> Expression:
        """A value whose derivatives by some expressions are not those of what it is made of.

        Parameters
        ----------
        partials : callable
            The derivatives, from the result and `by`; called when they are wanted.
        value : Expression
        *by : Expression
        """
        if all(e.number is not None for e in by):
            return value
        key = ("given", partials, value.order, *(e.order for e in by))
        return self._once(key, "given", (value, *by), partials)

    def _once(
        self,
        key: tuple[Any, ...],
        operation: str,
        operands: tuple[Expression, ...],
        value: Value,
    ) -> Expression:
        found = self._made.get(key)
        if found is None:
            if len(self._made) >= self._most:
                raise TypeError(f"it takes more than {self._most} operations")
            found = Expression(self, operation, operands, value, len(self._made))
            self._made[key] = found
        return found


def is_zero(expression: Expression) -> bool:
    """Whether it is known to be zero."""
    return expression.number == 0


def below(outputs: Iterable[Expression], first: int = 0) -> list[Expression]:
    """All that `outputs` are made of, themselves included, operands first.

    Those made before the `first` are left out.
    """
    seen: dict[int, Expression] = {}
    waiting = list(outputs)
    while waiting:
        expression = waiting.pop()
        if expression.order >= first and expression.order not in seen:
            seen[expression.order] = expression
            waiting.extend(expression.operands)
    return [seen[order] for order in sorted(seen)]


def inputs(made_by: Expressions, name: str, count: int) -> Iterator[Expression]:
    """The elements of an array that the C code knows by `name`."""
    return (made_by.input(f"{name}[{i}]") for i in range(count))


def _add(make: Expressions, a: Expression, b: Expression) -> Expression | None:
    if is_zero(a):
        return b
    if is_zero(b):
        return a
    if b.operation == "neg":
        return make.make("sub", a, b.operands[0])
    # One order for both, so that equal sums are found.
    return make.make("add", b, a) if b.order < a.order else None


def _sub(make: Expressions, a: Expression, b: Expression) -> Expression | None:
    if is_zero(b):
        return a
    if is_zero(a):
        return make.make("neg", b)
    if b.operation == "neg":
        return make.make("add", a, b.operands[0])
    return None


def _mul(make: Expressions, a: Expression, b: Expression) -> Expression | None:
    for one, other in ((a, b), (b, a)):
        if one.number == 0:
            return make.constant(0.0)
        if one.number == 1:
            return other
        if one.number == -1:
            return make.make("neg", other)
        if one.operation == "neg":
            return make.make("neg", make.make("mul", one.operands[0], other))
    return make.make("mul", b, a) if b.order < a.order else None


def _div(make: Expressions, a: Expression, b: Expression) -> Expression | None:
    if b.number == 1:
        return a
    if is_zero(a):
        return a
    if a.operation == "neg":
        return make.make("neg", make.make("div", a.operands[0], b))
    return None


def _neg(make: Expressions, a: Expression) -> Expression | None:
    if a.operation == "neg":
        return a.operands[0]
    if a.operation == "sub":
        return make.make("sub", a.operands[1], a.operands[0])
    return None


#: Powers up to so many are written as products.
_MOST_FACTORS = 16


def _pow(make: Expressions, a: Expression, b: Expression) -> Expression | None:
    power = b.number
    if power is None:
        return None
    if power == 0.5:
        return make.make("sqrt", a)
    if power != int(power) or abs(power) > _MOST_FACTORS:
        return None
    if power < 0:
        return make.make("div", make.constant(1.0), make.make("pow", a, make.constant(-power)))
    result, square, left = make.constant(1.0), a, int(power)
    while left:
        if left % 2:
            result = make.make("mul", result, square)
        left //= 2
        if left:
            square = make.make("mul", square, square)
    return result


def _select(
    make: Expressions, condition: Expression, a: Expression, b: Expression
) -> Expression | None:
    if condition.number is not None:
        return a if condition.number else b
    return a if a is b else None


_SIMPLER: dict[str, Callable[..., Expression | None]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "pow": _pow,
    "select": _select,
}
