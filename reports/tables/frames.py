"""Measured rows as tables, and tables as measured rows again."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportReturnType=false
# pyright: reportGeneralTypeIssues=false

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar, get_type_hints

import pandas as pd

from ...suite.measuring.row import ClaimRow, Row, from_record, to_record

#: What tells where a row comes from, beside what was measured.
ORIGIN = ("machine", "commit", "code", "date")

_T = TypeVar("_T")
#: A measured row, and the columns of its origin.
Placed: TypeAlias = tuple[_T, Mapping[str, str]]

#: Columns that no ordinary ladder has: they are in a table where some row does.
_SPECIAL = ("study", "allowed_s", "gradient", "dy0_gradient")

_TYPES = get_type_hints(Row)
_ELSEWHERE = (*_SPECIAL, *ORIGIN)
_MEASURED = [field.name for field in dataclasses.fields(Row) if field.name not in _ELSEWHERE]
_NUMBERS = [name for name in _MEASURED if _TYPES[name] in (float, float | None)]
_COUNTS = [name for name in _MEASURED if _TYPES[name] == int | None]

#: Columns that a table of rows always has: those of the type, their origin before the tolerances.
_BEFORE = _MEASURED.index("rtol")
COLUMNS = (*_MEASURED[:_BEFORE], *ORIGIN, *_MEASURED[_BEFORE:])


def row_frame(rows: Sequence[Placed[Row]]) -> pd.DataFrame:
    """Rows as a table with every column, each (…, rtol) once: the newest.

    Numbers are ``float64`` with NaN for what is not known, counts ``int64`` where all are known,
    text and truth values objects.

    Parameters
    ----------
    rows : sequence of (Row, dict)
        Each with its columns of :data:`ORIGIN`.
    """
    records = [to_record(row) | dict(origin) for row, origin in rows]
    special = [name for name in _SPECIAL if any(record[name] is not None for record in records)]
    table = pd.DataFrame(records, columns=pd.Index([*COLUMNS, *special]))
    table = table.astype(dict.fromkeys(_NUMBERS, "float64"))
    for name in _COUNTS:
        table[name] = pd.to_numeric(table[name])
    key = ["problem", "method", "device", "machine", "code", "rtol"]
    return (
        table.sort_values("date", kind="stable")
        .drop_duplicates(key, keep="last")
        .sort_values(key, ascending=[True] * 5 + [False], kind="stable")
        .reset_index(drop=True)
    )


def claims_frame(rows: Sequence[Placed[ClaimRow]]) -> pd.DataFrame:
    """Rows of claims as a table, each claim once for a machine and code: the newest."""
    fields = [field.name for field in dataclasses.fields(ClaimRow)]
    names = [name for name in fields if name not in ORIGIN]
    records = [to_record(row) | dict(origin) for row, origin in rows]
    table = pd.DataFrame(records, columns=pd.Index([*names, *ORIGIN, "versions"]))
    key = ["number", "machine", "code"]
    return table.sort_values("date", kind="stable").drop_duplicates(
        key, keep="last", ignore_index=True
    )


def rows_of(table: pd.DataFrame) -> list[Row]:
    """The rows that a table of them holds, as :mod:`~adjointbench.suite.measuring.ladder` asks."""
    return [from_record(Row, record) for record in table.to_dict("records")]
