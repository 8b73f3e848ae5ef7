"""The part of a report that sets times beside published ones."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import math

import pandas as pd

from ...suite.measuring import formats
from ...suite.measuring.measure import ATOL_SCALE
from ..tables import published
from ..tables.kinds import kind_of
from ..tables.ladders import Ladders
from ..tables.shown_table import Column, as_table, by_family, text, time_or_status
from .content import Part

#: The tolerance of the published table.
PUBLISHED_RTOL = 1e-7


def published_times_part(ladders: Ladders) -> Part | None:
    """The part; none where no published problem was measured."""
    lines, found = published_table(ladders)
    if not found:
        return None
    columns = [Column("method", "method"), Column("counterpart", "published as")]
    for problem, rtol in found:
        columns.append(Column(problem, f"{problem}, rtol {formats.power(rtol)}", text))
        columns.append(Column(f"published {problem}", "published", text))
    return Part(
        heading="Beside published times",
        table=as_table(lines, columns),
        note=(
            "Seconds a gradient, or the status without one; wrong: said ok and was off by more "
            "than 10 %. Here the absolute tolerance is the relative one times "
            f"{formats.power(ATOL_SCALE)}. Published: other hardware and language, absolute "
            "tolerance 1e-5, relative 1e-7, losses and saves as given there, and no errors: equal "
            "tolerance is not equal error. Compare ratios within a column, and read what each "
            f"method's error was in the problem's section. {published.SOURCE}."
        ),
    )


def published_table(ladders: Ladders) -> tuple[pd.DataFrame, list[tuple[str, float]]]:
    """Seconds a gradient beside the published ones.

    Returns
    -------
    table : DataFrame
        One line a method: ``method``, ``family``, ``counterpart`` and for each problem its
        own column and one called ``"published <problem>"``.
    problems : list of (str, float)
        The published problems that were measured, each with the tolerance used: the measured
        one nearest to 1e-7.
    """
    found, cells = [], {}
    for problem in published.TABLE_PROBLEMS:
        rows = ladders.by_problem.get(problem)
        mine = None if rows is None else rows[rows["status"].ne("skipped")]
        if mine is None or mine.empty:
            continue
        rtol = min(mine["rtol"], key=lambda r: abs(math.log10(r / PUBLISHED_RTOL)))
        found.append((problem, float(rtol)))
        for _, row in mine[mine["rtol"].eq(rtol)].iterrows():
            line = cells.setdefault(row["method"], {"family": row["family"]})
            line[problem] = time_or_status(row)
    lines = []
    for method, line in cells.items():
        counterpart = kind_of(method).published or formats.NONE
        figures = published.TABLE.get(counterpart, ())
        theirs = dict(zip(published.TABLE_PROBLEMS, figures, strict=False))
        shown = {p: line.get(p, "–") for p, _ in found}
        beside = {f"published {p}": _published(theirs.get(p, "–")) for p, _ in found}
        about = {"method": method, "family": line["family"], "counterpart": counterpart}
        lines.append(about | shown | beside)
    return (by_family(pd.DataFrame(lines)) if lines else pd.DataFrame()), found


def _published(value: float | str) -> str:
    return value if isinstance(value, str) else formats.seconds(value)
