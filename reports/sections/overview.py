"""The sections of a report that come first: which method when, and where each is right."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ...suite.measuring.equal_times import NOISE
from ..figures.labels import map_label
from ..figures.map import map_cells, map_figure
from ..figures.shown_figure import save_figure
from ..tables.decision import decisions
from ..tables.shown_table import Column, as_table
from .commands import ladder_command
from .content import Part


def decision_parts(rows: pd.DataFrame, lines: pd.DataFrame, out: Path) -> list[Part]:
    """The part with the decision table, which is also written to ``decisions.csv``.

    Parameters
    ----------
    rows : DataFrame
        The rows of one machine and commit.
    lines : DataFrame
        Their :func:`~adjointbench.reports.tables.summary.summary`.
    out : Path
        The folder of the report.
    """
    found = decisions(rows, lines)
    if found.empty:
        return []
    found.to_csv(out / "decisions.csv", index=False)
    note = (
        "Among the methods that were measured here; one is named only if it gets there on every "
        "problem of the class where any does. Fastest, least and shortest: the smallest geometric "
        "mean of the ratio to the best on each problem (1 × is the best everywhere); methods "
        f"within {NOISE:g} of it are tied. Memory and first call: at the typical tolerance, of "
        "gradients that are right. As lines, with their figures: decisions.csv."
    )
    matters = list(dict.fromkeys(found["matters"]))
    columns = (Column("class", "problems"), *(Column(name, name) for name in matters))
    shown = as_table(_matrix(found), columns, stacks=True)
    return [Part("Which method when", table=shown, note=note)]


def _matrix(found: pd.DataFrame) -> pd.DataFrame:
    """One line a class, one column a thing that matters."""
    lines = []
    for name, mine in found.groupby("class", sort=False):
        members = mine["members"].iloc[0]
        cells = {line["matters"]: _cell(line, members) for line in mine.to_dict("records")}
        lines.append({"class": f"{name}: {members}"} | cells)
    return pd.DataFrame(lines)


def _cell(line: dict[str, Any], members: str) -> str:
    if pd.isna(line["problems"]):
        return f"– {line['value']}"
    count = len(members.split(", "))
    on = "" if line["problems"] == count else f", on {line['problems']:.0f} of {count}"
    return f"{line['method']} ({line['value']}{on})"


def map_parts(rows: pd.DataFrame, out: Path) -> list[Part]:
    """The part with the map of all methods on all problems.

    Parameters
    ----------
    rows, out
        As for :func:`decision_parts`.
    """
    cells = map_cells(rows)
    if cells.empty:
        return []
    caption = (
        "Share of tolerances at which each method was right on each problem, in percent. Darker "
        "is better. An exclamation mark and an orange edge: somewhere it said ok and was wrong by "
        "over 10 %. A cross and hatches: somewhere it broke down. A dash: skipped."
    )
    figure = save_figure(
        map_figure(cells),
        "stability-map",
        out,
        caption,
        data=cells,
        command=ladder_command(rows),
        label=map_label(cells),
    )
    return [Part("Where each method is right", figures=(figure,))]
