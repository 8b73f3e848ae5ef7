"""The contents of a report, in the order in which it is read, for page and Markdown alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from . import formats
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


@dataclass(frozen=True)
class ProblemSection:
    """What the report shows about one problem."""

    name: str
    about: str
    figures: tuple[ShownFigure, ...]
    table: Table


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
    return environment.get_template(template).render(c=content)
