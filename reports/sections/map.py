"""The section of a report with the map of all methods on all problems: where each is right."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..figures.labels import map_label
from ..figures.map import map_figure
from ..figures.shown_figure import save_figure
from ..tables.endings import is_broken, is_right, is_tried, is_unfinished, says_so
from ..tables.ladders import Ladders
from .commands import ladder_command
from .content import Part

_CELL = ("problem", "method", "family", "tried", "right", "wrong", "warned", "broken", "unfinished")


def map_parts(ladders: Ladders, out: Path) -> list[Part]:
    """The part with the map; none where no problem has a reference.

    Parameters
    ----------
    ladders : Ladders
        Those of one machine and commit.
    out : Path
        The folder of the report.
    """
    cells = map_cells(ladders)
    if cells.empty:
        return []
    caption = (
        "Share of the tolerances that were done in their time at which each method was right on "
        "each problem, in percent. Darker is better. An exclamation mark and an orange edge: "
        "somewhere it said ok and was wrong by over 10 %. A plus-minus sign and an orange line: it "
        "was, and says so itself with an error bar. A cross and hatches: somewhere it broke "
        "down. Three dots: somewhere it was not done in its time. A dash: skipped."
    )
    figure = save_figure(
        map_figure(cells),
        "stability-map",
        out,
        caption,
        data=cells,
        command=ladder_command(ladders.rows),
        label=map_label(cells),
    )
    return [Part("Where each method is right", figures=(figure,))]


def map_cells(ladders: Ladders) -> pd.DataFrame:
    """How often each method was right, wrong, broken and not done on each problem.

    Returns
    -------
    DataFrame
        One line a (problem, method) of problems with a certified reference: tolerances that were
        ``tried``, and of these the ``right`` (``ok``, an error under 10 %), the ``wrong`` (``ok``
        and off by more), those of them that are ``warned`` of by their own error bars, the
        ``broken``, and the ``unfinished``, of which nothing is known.
        Nothing was tried where the method was skipped.
    """
    mine = ladders.rows[ladders.rows["problem"].isin(ladders.judged)]
    counted = mine[["problem", "method", "family"]].assign(
        tried=is_tried(mine),
        right=is_right(mine),
        wrong=ladders.wrong[mine.index],
        warned=ladders.wrong[mine.index] & says_so(mine),
        broken=is_broken(mine),
        unfinished=is_unfinished(mine),
    )
    by = ["problem", "method", "family"]
    return counted.groupby(by, sort=False).sum().reset_index().reindex(columns=list(_CELL))
