"""The part of a report about a study: what it says, one figure, and the table of its lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ..figures.shown_figure import save_figure
from ..tables.shown_table import Table
from .content import Part


@dataclass(frozen=True)
class Drawing:
    """A figure that is yet to be drawn: its caption, its numbers, and the command behind them."""

    draw: Callable[[], Figure]
    caption: str
    data: pd.DataFrame
    command: str


def study_part(
    anchor: str,
    heading: str,
    *,
    sentences: list[str],
    drawing: Drawing | None,
    table: Table,
    note: str,
    out: Path,
) -> list[Part]:
    """The part about a study; its figure is called as the `anchor`, and says the sentences too.

    Parameters
    ----------
    anchor, heading : str
    sentences : list of str
    drawing : Drawing or None
        ``None`` where there is nothing to draw.
    table : Table
    note : str
    out : Path
        The folder of the report.
    """
    figures = ()
    if drawing is not None:
        shown = save_figure(
            drawing.draw(),
            anchor,
            out,
            drawing.caption,
            data=drawing.data,
            command=drawing.command,
            label=" ".join([drawing.caption, *sentences]),
        )
        figures = (shown,)
    return [
        Part(
            heading=heading,
            sentences=tuple(sentences),
            figures=figures,
            table=table,
            note=note,
            anchor=anchor,
        )
    ]
