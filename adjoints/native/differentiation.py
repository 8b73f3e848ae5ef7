"""Derivatives of expressions, as expressions: reverse mode and forward mode.

References
----------
A. Griewank, A. Walther, Evaluating Derivatives, 2nd ed. (2008), chapter 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .expressions import Expression, Expressions, below, is_zero
from .operations import OPERATIONS


def pulled_back(
    make: Expressions,
    outputs: Sequence[Expression],
    cotangents: Sequence[Expression],
    wanted: Sequence[Expression],
) -> list[Expression]:
    """The cotangents of the inputs `wanted`, from those of `outputs`."""
    zero = make.constant(0.0)
    found: dict[Expression, Expression] = {}

    def add(expression: Expression, cotangent: Expression) -> None:
        found[expression] = found.get(expression, zero) + cotangent

    for output, cotangent in zip(outputs, cotangents, strict=True):
        add(output, cotangent)
    moved = _that_depend(outputs, wanted)
    for expression in reversed(moved):
        cotangent = found.get(expression, zero)
        if is_zero(cotangent) or not expression.operands:
            continue
        partials = OPERATIONS[expression.operation].partials(expression, *expression.operands)
        for operand, partial in zip(expression.operands, partials, strict=True):
            if partial is not None:
                add(operand, _through(make, expression, cotangent, partial))
    return [found.get(expression, zero) for expression in wanted]


def _through(
    make: Expressions, expression: Expression, cotangent: Expression, partial: Expression
) -> Expression:
    """A cotangent times a partial derivative; of a choice, the cotangent or nothing."""
    if expression.operation == "select" and partial.operation == "select":
        condition, yes, _ = partial.operands
        zero = make.constant(0.0)
        pair = (cotangent, zero) if yes.number == 1 else (zero, cotangent)
        return make.make("select", condition, *pair)
    return cotangent * partial


def pushed_forward(
    make: Expressions, outputs: Sequence[Expression], tangents: Mapping[Expression, Expression]
) -> list[Expression]:
    """The tangents of `outputs`, from those of inputs; inputs that are not named are held."""
    zero = make.constant(0.0)
    found = dict(tangents)
    for expression in _that_depend(outputs, list(tangents)):
        if expression in found:
            continue
        total = zero
        if expression.operands:
            partials = OPERATIONS[expression.operation].partials(expression, *expression.operands)
            for operand, partial in zip(expression.operands, partials, strict=True):
                tangent = found.get(operand, zero)
                if partial is not None and not is_zero(tangent):
                    total = total + _through(make, expression, tangent, partial)
        found[expression] = total
    return [found.get(output, zero) for output in outputs]


def jacobian(
    make: Expressions, outputs: Sequence[Expression], wanted: Sequence[Expression]
) -> dict[tuple[int, int], Expression]:
    """The entries that are not known to be zero, by row and column."""
    one, entries = make.constant(1.0), {}
    for row, output in enumerate(outputs):
        for column, entry in enumerate(pulled_back(make, [output], [one], wanted)):
            if not is_zero(entry):
                entries[row, column] = entry
    return entries


def _that_depend(outputs: Sequence[Expression], on: Sequence[Expression]) -> list[Expression]:
    """What lies between `outputs` and the expressions `on`, operands first."""
    dependent, chosen = set(on), []
    for expression in below(outputs):
        if expression in dependent or any(o in dependent for o in expression.operands):
            dependent.add(expression)
            chosen.append(expression)
    return chosen
