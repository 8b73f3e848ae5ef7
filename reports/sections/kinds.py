"""The section of a report about the kinds of adjoints, side by side on every backend."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from typing import Any

import pandas as pd

from ...adjoints.methods import kinds, method_of
from ...adjoints.methods.method import BACKENDS, PEERS
from ...suite.measuring import formats
from ...suite.measuring.ladder import typical_rtol
from ...suite.measuring.names import adjoint_of, bare_name
from ..tables.endings import in_words, wrong_in_words
from ..tables.ladders import Ladders
from ..tables.shown_table import Column, as_table
from .content import Part


def kinds_parts(ladders: Ladders) -> list[Part]:
    """The part about kinds of adjoints, where more than one backend was measured."""
    lines = kind_lines(ladders)
    measured = [name for name in BACKENDS if name in lines and lines[name].ne("–").any()]
    if len(measured) < 2:
        return []
    columns = (
        Column("problem", "problem"),
        Column("rtol", "tolerance", formats.power),
        Column("kind", "kind"),
        *(Column(name, name) for name in measured),
    )
    return [
        Part(
            heading="Kinds of adjoints on every backend",
            sentences=tuple(uncompiled(ladders.rows)),
            table=as_table(lines, columns, stacks=True),
            note=(
                "Time and error of one gradient, at equal tolerance, which is not equal error; "
                "wrong: said ok and was off by more than 10 %; says so: with an error bar; a dash: "
                "not measured, or there is none; native: the native loop ran it. Forward on scipy "
                "solves the sensitivity equations; interpolating on scipy is scipy-adjoint; the "
                "black boxes run SciPy's solvers."
            ),
        )
    ]


def kind_lines(ladders: Ladders) -> pd.DataFrame:
    """Time and error of every kind of adjoint on every backend, at the typical tolerance.

    Returns
    -------
    DataFrame
        One line a (problem, kind): ``problem``, ``rtol``, ``kind``, ``family`` and a column a
        backend: time and error, or the status; a dash where it was not measured.
    """
    known = kinds()
    rows = ladders.rows[ladders.rows["family"].ne(PEERS)]
    lines: dict[tuple[str, int], dict[str, Any]] = {}
    for problem, mine in rows.groupby("problem", sort=True):
        rtol = typical_rtol(mine["rtol"])
        for index, row in mine[mine["rtol"].eq(rtol)].iterrows():
            kind = adjoint_of(row["method"])
            if kind not in known:
                continue
            about = {"problem": problem, "rtol": rtol, "kind": kind, "family": row["family"]}
            about |= dict.fromkeys(BACKENDS, "–")
            line = lines.setdefault((str(problem), known.index(kind)), about)
            before, cell = line[row["backend"]], _cell(row, kind, bool(ladders.wrong[index]))
            line[row["backend"]] = cell if before == "–" else f"{before}; {cell}"
    columns = ("problem", "rtol", "kind", "family", *BACKENDS)
    return pd.DataFrame([lines[key] for key in sorted(lines)], columns=pd.Index(columns))


def _cell(row: Any, kind: str, wrong: bool) -> str:
    """Time, error, engine, and what tells a method from the first of its kind on its backend."""
    name = bare_name(row["method"])
    told = [_time_and_error(row, wrong)]
    if (engine := formats.engine(row.get("engine"))) != formats.NONE:
        told.append(engine)
    if differs := row["method"][len(name) :].strip():
        told.append(differs)
    if name != method_of(kind, row["backend"]).name:
        told.append(f"({name})")
    return " ".join(told)


def _time_and_error(row: Any, wrong: bool) -> str:
    if row["status"] != "ok":
        return in_words(row["status"])
    parts = [formats.seconds(row["seconds"])]
    if pd.notna(row["error"]):
        parts.append(formats.certified_error(row["error"], row.get("agreement")))
    return ", ".join([*parts, *[wrong_in_words(row)] * wrong])


def uncompiled(rows: pd.DataFrame) -> list[str]:
    """What ran eagerly though it was to be compiled, and why, in sentences."""
    if "compiled" not in rows:
        return []
    eager = rows[rows["compiled"].notna() & rows["compiled"].ne("yes")]
    return [
        f"{method} ran eagerly on {', '.join(dict.fromkeys(mine['problem']))}, though it was to be "
        f"compiled: {str(reason).rstrip('.')}."
        for (method, reason), mine in eager.groupby(["method", "compiled"], sort=True)
    ]
