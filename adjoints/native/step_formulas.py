"""Formulas of a step that all kinds of methods share, in C: weighted sums, error, dense output."""

from __future__ import annotations

import numpy as np

from ..steps.tableau import Tableau

#: What the functions of a step read, and the reverse step besides.
READ = "const Lanes *lanes, const Row *row"
STEP_BACK = (
    f"{READ}, Limits side, const Step *step, Back *back, const real *dterms, real *w, real *dp"
)


def each(statement: str) -> str:
    """A statement for every component ``j``."""
    return f"for (int j = 0; j < N; j++) {{ {statement} }}"


def weighted(weights: np.ndarray, term: str) -> str:
    """``sum_i weights[i] term_i``, leaving out zero weights."""
    terms = (
        term.format(i) if weight == 1.0 else f"number({weight!r}) * {term.format(i)}"
        for i, weight in enumerate(weights.tolist())
        if weight != 0.0
    )
    return " + ".join(terms) or "0"


def function(kind: str, name: str, arguments: str, lines: list[str]) -> str:
    """A C function."""
    body = "\n".join(f"    {line}" for line in lines)
    return f"static {kind} {name}({arguments}) {{\n{body}\n}}\n"


def constants_of(tableau: Tableau, slope: int) -> str:
    """What the loop knows of a method; `slope` is the stage at the new state."""
    known = {
        "STAGES": max(tableau.stages, slope + 1),
        "STEPS": tableau.steps,
        "SLOPE": slope,
        "ADAPTIVE": int(tableau.adaptive),
        "DAMPED": int(tableau.error_low is not None),
        "ERROR_ORDER": tableau.error_order,
    }
    return "\n".join(f"#define {name} {value}" for name, value in known.items())


def error_and_dense_output(tableau: Tableau) -> str:
    """The embedded error, and the dense output."""
    return "\n".join([_embedded_error(tableau), _dense_value(tableau)])


def _embedded_error(tableau: Tableau) -> str:
    lines = []
    for name, weights in (("high", tableau.error), ("low", tableau.error_low)):
        if weights is not None:
            term = f"({weighted(weights, 'step->k[{}][j]')}) / scale[j]"
            lines.append(each(f"real e = {term}; *{name} += e * e / N;"))
    arguments = "const Step *step, const real *scale, real *high, real *low"
    return function("inline void", "embedded_error", arguments, lines)


def _shares(tableau: Tableau) -> list[str]:
    """How much of each stage the dense output has at a fraction ``x`` of the step."""
    lines = []
    for i, row in enumerate(tableau.dense.tolist()):
        if any(row):
            horner = f"number({row[-1]!r})"
            for coefficient in reversed(row[:-1]):
                horner = f"(number({coefficient!r}) + x * {horner})"
            lines.append(f"const real share{i} = x * {horner};")
    return lines


def _dense_value(tableau: Tableau) -> str:
    used = [i for i, row in enumerate(tableau.dense.tolist()) if any(row)]
    total = " + ".join(f"share{i} * step->k[{i}][j]" for i in used)
    lines = [*_shares(tableau), each(f"y[j] = start[j] + h * ({total});")]
    arguments = "const Step *step, const real *start, real h, real x, real *y"
    return function("void", "dense_value", arguments, lines)


def dense_back(tableau: Tableau) -> str:
    """The cotangents of the stages and of the start, from those of the saves on a step."""
    used = [i for i, row in enumerate(tableau.dense.tolist()) if any(row)]
    added = " ".join(f"u[{i}][j] += row->h * share{i} * d[j];" for i in used)
    lines = [
        "real x, d[N];",
        "for (int m = 0; save_on(lanes, row, m, &x); m++) {",
        "cotangents_on(lanes, row, m, d);",
        *_shares(tableau),
        each(f"w[j] += d[j]; {added}"),
        "}",
    ]
    return function("void", "dense_back", f"{READ}, real *w, real (*u)[N]", lines)
