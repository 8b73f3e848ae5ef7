"""``Workplace``: where tasks are at work, and ``Pool``: this machine's, a :mod:`.worker` each.

The other workplace is a cluster, :mod:`adjointbench.suite.cluster.pool`.
"""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from .task import Task
from .worker import Worker, WorkerDied


@dataclass(frozen=True)
class Event:
    """What happened to a task: it ``began``, gave a ``row``, or is ``done``; and where.

    One that is ``lost`` begins again elsewhere: what its machine gave of it is void.
    """

    kind: Literal["began", "row", "done", "lost"]
    task: Task
    row: Any = None
    #: The machine as :func:`.machine.machine` describes it; ``None`` where that is this one.
    machine: Mapping[str, str] | None = None


class Workplace(Protocol):
    """Where tasks are measured: what a campaign asks of a pool of processes or of a cluster."""

    def __len__(self) -> int:
        """How many tasks can be at work at a time."""
        ...

    def __exit__(self, *exception: object) -> None:
        """Stop what is at work."""
        ...

    def events(self, tasks: Iterable[Task | None]) -> Iterator[Event]:
        """What happens to `tasks`, as it happens.

        Parameters
        ----------
        tasks : iterable of Task or None
            Asked for the next whenever there is room, after all that has happened was told; with
            ``None`` it is asked again when something else has happened.

        Yields
        ------
        Event
            Each task ends with ``"done"``.
        """
        ...


def measure_job(worker: Worker, job: Task) -> Iterator[Any]:
    """The rows of `job`, all that there should be whatever happens: a crash is a row too."""
    measured: list[Any] = []
    try:
        for row in worker.measure(job):
            measured.append(row)
            yield row
    except TimeoutError:
        yield from job.unmeasured(measured, "timeout", f"not done after {job.allowed_s:.3g} s")
    except WorkerDied as death:
        yield from job.unmeasured(measured, "failed", str(death))


class Pool:
    """Workers, and a thread for each that lives as long as they do.

    On Linux a measuring process ends with the *thread* that started it.
    """

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self._threads = ThreadPoolExecutor(max(len(workers), 1))
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in workers:
            self._idle.put(worker)

    def __len__(self) -> int:
        return len(self._workers)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def events(self, tasks: Iterable[Task | None]) -> Iterator[Event]:
        """What happens to `tasks`, see :meth:`Workplace.events`; they begin in their order."""
        events: queue.SimpleQueue[Event | Exception] = queue.SimpleQueue()
        source, working = iter(tasks), 0
        while True:
            while working < len(self) and (task := next(source, None)) is not None:
                self._threads.submit(self._work, task, events)
                working += 1
            if not working:
                return
            event = events.get()
            if isinstance(event, Exception):
                raise event
            working -= event.kind == "done"
            yield event

    def _work(self, task: Task, events: queue.SimpleQueue[Event | Exception]) -> None:
        worker = self._idle.get()
        try:
            events.put(Event("began", task))
            for row in measure_job(worker, task):
                events.put(Event("row", task, row))
            events.put(Event("done", task))
        except Exception as error:
            events.put(error)
        finally:
            self._idle.put(worker)
