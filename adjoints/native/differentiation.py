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
    """The cotangents of `wanted`, each as if the others did not depend on it."""
    zero = make.constant(0.0)
    found: dict[Expression, Expression] = {}

    def add(expression: Expression, cotangent: Expression) -> None:
        found[expression] = found.get(expression, zero) + cotangent

    for output, cotangent in zip(outputs, cotangents, strict=True):
        add(output, cotangent)
    moved, held = _that_depend(outputs, wanted), set(wanted)
    for expression in reversed(moved):
        cotangent = found.get(expression, zero)
        if is_zero(cotangent) or expression in held or not expression.operands:
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
    if expression.operation in ("select", "given") and partial.operation == "select":
        condition, *sides = partial.operands
        zero = make.constant(0.0)
        if {side.number for side in sides} == {0.0, 1.0}:
            pair = (cotangent if side.number else zero for side in sides)
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


def coefficients(
    make: Expressions, outputs: Sequence[Expression], linear_in: Sequence[Expression]
) -> list[dict[int, Expression]]:
    """What each output, linear in some inputs, multiplies them by; zeros are left out.

    Raises
    ------
    TypeError
        Where an output is not known to be linear.
    """
    numbers = {expression: i for i, expression in enumerate(linear_in)}
    rows = []
    for output in outputs:
        between = _that_depend([output], linear_in)
        if not is_zero(output) and output not in between:
            raise TypeError("a derivative rule is not linear")
        entering = [e for e in between if e in numbers]
        row = {numbers[e]: _coefficient(make, between, entering, e) for e in entering}
        rows.append({i: entry for i, entry in row.items() if not is_zero(entry)})
    return rows


def _coefficient(
    make: Expressions,
    between: Sequence[Expression],
    entering: Sequence[Expression],
    of: Expression,
) -> Expression:
    """The last of `between` where `of` is one and all else that enters zero."""
    found = {e: make.constant(float(e is of)) for e in entering}
    dependent = set(between)
    for expression in between:
        if expression not in found:
            if not _is_linear(expression, [o in dependent for o in expression.operands]):
                raise TypeError("a derivative rule is not linear")
            operands = (found.get(o, o) for o in expression.operands)
            found[expression] = make.make(expression.operation, *operands)
    return found[between[-1]]


def _is_linear(expression: Expression, moved: Sequence[bool]) -> bool:
    """Whether an operation is linear in those of its operands that are `moved`."""
    if expression.operation == "select":
        pairs = zip(expression.operands, moved, strict=True)
        _, *kept = (operand for operand, is_moved in pairs if not is_moved)
        return not moved[0] and all(map(is_zero, kept))
    allowed = {
        "neg": ([True],),
        "add": ([True, True],),
        "sub": ([True, True],),
        "mul": ([True, False], [False, True]),
        "div": ([True, False],),
    }
    return moved in allowed.get(expression.operation, ())


def _that_depend(outputs: Sequence[Expression], on: Sequence[Expression]) -> list[Expression]:
    """What lies between `outputs` and the expressions `on`, operands first."""
    dependent, chosen = set(on), []
    # What was made before all of them depends on none.
    for expression in below(outputs, min((e.order for e in on), default=0)):
        if expression in dependent or any(o in dependent for o in expression.operands):
            dependent.add(expression)
            chosen.append(expression)
    return chosen
