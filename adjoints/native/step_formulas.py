"""Formulas of a step that all kinds of methods share, in C: weighted sums, error, dense output."""

from __future__ import annotations

import numpy as np

from ..steps.tableau import Tableau

#: What the functions of a step read, and the reverse step besides.
READ = "const Task *task, const Row *row"
STEP_BACK = (
    f"{READ}, Limits side, const Step *step, Back *back, const real *dys, const real *dterms, "
    "real *w, real *dp"
)


def each(statement: str) -> str:
    """A statement for every component ``j``."""
    return f"for (int j = 0; j < N; j++) {{ {statement} }}"


def weighted(weights: np.ndarray, term: str) -> str:
    """``sum_i weights[i] term_i``, leaving out zero weights."""
    terms = (
        term.format(i) if weight == 1.0 else f"(real){weight!r} * {term.format(i)}"
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
    """The embedded error, the dense output, and the cotangents of its stages."""
    return "\n".join([_embedded_error(tableau), _dense_value(tableau), _dense_back(tableau)])


def _embedded_error(tableau: Tableau) -> str:
    lines = []
    for name, weights in (("high", tableau.error), ("low", tableau.error_low)):
        if weights is not None:
            term = f"({weighted(weights, 'step->k[{}][j]')}) / scale[j]"
            lines.append(each(f"real e = {term}; *{name} += e * e / N;"))
    arguments = "const Step *step, const real *scale, real *high, real *low"
    return function("void", "embedded_error", arguments, lines)


def _shares(tableau: Tableau) -> list[str]:
    """How much of each stage the dense output has at a fraction ``x`` of the step."""
    lines = []
    for i, row in enumerate(tableau.dense.tolist()):
        if any(row):
            horner = f"(real){row[-1]!r}"
            for coefficient in reversed(row[:-1]):
                horner = f"((real){coefficient!r} + x * {horner})"
            lines.append(f"const real share{i} = x * {horner};")
    return lines


def _dense_value(tableau: Tableau) -> str:
    used = [i for i, row in enumerate(tableau.dense.tolist()) if any(row)]
    total = " + ".join(f"share{i} * step->k[{i}][j]" for i in used)
    lines = [*_shares(tableau), each(f"y[j] = start[j] + h * ({total});")]
    arguments = "const Step *step, const real *start, real h, real x, real *y"
    return function("void", "dense_value", arguments, lines)


def _dense_back(tableau: Tableau) -> str:
    used = [i for i, row in enumerate(tableau.dense.tolist()) if any(row)]
    added = " ".join(f"u[{i}][j] += row->h * share{i} * d[j];" for i in used)
    lines = [
        "for (int m = row->saved; m < row->passed; m++) {",
        "const real *d = dys + (long)m * N, x = (task->save_at[m] - row->t) / row->h;",
        *_shares(tableau),
        each(f"w[j] += d[j]; {added}"),
        "}",
    ]
    arguments = f"{READ}, const real *dys, real *w, real (*u)[N]"
    return function("void", "dense_back", arguments, lines)
