"""The figure of a claim: curves through the lines of its table."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ...suite.claims.claim import Plot
from .canvas import STYLE, legend_outside, log_ticks, new_axes
from .style import PALETTE


def claim_figure(plot: Plot, lines: pd.DataFrame) -> Figure:
    """A curve for each value of ``plot.by``; logarithmic axes where there are powers of ten."""
    with mpl.rc_context(STYLE):
        return _drawn(plot, lines)


def _drawn(plot: Plot, lines: pd.DataFrame) -> Figure:
    figure, axes = new_axes(6.2, 3.4)
    known = lines[lines[plot.y].notna()]
    handles: list[Line2D] = []
    for number, (name, mine) in enumerate(known.groupby(plot.by, sort=False)):
        colour = PALETTE[number % len(PALETTE)]
        handles += axes.plot(
            mine[plot.x].astype(float),
            mine[plot.y].astype(float),
            marker="o",
            color=colour,
            label=str(name),
        )
    if all(_wide(known[name].astype(float)) for name in (plot.x, plot.y)):
        log_ticks(axes)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel=plot.xlabel, ylabel=plot.ylabel)
    legend_outside(axes, handles)
    return figure


#: Largest over smallest value from which an axis is logarithmic.
_WIDE = 8.0


def _wide(values: pd.Series) -> bool:
    """Whether positive values lie so far apart that only their logarithms can be told apart."""
    return bool((values > 0).all() and values.max() >= _WIDE * values.min())
