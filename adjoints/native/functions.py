"""C functions of expressions: straight lines, each value computed once.

Compilers take longer than in proportion for long functions. So these are cut into parts, which
hand on what others need in an array.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from .expressions import Expression, below, is_zero
from .operations import OPERATIONS

#: How deep expressions are nested before they get a name, though they are used once.
_DEEPEST = 4

#: Lines of one part, and of a function that is not cut.
_PART, _WHOLE = 400, 1000

Results = Mapping[str, Sequence[Expression]]


def written(
    name: str, arguments: Sequence[str], results: Results, added: Sequence[str] = ()
) -> str:
    """A function that computes some arrays.

    Parameters
    ----------
    name : str
    arguments : sequence of str
        Declarations of what it reads, such as ``"const real *y"``.
    results : mapping of str to sequence of Expression
        What it writes, by the names of arrays.
    added : sequence of str
        Results that are added to what is there; known zeros leave it.
    """
    declared = [*arguments, *(f"real *{array}" for array in results)]
    lines = _lines(results, added, "const real v{0}", "v{0}")
    if len(lines) <= _WHOLE:
        return _function(name, declared, lines)
    return "".join(_parts(name, declared, _lines(results, added, "v[{0}]", "v[{0}]")))


def _lines(results: Results, added: Sequence[str], declaration: str, variable: str) -> list[str]:
    """Statements: a value for whatever is used more than once, or nested too deep; results last."""
    needed = below(e for expressions in results.values() for e in expressions)
    uses: dict[Expression, int] = {}
    for expression in needed:
        for operand in expression.operands:
            uses[operand] = uses.get(operand, 0) + 1
    names, lines = _Names(), []
    for expression in needed:
        if not expression.operands:
            continue
        text, depth = names.of_operation(expression)
        if uses.get(expression, 0) > 1 or depth > _DEEPEST:
            lines.append(f"{declaration.format(len(lines))} = {text};")
            text, depth = variable.format(len(lines) - 1), 0
        names.known[expression] = text, depth
    for array, expressions in results.items():
        sign = "+=" if array in added else "="
        lines += [
            f"{array}[{i}] {sign} {names(expression)};"
            for i, expression in enumerate(expressions)
            if not (array in added and is_zero(expression))
        ]
    return lines


def _parts(name: str, declared: Sequence[str], lines: Sequence[str]) -> Iterator[str]:
    """The lines as several functions, one called after the other, with all values in one array."""
    passed = ", ".join(re.sub(r"[(*)]|\[\w+\]", " ", argument).split()[-1] for argument in declared)
    calls = []
    for start in range(0, len(lines), _PART):
        part = f"{name}_part{start // _PART}"
        attribute = "__attribute__((noinline)) "
        yield _function(attribute + part, [*declared, "real *v"], lines[start : start + _PART])
        calls.append(f"{part}({passed}, v);")
    yield _function(name, declared, [f"real v[{len(lines)}];", *calls])


def _function(name: str, declared: Sequence[str], lines: Sequence[str]) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"static void {name}({', '.join(declared)}) {{\n{body}\n}}\n"


class _Names:
    """What stands for each expression in C."""

    def __init__(self) -> None:
        self.known: dict[Expression, tuple[str, int]] = {}

    def __call__(self, expression: Expression) -> str:
        return self._known(expression)[0]

    def of_operation(self, expression: Expression) -> tuple[str, int]:
        """An operation on what is known, and how deep it is nested."""
        parts = [self._known(operand) for operand in expression.operands]
        template = OPERATIONS[expression.operation].c
        return template.format(*(text for text, _ in parts)), 1 + max(d for _, d in parts)

    def _known(self, expression: Expression) -> tuple[str, int]:
        if expression.operation == "input":
            return str(expression.value), 0
        if expression.number is not None:
            return _literal(expression.number), 0
        return self.known[expression]


def _literal(value: float) -> str:
    """A number as C reads it, to the last bit."""
    if value != value:
        return "(real)NAN"
    if value in (float("inf"), float("-inf")):
        return "(real)INFINITY" if value > 0 else "(-(real)INFINITY)"
    text = repr(value)
    literal = text if any(c in text for c in ".en") else f"{text}.0"
    return f"(real){literal}" if value >= 0 else f"((real){literal})"
