"""The rows of a device as a line each while they are made, and as tables in the end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ..claims.claim import judge_row
from ..claims.table import claim_of
from ..measuring import formats
from ..measuring.row import ClaimRow, Row
from ..measuring.rows import RowFile
from .studies import STUDIES

#: Columns where the output goes into a file or a pipe, which have no width of their own.
WIDTH = 150

_COLUMNS = ("problem", "method", "device", "time", "error", "steps", "launches", "waits", "ended")


def line_of(row: Row | ClaimRow) -> str:
    """One row in one line."""
    if isinstance(row, ClaimRow):
        return f"{row.problem}: {row.status} {row.message}".strip()
    told = [row.status, row.message]
    if row.seconds is not None:
        told = [formats.seconds(row.seconds), f"error {formats.error(row.error)}", row.message]
    what = f"{row.problem} {row.method} on {row.device}"
    return f"{what}: {', '.join(filter(None, told))}"


def tables(file: RowFile) -> None:
    """Print a table for each study, and the verdicts on claims."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=WIDTH, highlight=False)
    machine = file.run.machine
    console.print(f"\n{machine.get('gpu', 'no GPU')}, {machine.get('cpu', '')}")
    console.print(", ".join(f"{name} {number}" for name, number in file.run.versions.items()))
    for study, heading in STUDIES.items():
        rows = [row for row in file.rows if row.study == study]
        if rows:
            console.print(_table(heading, rows))
    for claim in file.claims:
        verdict = judge_row(claim_of(claim.number), claim)
        console.print(f"{claim.problem}: {verdict.word}. {verdict.sentence}")


def _table(heading: str, rows: Sequence[Row]) -> Table:
    made = Table(title=heading, title_justify="left", header_style="bold")
    for name in _COLUMNS:
        number = name in ("time", "error", "steps", "launches", "waits")
        made.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        made.add_row(
            row.problem,
            row.method,
            row.device,
            formats.seconds(row.seconds),
            formats.error(row.error),
            formats.amount(row.steps),
            formats.amount(row.launches),
            formats.amount(row.waits),
            f"{row.status} {row.message}".strip(),
        )
    return made
