"""The section of a report about memory against checkpoints."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from ...suite.measuring import formats
from ...suite.measuring.names import bare_name
from ...suite.measuring.studies import checkpoints
from ..figures.canvas import STYLE, amounts_on
from ..figures.style import looks
from ..tables.shown_table import Column, as_table
from .commands import checkpoints_command
from .content import Part
from .study import Drawing, study_part

_COLUMNS = (
    Column("method", "method"),
    Column("checkpoints", "checkpoints", formats.amount),
    Column("saved_bytes", "kept", formats.size),
    Column("seconds", "time", formats.seconds),
    Column("ratio", "gradient / primal", formats.amount),
    Column("steps", "steps", formats.amount),
    Column("status", "ended"),
)

_NOTE = (
    "Between two checkpoints the steps are computed again, one window at a time. Few "
    "checkpoints make windows long, many are themselves what is kept. A dash: the method does "
    "not tell what it keeps."
)


def checkpoint_lines(points: pd.DataFrame) -> pd.DataFrame:
    """One line a method and number of checkpoints, fewest first.

    Parameters
    ----------
    points : DataFrame
        The rows of the study on one machine and commit.

    Returns
    -------
    DataFrame
        ``method`` (without settings), ``family``, ``checkpoints``, ``status``, ``saved_bytes``,
        ``seconds``, ``ratio`` and ``steps``.
    """
    lines = points.assign(
        checkpoints=points["method"].map(checkpoints.number_of),
        method=points["method"].map(bare_name),
    )
    names = ["method", "family", "checkpoints", "status"]
    names += ["saved_bytes", "seconds", "ratio", "steps"]
    return lines.sort_values(["method", "checkpoints"], kind="stable")[names].reset_index(drop=True)


def checkpoints_parts(points: pd.DataFrame, out: Path) -> list[Part]:
    """The part about checkpoints; none where there are no rows of the study.

    Parameters
    ----------
    points : DataFrame
        As for :func:`checkpoint_lines`; may be empty.
    out : Path
        The folder of the report.
    """
    if points.empty:
        return []
    lines = checkpoint_lines(points)
    return study_part(
        "checkpoints",
        "Memory against checkpoints",
        sentences=findings(lines),
        drawing=_drawing(points, lines),
        table=as_table(lines, _COLUMNS),
        note=_NOTE,
        out=out,
    )


def _drawing(points: pd.DataFrame, lines: pd.DataFrame) -> Drawing | None:
    """The figure, where there is a time to draw."""
    if not lines["seconds"].notna().any():
        return None
    caption = (
        "What is kept, and the time of one gradient, by the number of checkpoints. "
        f"{checkpoints.PROBLEM} at the relative tolerance {formats.power(checkpoints.RTOL)}, "
        f"with max_steps={checkpoints.MAX_STEPS}."
    )
    return Drawing(partial(checkpoints_figure, lines), caption, lines, checkpoints_command(points))


def findings(lines: pd.DataFrame) -> list[str]:
    """Where each method keeps the least, and what that costs in time.

    Parameters
    ----------
    lines : DataFrame
        As from :func:`checkpoint_lines`.
    """
    said = []
    for method, mine in lines[lines["status"].eq("ok")].groupby("method", sort=True):
        kept, timed = mine.dropna(subset=["saved_bytes"]), mine.dropna(subset=["seconds"])
        if timed.empty:
            continue
        fastest = timed.loc[timed["seconds"].idxmin()]
        told = f"{method} is fastest with {fastest['checkpoints']:.0f} checkpoints"
        told += f" ({formats.seconds(fastest['seconds'])})"
        if not kept.empty:
            least = kept.loc[kept["saved_bytes"].idxmin()]
            ratio = least["seconds"] / fastest["seconds"]
            told += (
                f", and keeps the least with {least['checkpoints']:.0f} "
                f"({formats.size(least['saved_bytes'])}, {ratio:.2g} times the time)"
            )
        said.append(f"{told}.")
    return said


def checkpoints_figure(lines: pd.DataFrame) -> Figure:
    """Bytes kept and seconds a gradient against the number of checkpoints, side by side.

    Parameters
    ----------
    lines : DataFrame
        As from :func:`checkpoint_lines`.
    """
    found = looks(zip(lines["method"], lines["family"], strict=True))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        for name, look in found.items():
            mine = lines[lines["method"].eq(name) & lines["status"].eq("ok")]
            style = {"color": look.colour, "marker": look.marker, "linestyle": look.line}
            for axes, column in ((left, "saved_bytes"), (right, "seconds")):
                axes.plot(mine["checkpoints"], mine[column], label=name, mew=0, **style)
        _name_axes(left, "bytes kept", formats.size, lines["checkpoints"])
        _name_axes(right, "seconds a gradient, warm", formats.seconds, lines["checkpoints"])
        handles = right.get_legend_handles_labels()[0]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _name_axes(axes: Axes, label: str, write: Callable[[float], str], numbers: pd.Series) -> None:
    axes.set(xlabel="checkpoints", ylabel=label, xscale="log", yscale="log")
    amounts_on(axes.xaxis, formats.amount)
    axes.xaxis.set_major_locator(FixedLocator(sorted(set(numbers))))
    amounts_on(axes.yaxis, write)
