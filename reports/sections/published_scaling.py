"""The part of a report that sets the scaling study beside a published one, as ratios."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ...suite.measuring import formats
from ...suite.measuring.studies.scaling import FORWARD, RTOL, points_of
from ..tables import published
from ..tables.endings import in_words
from ..tables.shown_table import Column, as_table, by_family, text
from .content import Part


@dataclass(frozen=True)
class Yardstick:
    """A method by whose time others are divided, here and there; what is to be said of it."""

    heading: str
    here: str
    there: str
    caveat: str = ""


_ON_GMRES = (
    " GMRES here is CasADi's, which is not SUNDIALS' best: backwards it takes many times the steps "
    "of a direct solver or gives up, and what is divided by it looks faster than it is. CVODES at "
    "its best here is `cvodes-adjoint` with a sparse direct solver."
)

YARDSTICKS = (
    Yardstick("forward mode", FORWARD, published.FORWARD),
    Yardstick(
        "CVODES with GMRES", "cvodes-adjoint(solver=cvodes-gmres)", published.GMRES, _ON_GMRES
    ),
)

SIZES = tuple(sorted(published.LATER_SCALING[published.GAUSS]))

_NOTE = (
    "Brusselator to t = 1, saves every 0.1, absolute tolerance 1e-5, relative "
    f"{formats.power(RTOL)}, there and here. Hardware and language differ: every time is divided "
    "by that of the same yardstick of its own side and size, and in brackets is the error, of "
    "which there is one tolerance a size: equal tolerance, not equal error. Theirs is of dG/dp in "
    "the 2-norm, ours of the log-parameter gradient. Another stored run of theirs is up to "
    f"{published.LATER_SPREAD:.0%} faster in the same cells, so that ratios closer than that mean "
    f"nothing. A dash: not measured, or not by this yardstick. Theirs: {published.LATER_SOURCE}."
)


def published_scaling_parts(table: pd.DataFrame) -> list[Part]:
    """A part for each yardstick that was measured here, at a published size.

    Parameters
    ----------
    table : DataFrame
        As from :func:`~.scaling.scaling_table`, of one machine and commit.
    """
    parts = []
    for yardstick in YARDSTICKS:
        lines = ratios(table, yardstick)
        if lines.empty:
            continue
        sizes = [Column(str(n), f"N = {n}", text) for n in SIZES]
        shown = as_table(lines, (Column("method", "method"), Column("where", "where"), *sizes))
        heading = f"Beside SciMLBenchmarks: time over that of {yardstick.heading}"
        parts.append(Part(heading, table=shown, note=_NOTE + yardstick.caveat))
    return parts


def ratios(table: pd.DataFrame, yardstick: Yardstick) -> pd.DataFrame:
    """Times over that of a yardstick, with errors, here and there; none where it is not here.

    Returns
    -------
    DataFrame
        ``method``, ``family`` (empty of theirs), ``where``, and a column a size: text.
    """
    timed = table[table["status"].eq("ok") & table["method"].eq(yardstick.here)]
    base = dict(zip(timed["problem"].map(points_of), timed["seconds"], strict=True))
    if not base.keys() & set(SIZES):
        return pd.DataFrame()
    ours = []
    for method, mine in table.groupby("method", sort=False):
        told = dict.fromkeys(map(str, SIZES), formats.NONE)
        for row in mine.to_dict("records"):
            if (n := points_of(row["problem"])) in SIZES:
                told[str(n)] = (
                    _cell(row["seconds"], base.get(n), row.get("error"))
                    if row["status"] == "ok"
                    else in_words(row["status"])
                )
        ours.append({"method": method, "family": mine["family"].iloc[0], "where": "here"} | told)
    return pd.concat([by_family(pd.DataFrame(ours)), _theirs(yardstick)], ignore_index=True)


def _theirs(yardstick: Yardstick) -> pd.DataFrame:
    base: Mapping[int, float] = published.LATER_SCALING[yardstick.there]
    lines = []
    for name, times in published.LATER_SCALING.items():
        errors = published.LATER_ERRORS.get(name, {})
        told = {str(n): _cell(times.get(n), base.get(n), errors.get(n)) for n in SIZES}
        lines.append({"method": name, "family": "", "where": "published"} | told)
    return pd.DataFrame(lines)


def _cell(seconds: float | None, base: float | None, error: float | None) -> str:
    if seconds is None or base is None:
        return formats.NONE
    ratio = f"{formats.amount(seconds / base)}"
    known = error is not None and pd.notna(error)
    return f"{ratio} ({formats.error(error)})" if known else ratio
