"""``adjointbench claims``: what people say about adjoints, with a verdict on each sentence."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .output import AsJson, console, print_json, refusing, table

_COLUMNS = ("no.", "what is said", "verdict", "figure \\[spread]", "why")


def claims(
    number: Annotated[
        str, typer.Option(help="Numbers between commas, as 4,5,R1; all by default.")
    ] = "",
    full: Annotated[bool, typer.Option("--full", help="More sizes, seeds and repeats.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="The file of rows to write, for 'adjointbench report'.")
    ] = None,
    read: Annotated[
        Path | None, typer.Option("--from", help="Show the rows of this file; measure nothing.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure what people say about adjoints, and print a computed verdict on each sentence.

    For example:

        adjointbench claims --number 4,5,6
        adjointbench claims --out claims.jsonl
        adjointbench claims --from claims.jsonl --json
    """
    with refusing(extra="report"):
        from adjointbench.reports.sections.claims import scorecard
        from adjointbench.reports.tables.read import read_measurements
        from adjointbench.suite.claims.tasks import chosen_claims

        keys = chosen_claims(number or None)
        with tempfile.TemporaryDirectory() as folder:
            path = read or out or Path(folder) / "claims.jsonl"
            if read is None:
                _measure(keys, full, path)
            found = read_measurements([path])
    for trouble in found.troubles:
        _say(trouble)
    shown = scorecard(found.claims).to_dict("records")
    lines = [line for line in shown if line["number"] in keys]
    if as_json:
        print_json(lines)
    else:
        console().print(table("Claims", _COLUMNS, [_cells(line) for line in lines]))


def _measure(keys: tuple[str, ...], full: bool, path: Path) -> None:
    from adjointbench.suite.claims.tasks import claim_tasks
    from adjointbench.suite.collect import collect_tasks

    path.unlink(missing_ok=True)
    collect_tasks(list(claim_tasks(keys, not full)), path, quick=not full, anew=True, say=_say)


def _cells(line: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(line[name]) for name in ("number", "claim", "verdict", "figure", "why"))


def _say(text: str) -> None:
    print(text, file=sys.stderr)
