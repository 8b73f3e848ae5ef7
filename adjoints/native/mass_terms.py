"""What a mass matrix adds to a program in C: products with it, and its part in the matrix."""

from __future__ import annotations

import numpy as np

from ..mass.matrix import MassMatrix
from .step_formulas import each, function


def products(mass: MassMatrix | None) -> str:
    """Products with the mass matrix and its transpose, and the slope for a first step size."""
    if mass is None:
        copy = ["memcpy(out, x, N * sizeof(real));"]
        return _product("first_slope", copy)
    return "\n".join(
        _product(name, _rows(matrix))
        for name, matrix in (
            ("mass_times", mass.matrix),
            ("mass_transposed_times", mass.matrix.T),
            ("first_slope", mass.inverse),
        )
    )


def matrix_lines(mass: MassMatrix | None, gamma: float) -> list[str]:
    """Statements that add ``M / gamma`` to the matrix of a step; of a still lane the identity."""
    if mass is None:
        return [f"for (int i = 0; i < N; i++) step->matrix[i][i] += 1 / number({gamma!r});"]
    lines = ["const truth still = h == 0;"]
    entries = {*zip(*(x.tolist() for x in mass.matrix.nonzero()), strict=True)}
    for i, j in sorted(entries | {(i, i) for i in range(mass.size)}):
        own = f"number({float(mass.matrix[i, j])!r})"
        part = f"blend(still, number({int(i == j)}), {own})"
        lines.append(f"step->matrix[{i}][{j}] += {part} / number({gamma!r});")
    return lines


def bands_with(mass: MassMatrix | None, below: int, above: int) -> tuple[int, int]:
    """The diagonals below and above the main one, of the matrix of a step."""
    if mass is None:
        return below, above
    apart = np.subtract(*mass.matrix.nonzero())
    return max(below, int(apart.max())), max(above, int(-apart.min()))


def coupled_lines(mass: MassMatrix | None, coupled: str, *, transposed: bool) -> list[str]:
    """Statements that make ``coupled`` of a sum over stages ``j``, multiplied by the matrix."""
    if mass is None or not coupled:
        return []
    name = "mass_transposed_times" if transposed else "mass_times"
    return [each(f"sum[j] = {coupled};"), f"{name}(sum, coupled);"]


def _product(name: str, lines: list[str]) -> str:
    return function("void", name, "const real *x, real *out", lines)


def _rows(matrix: np.ndarray) -> list[str]:
    lines = []
    for i, row in enumerate(matrix.tolist()):
        terms = (f"number({float(x)!r}) * x[{j}]" for j, x in enumerate(row) if x)
        lines.append(f"out[{i}] = {' + '.join(terms) or 'number(0)'};")
    return lines
