"""``adjointbench claims``: what people say about adjoints, with a verdict on each sentence."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .output import INTERRUPTED, AsJson, console, print_json, refuse, refusing, say_beside, table

_COLUMNS = ("no.", "what is said", "verdict", "figure \\[spread]", "why")


def claims(
    number: Annotated[
        str | None, typer.Option(help="Numbers between commas, as 4,5,R1; all by default.")
    ] = None,
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

    Minutes for all; rows that OUT holds from before are kept under another name.

    For example:

        adjointbench claims --number 4,5,6
        adjointbench claims --out claims.jsonl
        adjointbench claims --from claims.jsonl --json
    """
    with refusing(extra="report"):
        from adjointbench.problems.files import checked_file
        from adjointbench.reports.sections.claims import scorecard
        from adjointbench.reports.tables.read import read_measurements
        from adjointbench.suite.claims.tasks import chosen_claims

        keys = chosen_claims(number)
        if read is not None and out is not None:
            refuse("--from measures nothing that --out could hold; leave one of them out")
        with tempfile.TemporaryDirectory() as folder:
            path = read or Path(folder) / "claims.jsonl"
            if read is None:
                path = path if out is None else checked_file("out", out)
                _measure(keys, full, path, kept=out is not None)
            found = read_measurements([path])
        if read is not None and found.claims.empty:
            why = "; ".join(found.troubles) or "no rows of claims are in it"
            raise ValueError(f"from={str(read)!r}: {why}")
    for trouble in found.troubles:
        say_beside(trouble)
    shown = scorecard(found.claims).to_dict("records")
    lines = [line for line in shown if line["number"] in keys]
    if as_json:
        print_json(lines)
    else:
        console().print(table("Claims", _COLUMNS, [_cells(line) for line in lines]))


def _measure(keys: tuple[str, ...], full: bool, path: Path, *, kept: bool) -> None:
    """Measure into `path`; rows that it holds are set aside, anything else is left alone."""
    from adjointbench.suite.claims.tasks import claim_tasks
    from adjointbench.suite.collect import collect_tasks
    from adjointbench.suite.measuring.rows import read_rows

    if path.exists() and path.stat().st_size and not read_rows(path).run.code:
        raise ValueError(f"out={str(path)!r} holds something else than rows; name another file")
    tasks = list(claim_tasks(keys, not full))
    say_beside(f"measuring {len(keys)} claims; each is told as it is done ...")
    try:
        collect_tasks(tasks, path, quick=not full, anew=True, say=say_beside)
    except KeyboardInterrupt:
        said = f"what was measured is in {path}" if kept else "nothing is kept without --out"
        say_beside(f"interrupted; {said}")
        raise typer.Exit(INTERRUPTED) from None


def _cells(line: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(line[name]) for name in ("number", "claim", "verdict", "figure", "why"))
