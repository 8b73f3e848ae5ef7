"""``adjointbench claims``: what people say about adjoints, with a verdict on each sentence."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .clusters import Cluster, telling_loss
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
    cluster: Cluster = None,
    as_json: AsJson = False,
) -> None:
    """Measure what people say about adjoints, and print a computed verdict on each sentence.

    Minutes for all. Where it was stopped, the same command goes on; rows that OUT holds of a
    finished run are kept under another name.

    For example:

        adjointbench claims --number 4,5,6
        adjointbench claims --out claims.jsonl
        adjointbench claims --full --cluster tcp://10.0.0.1:8786 --out claims.jsonl
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
        if read is not None and cluster is not None:
            refuse("--from measures nothing that --cluster could do; leave one of them out")
        with tempfile.TemporaryDirectory() as folder:
            path = read or Path(folder) / "claims.jsonl"
            if read is None:
                path = path if out is None else checked_file("out", out)
                _measure(keys, full, path, kept=out is not None, cluster=cluster)
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


def _measure(
    keys: tuple[str, ...], full: bool, path: Path, *, kept: bool, cluster: str | None
) -> None:
    """Measure into `path`, where an earlier run was cut off the rest; anything else is left alone.

    Rows of a finished run are set aside.
    """
    from adjointbench.suite.claims.tasks import claim_tasks
    from adjointbench.suite.collect import checked_rows, collect_tasks
    from adjointbench.suite.measuring.rows import read_rows

    finished = not checked_rows(path).exists() or read_rows(path).complete
    tasks = list(claim_tasks(keys, not full))
    say_beside(f"measuring {len(keys)} claims; each is told as it is done ...")
    goes_on = f"what was measured is in {path}, and the same command goes on from there"
    said = goes_on if kept else "nothing is kept without --out"
    try:
        with telling_loss(said):
            collect_tasks(
                tasks, path, quick=not full, anew=finished, cluster=cluster, say=say_beside
            )
    except KeyboardInterrupt:
        say_beside(f"interrupted; {said}")
        raise typer.Exit(INTERRUPTED) from None


def _cells(line: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(line[name]) for name in ("number", "claim", "verdict", "figure", "why"))
