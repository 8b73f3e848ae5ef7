"""``Campaign``: tasks at work in processes, and the file that their rows go into as they come.

What the file holds already, by the same code on the same machine, is not measured again; each row
is on disk before anything else happens to it; and what the end of the time cuts off is left to the
next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .pool import Admit, Pool
from .row import ClaimRow, Key, Row
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

    It ``began``; it was ``measured`` to its end; it was ``cut off``, as the time for all was over;
    or it was ``left`` alone, as no time was left for it.
    """

    kind: Literal["began", "measured", "cut off", "left"]
    task: Task
    rows: Sequence[Row | ClaimRow] = ()


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
        self.pool = Pool(make_workers(jobs, alone=alone))

    def __enter__(self) -> Campaign:
        return self

    def __exit__(self, *exception: object) -> None:
        self.pool.__exit__(*exception)
        self._writer.__exit__(*exception)

    def measure(
        self, tasks: Sequence[Task], admit: Admit = lambda task: task
    ) -> Iterator[Progress]:
        """Measure `tasks`, and write down what comes of them."""
        heard: dict[Key, list[Row | ClaimRow]] = {task.key: [] for task in tasks}
        for event in self.pool.events(tasks, admit):
            rows = heard[event.task.key]
            if event.row is not None:
                rows.append(event.row)
                if not _cut_off(event.row, event.task):
                    self._writer.row(event.row)
            elif event.kind == "began" or event.kind == "left":
                yield Progress(event.kind, event.task)
            elif any(_cut_off(row, event.task) for row in rows):
                yield Progress("cut off", event.task, rows)
            else:
                self._writer.done(event.task.key)
                yield Progress("measured", event.task, rows)

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
