"""The figures of trainings: how loss, error and evaluations go, by epoch and by second."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false

from __future__ import annotations

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...suite.measuring.formats import amount
from ...training.ratios import NONE
from .canvas import STYLE, amounts_on
from .style import PALETTE

#: Training with nothing added is grey.
_PLAIN = "#7B8794"

_PANELS = (
    ("train_loss", "training loss"),
    ("test_error", "test error"),
    ("test_loss", "test loss"),
    ("nfe", "evaluations"),
    ("gradient_error", "estimated error of the gradient"),
)
_LOGARITHMIC = ("train_loss", "test_error", "test_loss", "gradient_error")


def training_figure(epochs: pd.DataFrame) -> Figure:
    """Loss, share of the test told wrong, else its loss, and evaluations of one task and method.

    Parameters
    ----------
    epochs : DataFrame
        Rows of :func:`~adjointbench.training.ratios.read_trainings`.

    Returns
    -------
    Figure
        Above against the epoch, below against the seconds of training: the median over the
        seeds, and the band from the smallest to the largest.
    """
    epochs = epochs.assign(test_error=1.0 - epochs["test_accuracy"])
    panels = [(c, label) for c, label in _PANELS if c in epochs and epochs[c].notna().any()]
    if epochs["test_error"].notna().any():
        panels = [(c, label) for c, label in panels if c != "test_loss"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.7 * len(panels), 5.8), layout="constrained")
        grid = figure.subplots(2, len(panels), squeeze=False)
        handles = []
        for name, colour in _colours(epochs).items():
            mine = epochs[epochs["regularizer"].eq(name)]
            handles.append(Line2D([], [], color=colour, label=name))
            for column, (quantity, _) in enumerate(panels):
                _band(grid[0][column], mine, quantity, colour)
                _against_seconds(grid[1][column], mine, quantity, colour)
        for column, (quantity, label) in enumerate(panels):
            for row, below in enumerate(("epoch", "seconds of training")):
                grid[row][column].set(xlabel=below, ylabel=label)
                if quantity in _LOGARITHMIC and epochs[quantity].gt(0).any():
                    grid[row][column].set_yscale("log")
                    amounts_on(grid[row][column].yaxis, amount)
        if epochs["train_seconds"].gt(0).any():
            for axes in grid[1]:
                axes.set_xscale("log")
                amounts_on(axes.xaxis, amount)
        figure.legend(handles=handles, loc="outside upper center", ncols=min(6, len(handles)))
    return figure


def _colours(epochs: pd.DataFrame) -> dict[str, str]:
    names = [name for name in epochs["regularizer"].unique() if name != NONE]
    found = {NONE: _PLAIN} if epochs["regularizer"].eq(NONE).any() else {}
    return found | {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


def _band(axes: Axes, epochs: pd.DataFrame, quantity: str, colour: str) -> None:
    by_epoch = epochs.dropna(subset=[quantity]).groupby("epoch")[quantity]
    middle = by_epoch.median()
    axes.fill_between(middle.index, by_epoch.min(), by_epoch.max(), color=colour, alpha=0.15, lw=0)
    axes.plot(middle.index, middle, color=colour)


def _against_seconds(axes: Axes, epochs: pd.DataFrame, quantity: str, colour: str) -> None:
    known = epochs.dropna(subset=[quantity])
    middle = known.groupby("epoch")[["train_seconds", quantity]].median()
    middle = middle[middle["train_seconds"] > 0]
    axes.plot(middle["train_seconds"], middle[quantity], color=colour)
