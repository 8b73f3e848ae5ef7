"""``Campaign``: tasks at work in processes, and the file that their rows go into as they come.

What the file holds already, by the same code and on the same machine (or anywhere on a cluster), is
not measured again; each row is on disk before anything else happens to it; and what the end of the
time cuts off is left to the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .pool import Event, Pool, Workplace
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
    anywhere: bool = False,
    say: Callable[[str], Any],
) -> RowFile:
    """What `path` holds that still stands; other rows are set aside, under another name.

    With `anew` nothing stands; with `anywhere` rows of other machines do. `say` is told where rows
    were set aside; what is returned is empty then, and a new file is to be begun.
    """
    if path.exists() and not anew:
        found = read_rows(path)
        if same_run(found, quick, definition, anywhere=anywhere):
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
    #: The name of the machine, where that is not this one.
    machine: str = ""


class Campaign:
    """Processes at work, and the file of rows that is written meanwhile.

    It goes on with the rows of `standing`. On this machine there are no more processes than `jobs`,
    and one only where it is to be `alone`: on an accelerator two would fight for its memory. The
    work may be done at another `place`.
    """

    def __init__(
        self,
        standing: RowFile,
        jobs: int,
        *,
        quick: bool,
        definition: str = "",
        alone: bool = False,
        place: Workplace | None = None,
    ) -> None:
        self._writer = RowWriter(
            standing.path,
            anew=not standing.run.code,
            quick=quick,
            definition=definition,
            here=place is None,
        )
        self._pool: Workplace = Pool(make_workers(jobs, alone=alone)) if place is None else place
        self._machine: Mapping[str, str] | None = None
        self._partial = _partial(standing)

    def __len__(self) -> int:
        """The number of processes."""
        return len(self._pool)

    def __enter__(self) -> Campaign:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.__exit__(*exception)
        self._writer.__exit__(*exception)

    def measure(self, tasks: Iterable[Task | None]) -> Iterator[Progress]:
        """Do `tasks`, see :meth:`.pool.Workplace.events`, and write down the rows they give."""
        heard: dict[int, list[Any]] = {}
        for event in self._pool.events(tasks):
            task, self._machine = event.task, event.machine
            if event.kind == "lost":
                self._partial.setdefault(task.key, set()).add(_name(event))
            elif event.kind == "began":
                heard[id(task)] = []
                self._void_elsewhere(event)
                yield Progress("began", task, machine=_name(event))
            elif event.kind == "row":
                heard[id(task)].append(event.row)
                if isinstance(event.row, Row | ClaimRow) and not _cut_off(event.row, task):
                    self._writer.row(event.row, event.machine)
            else:
                yield self._ended(task, heard.pop(id(task)), _name(event))

    def _void_elsewhere(self, event: Event) -> None:
        """What another machine has measured of a task, and not to its end, is measured anew."""
        if event.machine is not None:
            for name in self._partial.pop(event.task.key, set()) - {_name(event)}:
                self._writer.moved(event.task.key, name)

    def _ended(self, task: Task, rows: Sequence[Any], machine: str) -> Progress:
        kept = [row for row in rows if isinstance(row, Row | ClaimRow)]
        if any(_cut_off(row, task) for row in kept):
            return Progress("cut off", task, rows, machine)
        if kept:
            self._writer.done(task.key)
        return Progress("measured", task, rows, machine)

    def add(self, rows: Iterable[Row]) -> None:
        """Write down rows that were not measured here, in place of those of the same place."""
        for row in rows:
            self._writer.row(row)

    def skip(self, task: Task, sentence: str) -> None:
        """Write down why a task is not tried."""
        for row in task.unmeasured([], "skipped", sentence):
            self._writer.row(row, self._machine)
        self._writer.done(task.key)

    def end(self) -> None:
        """Write down that nothing is missing any more."""
        self._writer.end()


def _partial(standing: RowFile) -> dict[Key, set[str]]:
    """The machines that have measured something of a task, and not all of it, by its key."""
    found: dict[Key, set[str]] = {}
    for row in standing.rows:
        if row.key not in standing.done and row.machine is not None:
            found.setdefault(row.key, set()).add(row.machine)
    return found


def _name(event: Event) -> str:
    return "" if event.machine is None else event.machine["machine"]


def _cut_off(row: Row | ClaimRow, task: Task) -> bool:
    """Whether it was the time for all that was over, and not the task's own."""
    return row.allowed_s is not None and row.allowed_s < 0.99 * task.timeout_s
