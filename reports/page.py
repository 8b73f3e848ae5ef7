"""The contents of a report, in the order in which it is read, for page and Markdown alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
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
class Table:
    """A table as it is shown: headings, and text in cells."""

    columns: tuple[Column, ...]
    lines: tuple[tuple[str, ...], ...]
    families: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShownFigure:
    """A figure: the file beside the page, the same inline, and what it shows in words."""

    file: str
    svg: str
    caption: str

    @property
    def title(self) -> str:
        """The first sentence of the caption."""
        return self.caption.partition(". ")[0]

    @property
    def note(self) -> str:
        """The rest of the caption."""
        return self.caption.partition(". ")[2]


def slug(name: str) -> str:
    """A name as part of a file's name or of a link: ``van_der_pol-mu-10.0``."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-")


def save_figure(figure: Figure, name: str, out: Path, caption: str) -> ShownFigure:
    """Write a figure below the folder `out`, and keep it for the page."""
    file = f"figures/{slug(name)}.svg"
    (out / file).write_text(to_svg(figure), encoding="utf-8")
    return ShownFigure(file, to_svg(figure, inline=True), caption)


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

    `groups` are further sentences, each with a small heading of their own.
    """

    heading: str
    sentences: tuple[str, ...] = ()
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    figure: ShownFigure | None = None
    table: Table | None = None
    note: str = ""


@dataclass
class Content:
    """Everything in a report."""

    title: str
    date: str
    measured: str = ""
    troubles: Sequence[str] = ()
    rtol: str = ""
    verdicts: Sequence[Any] = ()
    wrong: Table | None = None
    problems: list[ProblemSection] = field(default_factory=list)
    peers: list[Part] = field(default_factory=list)
    kinds: list[Part] = field(default_factory=list)
    stiff: list[Part] = field(default_factory=list)
    training: list[Part] = field(default_factory=list)
    costs: list[ShownFigure] = field(default_factory=list)
    counts: Table | None = None
    failures: Table | None = None
    skips: Table | None = None
    benchmarks: Table | None = None
    broken_benchmarks: Table | None = None
    comparisons: list[tuple[str, Table]] = field(default_factory=list)
    runs: Sequence[dict[str, Any]] = ()


def table(frame: pd.DataFrame, columns: Sequence[Column]) -> Table | None:
    """`frame` as it is shown; ``None`` where it is empty."""
    if frame.empty:
        return None
    lines = tuple(
        tuple(column.write(line[column.name]) for column in columns) for _, line in frame.iterrows()
    )
    families = tuple(frame["family"]) if "family" in frame else ()
    return Table(tuple(columns), lines, families)


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
    return environment.get_template(template).render(c=content)
