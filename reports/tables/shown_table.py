"""Tables as a report shows them: cells with text, and with what they are sorted by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ...adjoints.methods.method import FAMILIES
from ...suite.measuring import formats
from ...suite.measuring.errors import WRONG
from .endings import in_words, wrong_in_words
from .summary import COUNTS


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


#: What most tables begin with.
WHERE = (Column("problem", "problem"), Column("method", "method"))


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


def as_table(
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


def text(value: object) -> str:
    """Text in a column that is aligned and sorted like numbers; a dash where there is none."""
    return value if isinstance(value, str) else formats.NONE


def by_family(lines: pd.DataFrame, *first: str) -> pd.DataFrame:
    """Lines of methods by the columns `first`, then family by family, and by name within."""
    return lines.sort_values([*first, "family", "method"], key=_place)


def _place(column: pd.Series) -> pd.Series:
    return column.map(FAMILIES.index) if column.name == "family" else column


def time_or_status(row: Mapping[str, Any]) -> str:
    """The seconds of a row, and whether it is wrong; its status where there is no gradient."""
    if row["status"] != "ok":
        return in_words(row["status"])
    wrong = row["referenced"] is True and not row["error"] < WRONG
    return formats.seconds(row["seconds"]) + (f", {wrong_in_words(row)}" if wrong else "")
