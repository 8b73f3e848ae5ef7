"""``adjointbench bench``: measure methods on problems, into a file of rows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .clusters import Cluster, telling_loss
from .output import INTERRUPTED, AsJson, print_json, refusing, say_beside

#: The variables by which a part of the suite is chosen; all that measures reads them.
_QUICK, _FULL = "ADJOINTBENCH_QUICK", "ADJOINTBENCH_FULL"


def bench(
    full: Annotated[
        bool | None,
        typer.Option(
            "--full/--quick",
            help="Every problem, method and tolerance: hours; or the quick part, the default: "
            "minutes.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file of rows; what it lacks is added. By default one a commit, in "
            ".asv/results/MACHINE, or .asv/results/cluster with --cluster.",
            show_default=False,
        ),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Measure all again; old rows are kept aside.")
    ] = False,
    cluster: Cluster = None,
    as_json: AsJson = False,
) -> None:
    """Measure methods on problems, the studies and the claims; 'adjointbench report' shows them.

    Every row is in OUT at once, and the same command goes on where it was stopped.

    Variables choose less, or other things: ADJOINTBENCH_PROBLEMS, _METHODS, _DEVICES, _CLAIMS and
    _SCALING take names or numbers between commas; _CHECKPOINTS, _LANES and _SDE are 0 or 1.

    For example:

        adjointbench bench
        adjointbench bench --full --out rows.jsonl
        ADJOINTBENCH_PROBLEMS=lorenz,pendulum adjointbench bench --full
        adjointbench bench --full --cluster tcp://10.0.0.1:8786
    """
    with refusing():
        from adjointbench.problems.files import checked_file
        from adjointbench.suite.collect import checked_rows, collect
        from adjointbench.suite.selection import selection

        _choose(full)
        chosen = selection()
        path, finished = _path(cluster)
        if out is not None:
            path, finished = checked_rows(checked_file("out", out)), False
        kept = f"what was measured is in {path}, and the same command goes on from there"
        try:
            with telling_loss(kept):
                again = anew or finished
                file = collect(chosen, path, anew=again, cluster=cluster, say=_say)
        except KeyboardInterrupt:
            say_beside(f"interrupted; {kept}")
            raise typer.Exit(INTERRUPTED) from None
    count = len(file.rows) + len(file.claims)
    if as_json:
        machines = sorted({row.machine or "" for row in (*file.rows, *file.claims)})
        print_json({"rows": str(path), "count": count, "machines": machines})
    else:
        print(f"{count} rows in {path}")


def _choose(full: bool | None) -> None:
    """Set the variables to what the options ask for; the quick part where nobody asks."""
    if full is not None:
        os.environ.pop(_FULL if not full else _QUICK, None)
    elif os.environ.get(_FULL, "0") not in ("", "0"):
        return
    os.environ[_FULL if full else _QUICK] = "1"


def _path(cluster: str | None) -> tuple[Path, bool]:
    """The file of rows where none is named, and whether it is finished."""
    from adjointbench.suite.measuring.rows import chosen_path

    return chosen_path(Path(".asv/results"), None if cluster is None else "cluster")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
