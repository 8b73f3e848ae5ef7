"""``ClusterPool``: tasks at work on the machines of a cluster, one group of them on one machine.

Times are compared within a problem, and mean nothing between two machines. So all that is measured
of a problem, or for a study, is measured on the machine that began with it. What was at work on a
machine that is lost begins once more on another.
"""

from __future__ import annotations

import contextlib
import json
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..measuring.pool import Event
from ..measuring.row import CLAIMS, Key, from_record
from ..measuring.rows import RowFile
from ..measuring.task import Task
from .attempt import Attempt
from .connection import Answer, Connection, Ended, Told, reason
from .members import Member, Members

#: Seconds that are waited for something to happen before members are looked after.
_TICK_S = 0.5

#: Seconds that are waited for all members, so that what was begun on one goes on there.
_ALL_S = 20.0

#: How often a task is begun.
_TRIES = 2


def join(
    place: str,
    say: Callable[[str], Any],
    *,
    measured: RowFile | None = None,
    seen: str = "",
    alone: bool = False,
    one_at_a_time: bool = False,
) -> ClusterPool:
    """The cluster whose scheduler is at `place`, when the first of its workers can measure.

    Parameters
    ----------
    place : str
        The address of the scheduler, or the file that it writes.
    say : callable
        Is told who measures, who is refused, and what is lost and begins again.
    measured : RowFile, optional
        What was measured before: each group goes on where it began, if that machine is at hand.
    seen : str
        A file that all workers have to see, on a file system that they share with this machine.
    alone : bool
        Take one machine only, that with most places: for a single problem.
    one_at_a_time : bool
        Let each machine measure one task at a time: on an accelerator two would fight for its
        memory.

    Raises
    ------
    ClusterError
        Where dask.distributed is not installed, nothing answers at `place`, or no worker can
        measure.
    """
    rows = [] if measured is None else [*measured.rows, *measured.claims]
    owners = {_group(row.key): row.machine for row in rows if row.machine is not None}
    connection = Connection(place)
    members = Members(
        connection,
        say,
        seen=seen,
        alone=alone,
        preferred=set(owners.values()),
        one_at_a_time=one_at_a_time,
    )
    pool = ClusterPool(connection, members, say, owners)
    try:
        pool.wait()
    except BaseException:
        pool.__exit__()
        raise
    return pool


def _group(key: Key) -> str:
    """What is measured on one machine along with a task, as its times are compared."""
    return key.study if key.study not in ("", CLAIMS) else key.problem


