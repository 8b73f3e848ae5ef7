"""Linear systems, solved by elimination, and convolutions with known weights."""

from __future__ import annotations

import numpy as np

from ...native.expressions import Expression, is_zero
from ...native.symbolic_array import array_of, product
from .equation import Equation, Rule, evaluated, is_known, told

#: Unknowns of a system: elimination takes as many operations as their third power.
MOST_UNKNOWNS = 16

Row = list[Expression]


class Missing:
    """What cannot be computed here, which does no harm while nobody asks for it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __float__(self) -> float:
        raise TypeError(f"{self._name} has no counterpart in C here")


def factors(equation: Equation) -> list[np.ndarray]:
    """Those of a matrix, which only the solution of a system wants: it is eliminated anew."""
    missing = Missing(equation.written.primitive.name)
    return [np.full(told(v).shape, missing, object) for v in equation.written.outvars]


def linear_solve(equation: Equation) -> list[np.ndarray]:
    """The solution of a system whose matrix JAX factors, with the derivatives of elimination.

    Those by the matrix are lost where it is factored, but not in the product that tells what the
    matrix is.
    """
    programs, lengths = equation["jaxprs"], equation["const_lengths"]
    start = sum(lengths)
    (given,) = equation.inputs[start:]
    if [e.params.get("name") for e in programs.solve.jaxpr.eqns] != ["_lu_solve"]:
        raise TypeError("a linear system that is not solved by factors has no counterpart in C")
    shape, count = given.shape, given.size
    if count > MOST_UNKNOWNS:
        raise TypeError(f"a linear system has {count} unknowns, more than {MOST_UNKNOWNS}")
    constants = equation.inputs[: lengths.matvec]
    units = np.eye(count, dtype=told(equation.written.outvars[0]).dtype).reshape(-1, *shape)
    columns = [equation.run(programs.matvec, [*constants, unit])[0] for unit in units]
    matrix = zip(*(equation.expressions(column) for column in columns), strict=True)
    rows = [[*row, b] for row, b in zip(matrix, equation.expressions(given), strict=True)]
    return [array_of(_eliminated(rows), shape)]


def _eliminated(rows: list[Row]) -> Row:
    """The solution of a system, its right-hand side being the last column of its matrix."""
    count = len(rows)
    for k in range(count):
        for i in range(k + 1, count):
            rows[k], rows[i] = _larger_first(rows[k], rows[i], k)
        for i in range(k + 1, count):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    solution: Row = []
    for k in reversed(range(count)):
        known = zip(rows[k][k + 1 : count], reversed(solution), strict=True)
        solution.append((rows[k][count] - sum(a * x for a, x in known)) / rows[k][k])
    return solution[::-1]


def _larger_first(first: Row, second: Row, k: int) -> tuple[Row, Row]:
    """Two rows, of which the one with the larger entry `k` divides the other."""
    if is_zero(second[k]):
        return first, second
    make = first[k].made_by
    sizes = (make.make("abs", row[k]) for row in (first, second))
    exchanged = make.make("less", *sizes)
    pairs = list(zip(first, second, strict=True))
    return (
        [make.make("select", exchanged, b, a) for a, b in pairs],
        [make.make("select", exchanged, a, b) for a, b in pairs],
    )


def by_matrix(equation: Equation) -> np.ndarray:
    """A convolution with known weights, or of known values, or windowed sums: with a matrix."""
    unknown, *others = (i for i, x in enumerate(equation.inputs) if not is_known(x))
    if others:
        raise TypeError("a convolution with weights that are not known has no counterpart in C")
    array, inputs = equation.inputs[unknown], list(equation.inputs)
    columns = []
    for unit in np.eye(array.size, dtype=told(equation.written.invars[unknown]).dtype):
        inputs[unknown] = unit.reshape(array.shape)
        columns.append(evaluated(equation.written, inputs).ravel())
    matrix = np.stack(columns, 1).astype(object)
    return product(matrix, array.ravel()).reshape(equation.shape)


LINEAR: dict[str, Rule] = {
    "lu": factors,
    "custom_linear_solve": linear_solve,
    "conv_general_dilated": by_matrix,
    "reduce_window_sum": by_matrix,
}
