"""C functions of expressions: straight lines, each value computed once.

Compilers take longer than in proportion for long functions. So these are cut into parts, which
hand on what others need in an array.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from .expressions import Expression, below, is_zero
from .operations import OPERATIONS

#: How deep expressions are nested before they get a name, though they are used once.
_DEEPEST = 4

#: Lines of one part, and of a function that is not cut.
_PART, _WHOLE = 400, 1000

#: Operations that give truths, and which operands of an operation are taken as truths.
_GIVE_TRUTHS = frozenset(("less", "less_equal", "equal", "not", "and", "or"))
_TAKE_TRUTHS = {"not": (0,), "and": (0, 1), "or": (0, 1), "select": (0,)}

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
    lines = _lines(results, added, "const {1} v{0}", "v{0}")
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
        term = names.of_operation(expression)
        if uses.get(expression, 0) > 1 or term.depth > _DEEPEST:
            # What parts hand on are numbers.
            kind = "truth" if term.truth and declaration.startswith("const") else "real"
            name, text = variable.format(len(lines)), term.as_kind(kind == "truth")
            lines.append(f"{declaration.format(len(lines), kind)} = {text};")
            term = _Term(name, 0, kind == "truth")
        names.known[expression] = term
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
    # More than a stack may hold.
    yield _function(name, declared, [f"static _Thread_local real v[{len(lines)}];", *calls])


def _function(name: str, declared: Sequence[str], lines: Sequence[str]) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    # No result lies where an argument does.
    read = ", ".join(declared).replace("real *", "real *restrict ")
    return f"static void {name}({read}) {{\n{body}\n}}\n"


class _Term(NamedTuple):
    """What stands for an expression in C, how deep it is nested, and whether it is a truth."""

    text: str
    depth: int
    truth: bool = False

    def as_kind(self, truth: bool) -> str:
        """As a truth, or as a number."""
        if truth == self.truth:
            return self.text
        return f"({self.text} != 0)" if truth else f"blend({self.text}, number(1), number(0))"


class _Names:
    """What stands for each expression in C."""

    def __init__(self) -> None:
        self.known: dict[Expression, _Term] = {}

    def __call__(self, expression: Expression) -> str:
        return self._known(expression).as_kind(truth=False)

    def of_operation(self, expression: Expression) -> _Term:
        """An operation on what is known."""
        parts = [self._known(operand) for operand in expression.operands]
        truths = _TAKE_TRUTHS.get(expression.operation, ())
        template = OPERATIONS[expression.operation].c
        text = template.format(*(part.as_kind(i in truths) for i, part in enumerate(parts)))
        depth = 1 + max(part.depth for part in parts)
        return _Term(text, depth, expression.operation in _GIVE_TRUTHS)

    def _known(self, expression: Expression) -> _Term:
        if expression.operation == "input":
            return _Term(str(expression.value), 0)
        if expression.number is not None:
            return _Term(_literal(expression.number), 0)
        return self.known[expression]


def _literal(value: float) -> str:
    """A number as C reads it, to the last bit."""
    if value != value:
        return "number(NAN)"
    if value in (float("inf"), float("-inf")):
        return "number(INFINITY)" if value > 0 else "number(-INFINITY)"
    return f"number({value!r})"
