"""The section of a report about ensembles: time a lane by the number of lanes."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from functools import partial
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from ...suite.measuring import formats
from ...suite.measuring.equal_times import rank
from ...suite.measuring.names import bare_name
from ...suite.measuring.studies import lanes
from ..figures.canvas import STYLE, amounts_on
from ..figures.style import looks
from ..tables.shown_table import Column, as_table
from .commands import lanes_command
from .content import Part
from .study import Drawing, study_part

_COLUMNS = (
    Column("method", "method"),
    Column("lanes", "lanes", formats.amount),
    Column("seconds", "time", formats.seconds),
    Column("a_lane", "time a lane", formats.seconds),
    Column("error", "error of the first lane", formats.error),
    Column("status", "ended"),
)

_NOTE = (
    "Each lane has parameters of its own. With JAX and torchode each takes its own steps; "
    "torch-discrete takes the lanes as one state, which share theirs. The error is that of the "
    "first lane, whose gradient is certified."
)


def lane_lines(points: pd.DataFrame) -> pd.DataFrame:
    """One line a method and number of lanes, fewest first.

    Parameters
    ----------
    points : DataFrame
        The rows of the study on one machine and commit.

    Returns
    -------
    DataFrame
        ``method`` (without settings), ``family``, ``lanes``, ``status``, ``seconds``, ``a_lane``
        and ``error``.
    """
    lines = points.assign(
        lanes=points["method"].map(lanes.number_of), method=points["method"].map(bare_name)
    )
    lines = lines.assign(a_lane=lines["seconds"] / lines["lanes"])
    names = ["method", "family", "lanes", "status", "seconds", "a_lane", "error"]
    return lines.sort_values(["method", "lanes"], kind="stable")[names].reset_index(drop=True)


def lanes_parts(points: pd.DataFrame, out: Path) -> list[Part]:
    """The part about ensembles; none where there are no rows of the study.

    Parameters
    ----------
    points : DataFrame
        As for :func:`lane_lines`; may be empty.
    out : Path
        The folder of the report.
    """
    if points.empty:
        return []
    lines = lane_lines(points)
    return study_part(
        "lanes",
        "Many lanes at once",
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
        "Time of the gradient of the summed loss over the number of lanes. "
        f"{lanes.PROBLEM} at the relative tolerance {formats.power(lanes.RTOL)}."
    )
    return Drawing(partial(lanes_figure, lines), caption, lines, lanes_command(points))


def findings(lines: pd.DataFrame) -> list[str]:
    """Who is fastest with the fewest lanes and with the most, and what a lane costs there.

    Parameters
    ----------
    lines : DataFrame
        As from :func:`lane_lines`.
    """
    timed = lines[lines["status"].eq("ok")].dropna(subset=["a_lane"])
    said = []
    numbers = sorted(set(timed["lanes"].tolist()))
    for number in dict.fromkeys((*numbers[:1], *numbers[-1:])):
        mine = timed[timed["lanes"].eq(number)]
        ranking = rank(dict(zip(mine["method"], mine["a_lane"], strict=True)))
        least = formats.seconds(ranking.best)
        others = [name for name in ranking.seconds if name not in ranking.tied]
        told = f"With {number:.0f} lane{'s' if number > 1 else ''} {' and '.join(ranking.tied)} "
        told += f"take{'' if len(ranking.tied) > 1 else 's'} the least ({least} a lane)"
        if others:
            told += "; " + ", ".join(
                f"{name} {ranking.seconds[name] / ranking.best:.2g} times as long"
                for name in others
            )
        said.append(f"{told}.")
    return said


def lanes_figure(lines: pd.DataFrame) -> Figure:
    """Seconds a lane against the number of lanes, one line a method.

    Parameters
    ----------
    lines : DataFrame
        As from :func:`lane_lines`.
    """
    found = looks(zip(lines["method"], lines["family"], strict=True))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.0, 3.6), layout="constrained")
        axes = figure.subplots()
        for name, look in found.items():
            mine = lines[lines["method"].eq(name) & lines["status"].eq("ok")]
            style = {"color": look.colour, "marker": look.marker, "linestyle": look.line}
            axes.plot(mine["lanes"], mine["a_lane"], label=name, mew=0, **style)
        axes.set(xlabel="lanes", ylabel="seconds a lane, warm", xscale="log", yscale="log")
        amounts_on(axes.xaxis, formats.amount)
        axes.xaxis.set_major_locator(FixedLocator(sorted(set(lines["lanes"]))))
        amounts_on(axes.yaxis, formats.seconds)
        handles = axes.get_legend_handles_labels()[0]
        figure.legend(handles=handles, loc="outside right upper")
    return figure
