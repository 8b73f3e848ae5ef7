"""Figures as a report shows them: with numbers, with the command behind them, and in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from matplotlib.figure import Figure

from .canvas import in_page, to_svg


@dataclass(frozen=True)
class ShownFigure:
    """A figure: the file beside the page, the same inline, and what it shows in words.

    Attributes
    ----------
    file : str
        Of the SVG, below the folder of the report; its numbers are beside it, as ``.csv``.
    svg : str
        For inclusion in the page.
    caption : str
        Its first sentence is the title.
    label : str
        What one sees in it, for those who do not; the caption where nothing else is said.
    csv : str
        The numbers that it shows; empty where there is no such file.
    command : str
        What measures and draws it anew.
    """

    file: str
    svg: str
    caption: str
    label: str = ""
    csv: str = ""
    command: str = ""

    @property
    def title(self) -> str:
        """The first sentence of the caption."""
        return self.caption.partition(". ")[0]

    @property
    def note(self) -> str:
        """The rest of the caption."""
        return self.caption.partition(". ")[2]

    @property
    def alternative(self) -> str:
        """The figure in words."""
        return self.label or self.caption

    @property
    def data_file(self) -> str:
        """The file of its numbers."""
        return self.file.removesuffix(".svg") + ".csv"

    @property
    def download(self) -> str:
        """Its numbers as an address, so that the page needs no other file."""
        return f"data:text/csv;charset=utf-8,{quote(self.csv, safe=_SAFE)}"


#: What stands for itself in an address within double quotes.
_SAFE = ",;:!?()*+-._~/=@$"


def slug(name: str) -> str:
    """A name as part of a file's name or of a link: ``van_der_pol-mu-10.0``."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-")


def save_figure(
    figure: Figure,
    name: str,
    out: Path,
    caption: str,
    *,
    data: pd.DataFrame | None = None,
    command: str = "",
    label: str = "",
) -> ShownFigure:
    """Write a figure and its numbers below the folder `out`, and keep both for the page.

    Parameters
    ----------
    figure : Figure
    name : str
        Of the files ``figures/NAME.svg`` and ``figures/NAME.csv``.
    out : Path
        The folder of the report.
    caption : str
        The title, then whatever the reader needs to know.
    data : DataFrame, optional
        What is drawn, one line a point.
    command : str
        What measures and draws the figure anew.
    label : str
        What one sees in the figure, for those who do not.
    """
    file = f"figures/{slug(name)}.svg"
    svg = to_svg(figure)
    (out / file).write_text(svg, encoding="utf-8")
    csv = "" if data is None else data.to_csv(index=False)
    shown = ShownFigure(file, in_page(svg, slug(name)), caption, label, csv, command)
    if csv:
        (out / shown.data_file).write_text(csv, encoding="utf-8")
    return shown
