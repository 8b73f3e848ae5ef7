"""The figure of a claim: curves through the lines of its table."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..canvas import legend_outside, log_ticks, new_axes
from ..style import PALETTE
from .claim import Plot


def claim_figure(plot: Plot, lines: pd.DataFrame) -> Figure:
    """A curve for each value of ``plot.by``, on logarithmic axes where all is positive."""
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
    if (known[[plot.x, plot.y]].astype(float) > 0).all(axis=None):
        log_ticks(axes)
    axes.set(xlabel=plot.xlabel, ylabel=plot.ylabel)
    legend_outside(axes, handles)
    return figure
