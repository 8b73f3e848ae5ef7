"""Measure all the selected methods on all the selected problems into a file of rows.

``python -m adjointbench.suite.collect --out ROWS.jsonl`` shows its progress, takes the
selection from the environment (see :mod:`adjointbench.suite.selection`), and picks up where a
run of the same code was cut off.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .measuring.campaign import Campaign, Progress, standing_rows
from .measuring.ladder import in_words
from .measuring.rows import RowFile, chosen_path, read_rows
from .measuring.task import Task
from .selection import Selection, selection


def collect(
    chosen: Selection, path: Path, *, anew: bool = False, say: Callable[[str], Any] = print
) -> RowFile:
    """Measure what `path` does not hold yet, and read it all back.

    Parameters
    ----------
    chosen : Selection
        What to measure.
    path : Path
        The file of rows. One of other code, another machine or other versions is set aside.
    anew : bool
        Measure everything; a file that there is, is set aside.
    say : callable
        Gets one line a job.

    Returns
    -------
    RowFile
    """
    return collect_tasks(list(chosen.jobs()), path, quick=chosen.quick, anew=anew, say=say)


def collect_tasks(
    tasks: Sequence[Task], path: Path, *, quick: bool, anew: bool, say: Callable[[str], Any]
) -> RowFile:
    """The same of tasks."""
    standing = standing_rows(path, quick=quick, anew=anew, say=say)
    missing = [task for task in tasks if task.key not in standing.done]
    if standing.done:
        say(f"{len(tasks) - len(missing)} of {len(tasks)} are measured already in {path}")
    if missing or not standing.complete:
        alone = any(task.device != "cpu" for task in missing)
        with Campaign(standing, len(missing), quick=quick, alone=alone) as campaign:
            start, finished = time.monotonic(), 0
            for progress in campaign.measure(missing):
                if progress.kind == "measured":
                    finished += 1
                    elapsed = time.monotonic() - start
                    say(_line(progress, finished, len(missing), elapsed))
            campaign.end()
    return read_rows(path)


def _line(progress: Progress, number: int, total: int, elapsed: float) -> str:
    """One line of progress: what was measured, how it ended, and how long it will take yet."""
    rest = elapsed / number * (total - number)
    task = progress.task
    what = f"{task.problem:26s} {task.method:34s} {in_words(progress.rows)}"
    return f"[{number:3d}/{total}] {what}  (~{rest:.0f} s left)"


def main() -> str | None:
    """Command line: measure the selection of the environment; a sentence if it was stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=None, help="the file of rows; what it lacks is added to it"
    )
    parser.add_argument("--anew", action="store_true", help="measure all again; old rows are kept")
    arguments = parser.parse_args()
    path, anew = chosen_path(Path(".asv/results"))
    if arguments.out is not None:
        path, anew = arguments.out, False
    try:
        file = collect(selection(), path, anew=anew or arguments.anew)
    except KeyboardInterrupt:
        return (
            f"interrupted; what was measured is in {path}, and the same command goes on from there"
        )
    print(f"{len(file.rows) + len(file.claims)} rows in {path}")
    return None


if __name__ == "__main__":
    sys.exit(main())
