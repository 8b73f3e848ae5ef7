"""``Campaign``: tasks at work in processes, and the file that their rows go into as they come.

What the file holds already, by the same code on the same machine, is not measured again; each row
is on disk before anything else happens to it; and what the end of the time cuts off is left to the
next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .pool import Pool
from .row import ClaimRow, Row
from .rows import RowFile, RowWriter, read_rows, same_run, set_aside
from .task import Task
from .worker import make_workers


def standing_rows(
    path: Path,
    *,
    quick: bool,
    definition: str = "",
    anew: bool = False,
    say: Callable[[str], Any],
) -> RowFile:
    """What `path` holds that still stands; other rows are set aside, under another name.

    With `anew` nothing stands. `say` is told where rows were set aside; what is returned is empty
    then, and a new file is to be begun.
    """
    if path.exists() and not anew:
        found = read_rows(path)
        if same_run(found, quick, definition):
            return found
        say("the problem, the code, the machine or a version has changed since")
    if kept := set_aside(path):
        say(f"the rows that {path.name} held are kept in {kept}")
    return RowFile(path)


@dataclass(frozen=True)
class Progress:
    """What became of a task, with its rows so far.

    It ``began``; it was ``measured`` to its end; or it was ``cut off``, as the time for all was
    over.
    """

    kind: Literal["began", "measured", "cut off"]
    task: Task
    rows: Sequence[Any] = ()


class Campaign:
    """Processes at work, and the file of rows that is written meanwhile.

    It goes on with the rows of `standing`. There are no more processes than `jobs`, and one only
    where it is to be `alone`: on an accelerator two would fight for its memory.
    """

    def __init__(
        self,
        standing: RowFile,
        jobs: int,
        *,
        quick: bool,
        definition: str = "",
        alone: bool = False,
    ) -> None:
        anew = not standing.run.code
        self._writer = RowWriter(standing.path, anew=anew, quick=quick, definition=definition)
        self._pool = Pool(make_workers(jobs, alone=alone))

    def __len__(self) -> int:
        """The number of processes."""
        return len(self._pool)

    def __enter__(self) -> Campaign:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.__exit__(*exception)
        self._writer.__exit__(*exception)

    def measure(self, tasks: Iterable[Task | None]) -> Iterator[Progress]:
        """Do `tasks`, see :meth:`.pool.Pool.events`, and write down the rows that come of them."""
        heard: dict[int, list[Any]] = {}
        for event in self._pool.events(tasks):
            task = event.task
            if event.kind == "began":
                heard[id(task)] = []
                yield Progress("began", task)
                continue
            rows = heard[id(task)]
            if event.kind == "row":
                rows.append(event.row)
                if isinstance(event.row, Row | ClaimRow) and not _cut_off(event.row, task):
                    self._writer.row(event.row)
            elif any(isinstance(row, Row | ClaimRow) and _cut_off(row, task) for row in rows):
                yield Progress("cut off", task, rows)
            else:
                if any(isinstance(row, Row | ClaimRow) for row in rows):
                    self._writer.done(task.key)
                yield Progress("measured", task, rows)

    def add(self, rows: Iterable[Row]) -> None:
        """Write down rows that were not measured here, in place of those of the same place."""
        for row in rows:
            self._writer.row(row)

    def skip(self, task: Task, sentence: str) -> None:
        """Write down why a task is not tried."""
        for row in task.unmeasured([], "skipped", sentence):
            self._writer.row(row)
        self._writer.done(task.key)

    def end(self) -> None:
        """Write down that nothing is missing any more."""
        self._writer.end()


def _cut_off(row: Row | ClaimRow, task: Task) -> bool:
    """Whether it was the time for all that was over, and not the task's own."""
    return row.allowed_s is not None and row.allowed_s < 0.99 * task.timeout_s
