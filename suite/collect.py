"""Measure all the selected methods on all the selected problems into a file of rows.

``python -m adjointbench.suite.collect --out ROWS.jsonl`` shows its progress, takes the
selection from the environment (see :mod:`adjointbench.suite.selection`), and picks up where a
run of the same code was cut off.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .measuring.ladder import in_words
from .measuring.pool import Event, Pool
from .measuring.process import Task, key_of, make_workers
from .measuring.rows import Row, RowFile, RowWriter, chosen_path, read_rows, same_run, set_aside
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
    jobs = list(chosen.jobs())
    before = read_rows(path) if path.exists() and not anew else None
    if before is not None and not same_run(before, chosen.quick):
        before = None
    done = before.done if before is not None else set()
    missing = [job for job in jobs if key_of(job) not in done]
    if done:
        say(f"{len(jobs) - len(missing)} of {len(jobs)} are measured already in {path}")
    if before is None and (kept := set_aside(path)):
        say(f"the rows that {path.name} held are kept in {kept}")
    if missing or before is None or not before.complete:
        with RowWriter(path, anew=before is None, quick=chosen.quick) as writer:
            measure_all(missing, writer, say)
    return read_rows(path)


def measure_all(jobs: Sequence[Task], writer: RowWriter, say: Callable[[str], Any]) -> None:
    """Measure and write: each row on disk before anything else happens to it."""
    rows: dict[tuple[str, ...], list[Row]] = {key_of(job): [] for job in jobs}
    finished, start = 0, time.monotonic()
    for event in _events_of_all(jobs):
        job = event.task
        if event.row is not None:
            writer.row(event.row)
            rows[key_of(job)].append(event.row)
        elif event.kind == "done":
            writer.done(*key_of(job))
            finished += 1
            say(_line(finished, len(jobs), job, rows[key_of(job)], time.monotonic() - start))
    writer.end()


def _events_of_all(jobs: Sequence[Task]) -> Iterator[Event]:
    """What happens to all jobs, several at work; one alone on an accelerator."""
    workers = make_workers(len(jobs), alone=any(job.device != "cpu" for job in jobs))
    with Pool(workers) as pool:
        yield from pool.events(jobs)


def _line(number: int, total: int, job: Task, rows: list[Row], elapsed: float) -> str:
    """One line of progress: what was measured, how it ended, and how long it will take yet."""
    rest = elapsed / number * (total - number)
    what = f"{job.problem:26s} {job.method:34s} {in_words(rows)}"
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
    print(f"{len(file.rows)} rows in {path}")
    return None


if __name__ == "__main__":
    sys.exit(main())
