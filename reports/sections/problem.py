"""The sections of a report about each problem, and about costs on all of them."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ...suite.measuring import formats
from ..figures.labels import dots_label, stability_label, work_precision_label
from ..figures.ladders import dots, stability, work_precision
from ..figures.shown_figure import ShownFigure, save_figure
from ..tables.ladders import Ladders
from ..tables.shown_table import WHERE, Column, Table, as_table, text
from ..tables.summary import COUNTS
from .commands import ladder_command
from .content import Part, ProblemSection

_COLUMNS = (
    Column("method", "method"),
    Column("engine", "engine"),
    Column("share", "right", formats.percent),
    Column("order", "order", formats.slope),
    Column("best_error", "best error", text),
    Column("error", "error", text),
    Column("dy0_error", "error of dL/dy0", text),
    Column("amplification", "ampli­fication", formats.amount),
    Column("seconds", "time", formats.seconds),
    Column("ratio", "gradient / primal", formats.amount),
    Column("first_call_s", "first call", formats.seconds),
    Column("saved_bytes", "kept", formats.size),
    Column("statuses", "ended"),
)

_CELLS = (
    "Orange says ok and is wrong; with ± it says so itself with an error bar. Hatched broke down, "
    "three dots were not done in their time, a dash was skipped."
)

#: Errors that are shown no smaller than the reference is certified to.
_ERRORS = ("best_error", "error", "dy0_error")

#: What the files beside the figures of a problem hold.
_DATA = ("problem", "method", "family", "device", "rtol", "status", "error", "seconds")


def problem_section(name: str, ladders: Ladders, out: Path) -> ProblemSection:
    """Figures and table of one problem.

    Parameters
    ----------
    name : str
        The problem.
    ladders : Ladders
        Those of one machine and commit.
    out : Path
        The folder of the report.
    """
    table = ladders.lines[ladders.lines["problem"].eq(name)]
    shown = table[table["skipped"].eq("")]
    floor = ladders.agreements.get(name)
    told = {c: [formats.certified_error(error, floor) for error in shown[c]] for c in _ERRORS}
    shown = shown.assign(**told)
    return ProblemSection(
        name=name,
        about=_about(ladders.by_problem[name]),
        figures=_figures(name, ladders, out),
        table=as_table(shown, _COLUMNS) or Table(_COLUMNS, ()),
    )


def _figures(name: str, ladders: Ladders, out: Path) -> tuple[ShownFigure, ...]:
    rows = ladders.by_problem[name]
    data, command = rows[list(_DATA)], ladder_command(rows)
    drawn = [
        save_figure(
            stability(rows),
            f"{name}-stability",
            out,
            f"{name}: log10 of the gradient error at each tolerance. {_CELLS}",
            data=data,
            command=command,
            label=stability_label(rows),
        )
    ]
    if rows["error"].notna().any():
        shown = save_figure(
            work_precision(rows),
            f"{name}-work-precision",
            out,
            f"{name}: time of one gradient against its error. Down and left is better.",
            data=data,
            command=command,
            label=work_precision_label(rows, *ladders.race(name)),
        )
        drawn.insert(0, shown)
    return tuple(drawn)


def _about(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    words = [
        f"{first[column]:.0f} {heading}{'' if first[column] == 1 else 's'}"
        for column, heading in (("n_states", "state"), ("n_params", "parameter"))
        if column in rows and pd.notna(first[column])
    ]
    if "dtype" in rows and pd.notna(first["dtype"]):
        words.append(str(first["dtype"]))
    if "stiff" in rows and first["stiff"] is True:
        words.append("stiff")
    if "agreement" in rows and rows["agreement"].notna().any():
        words.append(f"certified to {formats.error(rows['agreement'].min())}")
    return ", ".join(words)


def costs_parts(ladders: Ladders, out: Path) -> list[Part]:
    """What a gradient costs, and the counts that do not depend on the machine.

    Parameters
    ----------
    ladders, out
        As for :func:`problem_section`.
    """
    lines = ladders.lines
    wanted = (
        ("ratio", "gradient-over-primal", "time of one gradient over time of one primal solve"),
        ("saved_bytes", "bytes-kept", "bytes kept from the forward for the reverse pass"),
    )
    figures = tuple(
        save_figure(
            dots(lines, column, label),
            name,
            out,
            f"{label[0].upper()}{label[1:]}. A colour a family of methods, a mark a problem.",
            data=lines.loc[lines[column].gt(0), ["problem", "method", "family", column]],
            command=ladder_command(ladders.rows),
            label=dots_label(
                lines, column, label, formats.size if column == "saved_bytes" else formats.amount
            ),
        )
        for column, name, label in wanted
        if lines[column].gt(0).any()
    )
    parts = [Part("Costs", figures=figures)] if figures else []
    counted = lines[lines[list(COUNTS)].notna().any(axis=1)]
    columns = [Column(name, name.replace("_", " ")) for name in COUNTS if counted[name].any()]
    shown = as_table(counted, (*WHERE, *columns))
    note = "They do not depend on the machine. A dash: the method does not tell."
    return [*parts, Part("Counts", table=shown, note=note)] if shown else parts
