"""The figure of error bars: what gradients say of their own errors, over their true errors."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ...suite.measuring.error_bars import CLOSE, NEAR
from ...suite.measuring.errors import WRONG
from .canvas import GRID, INK, STYLE, legend_outside, log_ticks, new_axes
from .style import COLOURS, Look, family_handles, looks

#: Ratios that are further off are drawn at the edge.
LARGEST_RATIO = 30.0

_LABELLED = (1 / 30, 0.1, 1 / NEAR, 1 / CLOSE, 1.0, CLOSE, NEAR, 10.0, 30.0)


def effectivity_figure(lines: pd.DataFrame) -> Figure:
    """Estimated over true error against the true error, a point a gradient.

    Parameters
    ----------
    lines : DataFrame
        As from :func:`~adjointbench.reports.tables.error_bars.estimates`.

    Returns
    -------
    Figure
        In the band the estimate is within a factor of 2 of the truth, between the dashed lines
        within 3; what lies outside has its number in the table of misses. Hollow points call
        themselves inaccurate. Right of the line at 10 % every point should be hollow.
    """
    methods = looks(zip(lines["method"], lines["family"], strict=True))
    families = dict(zip(lines["method"], lines["family"], strict=True))
    with mpl.rc_context(STYLE):
        figure, axes = new_axes(7.6, 4.4)
        axes.axhspan(1 / CLOSE, CLOSE, color=COLOURS["blackbox"], alpha=0.16, lw=0)
        for ratio in (1 / NEAR, NEAR):
            axes.axhline(ratio, color=COLOURS["blackbox"], lw=0.9, ls=(0, (4, 3)))
        for name, look in methods.items():
            _draw(axes, lines[lines["method"].eq(name)], look)
        log_ticks(axes)
        _scale(axes)
        _number(axes, lines[lines["miss"].gt(0)])
        _mark_wrong(axes)
        axes.set_xlabel("true relative error of the log-parameter gradient")
        axes.set_ylabel("estimated / true error")
        handles = family_handles(methods, families)
        for handle in handles:
            handle.set_linestyle("none")
        legend_outside(axes, [*handles, *_kinds_of_points()])
    return figure


def _draw(axes: Axes, mine: pd.DataFrame, look: Look) -> None:
    for flagged, points in mine.groupby("flagged"):
        style: dict[str, Any] = {"mfc": "none"} if flagged else {"mfc": look.colour, "alpha": 0.75}
        edge = 1.3 if flagged else 0.0
        place = {"color": look.colour, "marker": look.marker, "ls": "none", "mew": edge}
        axes.plot(points["error"], _height(points), **place, **style)


def _height(points: pd.DataFrame) -> pd.Series:
    return points["effectivity"].clip(1 / LARGEST_RATIO, LARGEST_RATIO)


def _scale(axes: Axes) -> None:
    axes.set_ylim(0.7 / LARGEST_RATIO, LARGEST_RATIO / 0.7)
    axes.yaxis.set_major_locator(FixedLocator(_LABELLED))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: _named(ratio)))
    axes.yaxis.set_minor_locator(NullLocator())


def _named(ratio: float) -> str:
    """A ratio as its axis shows it, those at the edge with what is beyond."""
    if ratio >= LARGEST_RATIO:
        return f"≥ {ratio:.0f}"
    if ratio <= 1 / LARGEST_RATIO:
        return f"≤ 1/{1 / ratio:.0f}"
    return f"1/{1 / ratio:.0f}" if ratio < 1 else f"{ratio:.0f}"


def _number(axes: Axes, missed: pd.DataFrame) -> None:
    """The numbers of the misses, those of one spot together."""
    spots: dict[tuple[int, int], list[tuple[float, float, int]]] = {}
    for error, height, number in zip(missed["error"], _height(missed), missed["miss"], strict=True):
        spot = (round(2 * np.log10(error)), round(5 * np.log10(height)))
        spots.setdefault(spot, []).append((error, height, number))
    for points in spots.values():
        numbers = ", ".join(str(n) for n in sorted({number for *_, number in points}))
        place = max((error, height) for error, height, _ in points)
        axes.annotate(numbers, place, (5, 3), textcoords="offset points", fontsize=8.5)


def _mark_wrong(axes: Axes) -> None:
    """Grey where the error is over 10 %, if any point is."""
    left, right = axes.get_xlim()
    if right <= WRONG:
        return
    axes.axvspan(WRONG, right, color=GRID, alpha=0.5, lw=0, zorder=0)
    axes.set_xlim(left, right)
    place = axes.get_xaxis_transform()
    axes.text(right, 1.01, "off by over 10 %", transform=place, ha="right", fontsize=9)


def _kinds_of_points() -> list[Line2D]:
    look: dict[str, Any] = {"color": INK, "marker": "o", "ls": "none"}
    return [
        Line2D([], [], **look, mew=0, label="says ok"),
        Line2D([], [], **look, mfc="none", mew=1.3, label="says inaccurate"),
    ]