class ClusterPool:
    """Members of a cluster at work.

    Parameters
    ----------
    connection : Connection
    members : Members
    say : callable
        Is told what is lost and begins again.
    owners : mapping of str to str
        The machine on which each group was begun before.
    """

    def __init__(
        self,
        connection: Connection,
        members: Members,
        say: Callable[[str], Any],
        owners: Mapping[str, str],
    ) -> None:
        self._connection = connection
        self._members = members
        self._say = say
        self._owners = dict(owners)
        self._waiting: dict[str, deque[Task]] = {}
        self._again: deque[Task] = deque()
        self._attempts: dict[str, Attempt] = {}
        self._tries: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(member.places for member in self._members.here.values())

    @property
    def machines(self) -> list[str]:
        """The names of those who measure."""
        return sorted(self._members.here)

    def __enter__(self) -> ClusterPool:
        return self

    def __exit__(self, *exception: object) -> None:
        for attempt in self._attempts.values():
            attempt.future.release()
        self._connection.close()

    def wait(self) -> None:
        """Wait for the first member, and a moment for those that are there already.

        Raises
        ------
        ClusterLostError
            Where none can come.
        """
        until = time.monotonic() + _ALL_S
        while not self._members.here or (self._members.asked and time.monotonic() < until):
            for _ in self._look_after():
                pass
        self._members.settle()

    def events(self, tasks: Iterable[Task | None]) -> Iterator[Event]:
        """What happens to `tasks`, see :meth:`.measuring.pool.Workplace.events`.

        On each machine they begin in their order.

        Raises
        ------
        ClusterLostError
            Where the scheduler is gone, or all workers are.
        """
        source = iter(tasks)
        while True:
            asked = self._fill(source)
            if asked and not self._attempts and not self._again and not any(self._waiting.values()):
                return
            yield from self._look_after()

    def _fill(self, source: Iterator[Task | None]) -> bool:
        """Begin what there is room for; whether there was anybody to begin something."""
        for member in list(self._members.here.values()):
            while self._room(member) and (task := self._next(member, source)) is not None:
                future = self._connection.submit(task, member.address)
                self._attempts[future.key] = Attempt(task, member, future)
        return bool(self._members.here)

    def _room(self, member: Member) -> int:
        at_work = sum(attempt.member == member for attempt in self._attempts.values())
        return member.places - at_work

    def _next(self, member: Member, source: Iterator[Task | None]) -> Task | None:
        """The next task that is for a member; those on the way to it wait for their own."""
        if waiting := self._waiting.get(member.name):
            return waiting.popleft()
        while (task := self._unplaced(source)) is not None:
            owner = self._owners.get(_group(task.key), "")
            if owner not in self._members.here:
                owner = self._owners[_group(task.key)] = member.name
            if owner == member.name:
                return task
            self._waiting.setdefault(owner, deque()).append(task)
        return None

    def _unplaced(self, source: Iterator[Task | None]) -> Task | None:
        return self._again.popleft() if self._again else next(source, None)

    def _look_after(self) -> Iterator[Event]:
        """Hear what has happened, and take from members that are lost what they had."""
        for heard in self._heard():
            if isinstance(heard, Answer):
                self._members.hear(heard)
            elif isinstance(heard, Told):
                yield from self._told(heard)
            else:
                yield from self._ended(heard)
        self._members.look()
        yield from self._without_the_lost()

    def _heard(self) -> Iterator[Answer | Told | Ended]:
        """What has been heard: all, as a worker that is gone may have said something before."""
        heard = self._connection.heard
        with contextlib.suppress(queue.Empty):
            yield heard.get(timeout=_TICK_S)
            while True:
                yield heard.get_nowait()

    def _told(self, told: Told) -> Iterator[Event]:
        attempt = self._attempts.get(told.key)
        if attempt is None:
            return
        if told.ended is not None:
            if told.ended == len(attempt.texts):
                yield from self._done(attempt)
        elif told.number is not None:
            if told.number == len(attempt.texts):
                yield self._row(attempt, told.row)
        elif attempt.began is None:
            attempt.began = time.monotonic()
            yield Event("began", attempt.task, machine=attempt.member.machine)
        else:
            # dask itself has begun it again, in a new process under the same address
            yield from self._lost(attempt, "was started anew")

    def _ended(self, ended: Ended) -> Iterator[Event]:
        attempt = self._attempts.get(ended.key)
        if attempt is None:
            return
        try:
            rows = ended.fetch()
        except Exception as error:  # whatever it is, another worker may do better
            yield from self._lost(attempt, f"failed: {reason(error)}", counts=True)
            return
        if attempt.began is None:
            yield Event("began", attempt.task, machine=attempt.member.machine)
        for text in rows[len(attempt.texts) :]:
            yield self._row(attempt, text)
        yield from self._done(attempt)

    def _row(self, attempt: Attempt, text: str) -> Event:
        row = from_record(attempt.task.gives, json.loads(text))
        attempt.texts.append(text)
        attempt.rows.append(row)
        return Event("row", attempt.task, row, attempt.member.machine)

    def _done(self, attempt: Attempt) -> Iterator[Event]:
        self._forget(attempt)
        self._tries.pop(id(attempt.task), None)
        yield Event("done", attempt.task, machine=attempt.member.machine)

    def _forget(self, attempt: Attempt) -> None:
        del self._attempts[attempt.future.key]
        attempt.future.release()

    def _without_the_lost(self) -> Iterator[Event]:
        """Take note of members that are gone, and of those that do not answer."""
        for attempt in list(self._attempts.values()):
            if attempt.is_late:
                self._members.give_up(attempt.member)
                yield from self._lost(attempt, "has not answered in time")
            elif attempt.member not in self._members.here.values():
                yield from self._lost(attempt, "is gone")
        for name in set(self._waiting) - set(self._members.here):
            self._again.extend(self._waiting.pop(name))

    def _lost(self, attempt: Attempt, why: str, counts: bool = False) -> Iterator[Event]:
        """Have the task begun elsewhere, or say that it could not be measured.

        One that had not begun was only waiting there, unless it `counts` all the same.
        """
        task, member = attempt.task, attempt.member
        counts |= attempt.began is not None
        tries = self._tries[id(task)] = self._tries.get(id(task), 0) + counts
        lost = f"{member.name} ({member.address}) {why}"
        what = " ".join(filter(None, (task.problem, task.method)))
        if tries < _TRIES:
            self._forget(attempt)
            self._again.append(task)
            if counts:
                self._say(f"{lost}; {what} begins again elsewhere")
                yield Event("lost", task, machine=member.machine)
            return
        self._say(f"{lost}; {what} is not begun a third time")
        if attempt.began is None:
            yield Event("began", task, machine=member.machine)
        for row in task.unmeasured(attempt.rows, "failed", f"{lost}, as one before it"):
            yield Event("row", task, row, member.machine)
        yield from self._done(attempt)
