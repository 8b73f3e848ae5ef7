"""The contents of a report, in the order in which it is read, for page and Markdown alike."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from . import formats
from .canvas import to_svg
from .tables import COUNTS

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Column:
    """One column of a shown table: where it comes from, its heading, how it is written."""

    name: str
    heading: str
    write: Callable[[Any], str] = formats.plain

    @property
    def numeric(self) -> bool:
        """Whether it is aligned to the right."""
        return self.write is not formats.plain or self.name in COUNTS


@dataclass(frozen=True)
class Link:
    """What a cell of a table may hold: text that leads to `href`."""

    text: str
    href: str


@dataclass(frozen=True)
class Cell:
    """One cell as it is shown.

    Attributes
    ----------
    text : str
    sort : str, optional
        What the column is sorted by, where that is not the text: the number behind ``0.21 ms``,
        or nothing, for what comes last.
    value : str
        The word by which the page colours the cell: short text of a column of text.
    href : str
        Where the text leads to, if anywhere.
    """

    text: str
    sort: str | None = None
    value: str = ""
    href: str = ""


#: Longer text is a sentence, by which no cell is coloured.
LONGEST_VALUE = 24


@dataclass(frozen=True)
class Table:
    """A table as it is shown: headings, and the cells below them.

    Attributes
    ----------
    columns : tuple of Column
    lines : tuple of tuple of Cell
    families : tuple of str
        Of the method of each line, which colours it; may be empty.
    caption : str
    stacks : bool
        On a narrow screen each line is a block of its own, for few lines of many words.
    """

    columns: tuple[Column, ...]
    lines: tuple[tuple[Cell, ...], ...]
    families: tuple[str, ...] = ()
    caption: str = ""
    stacks: bool = False


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
    (out / file).write_text(to_svg(figure), encoding="utf-8")
    csv = "" if data is None else data.to_csv(index=False)
    shown = ShownFigure(
        file, to_svg(figure, inline=True, prefix=slug(name)), caption, label, csv, command
    )
    if csv:
        (out / shown.data_file).write_text(csv, encoding="utf-8")
    return shown


@dataclass(frozen=True)
class ProblemSection:
    """What the report shows about one problem."""

    name: str
    about: str
    figures: tuple[ShownFigure, ...]
    table: Table

    @property
    def anchor(self) -> str:
        """What a link on the page leads to."""
        return slug(self.name)


@dataclass(frozen=True)
class Part:
    """A part of a section, under its own heading; what is empty is left out.

    `groups` are further sentences, each with a small heading of their own; `anchor` is what a
    link on the page leads to.
    """

    heading: str
    sentences: tuple[str, ...] = ()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    figures: tuple[ShownFigure, ...] = ()
    table: Table | None = None
    note: str = ""
    anchor: str = ""


@dataclass
class Content:
    """Everything in a report."""

    title: str
    date: str
    measured: str = ""
    troubles: Sequence[str] = ()
    rtol: str = ""
    findings: Sequence[Any] = ()
    decisions: list[Part] = field(default_factory=list)
    map: list[Part] = field(default_factory=list)
    verdicts: Sequence[Any] = ()
    wrong: Table | None = None
    problems: list[ProblemSection] = field(default_factory=list)
    peers: list[Part] = field(default_factory=list)
    kinds: list[Part] = field(default_factory=list)
    stiff: list[Part] = field(default_factory=list)
    checkpoints: list[Part] = field(default_factory=list)
    training: list[Part] = field(default_factory=list)
    claims: list[Part] = field(default_factory=list)
    costs: list[Part] = field(default_factory=list)
    failures: Table | None = None
    skips: Table | None = None
    benchmarks: Table | None = None
    broken_benchmarks: Table | None = None
    compared: list[Part] = field(default_factory=list)
    runs: Sequence[dict[str, Any]] = ()

    @property
    def contents(self) -> tuple[tuple[str, str, bool], ...]:
        """Anchor and name of each section, and whether it is there; problems apart."""
        return (
            ("findings", "Findings", bool(self.findings)),
            ("decisions", "Which method when", bool(self.decisions)),
            ("map", "Map", bool(self.map)),
            ("summary", "By problem", bool(self.verdicts)),
            ("wrong", "Ok, and wrong", self.wrong is not None),
            ("peers", "Peers", bool(self.peers)),
            ("kinds", "Backends", bool(self.kinds)),
            ("stiff", "Stiff problems", bool(self.stiff)),
            ("checkpoints", "Checkpoints", bool(self.checkpoints)),
            ("training", "Training", bool(self.training)),
            ("claims", "Claims", bool(self.claims)),
            ("costs", "Costs", bool(self.costs)),
            ("failed", "Failed and skipped", self.failures is not None or self.skips is not None),
            ("compared", "Compared", bool(self.compared)),
            ("benchmarks", "asv", self.benchmarks is not None),
            ("foot", "Machine and versions", True),
        )


def table(
    frame: pd.DataFrame, columns: Sequence[Column], caption: str = "", *, stacks: bool = False
) -> Table | None:
    """`frame` as it is shown; ``None`` where it is empty."""
    if frame.empty:
        return None
    shown = [_cells(column, list(frame[column.name])) for column in columns]
    families = tuple(frame["family"]) if "family" in frame else ()
    return Table(tuple(columns), tuple(zip(*shown, strict=True)), families, caption, stacks)


def _cells(column: Column, values: Sequence[Any]) -> list[Cell]:
    cells = [_cell(column, value) for value in values]
    numbers = [cell.sort or _number_in(cell.text) for cell in cells]
    if (
        sum(number != "" for number in numbers)
        < sum(cell.text != formats.NONE for cell in cells) / 2
    ):
        numbers = [None if cell.text != formats.NONE else "" for cell in cells]
    return [replace(cell, sort=number) for cell, number in zip(cells, numbers, strict=True)]


def _cell(column: Column, value: Any) -> Cell:
    if isinstance(value, Link):
        return Cell(value.text, value=_word(value.text), href=value.href)
    text = column.write(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return Cell(text, sort=repr(float(value)))
    return Cell(text, value="" if column.numeric else _word(text))


def _number_in(text: str) -> str:
    """The number that a text begins with, as a column is sorted by it; nothing where none does."""
    value = formats.leading_number(text)
    return "" if value is None else repr(value)


def _word(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else ""


def render(content: Content, template: str) -> str:
    """The report as text, by ``page.html`` or ``report.md``."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["slug"] = slug
    environment.globals["asset"] = _asset
    return environment.get_template(template).render(c=content)


def _asset(name: str) -> Markup:
    """A file of the templates as it is."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))
