"""``Pool``: several tasks at work at a time, each on a :mod:`.worker` of its own."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from .task import Task
from .worker import Worker, WorkerDied


@dataclass(frozen=True)
class Event:
    """What happened to a task: it ``began``, gave a ``row``, is ``done``, or was ``left`` alone.

    The task of an event is the one that was asked for, whatever time it was given.
    """

    kind: Literal["began", "row", "done", "left"]
    task: Task
    row: Any = None


#: Takes a task that would be next; returns it with the time that it may take, or ``None`` where
#: there is no time left for it.
Admit = Callable[[Task], Task | None]


def measure_job(worker: Worker, job: Task) -> Iterator[Any]:
    """The rows of `job`, all that there should be whatever happens: a crash is a row too."""
    measured: list[Any] = []
    try:
        for row in worker.measure(job):
            measured.append(row)
            yield row
    except TimeoutError:
        yield from job.unmeasured(measured, "timeout", f"not done after {job.timeout_s:.3g} s")
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

    def events(self, tasks: Sequence[Task], admit: Admit = lambda task: task) -> Iterator[Event]:
        """What happens to `tasks`, as it happens; they begin in their order.

        Parameters
        ----------
        tasks : sequence of Task
        admit : callable
            Asked just before a task begins.

        Yields
        ------
        Event
            Each task ends with ``"done"`` or ``"left"``.
        """
        events: queue.SimpleQueue[Event | Exception] = queue.SimpleQueue()
        for task in tasks:
            self._threads.submit(self._work, task, admit, events)
        missing = len(tasks)
        while missing:
            event = events.get()
            if isinstance(event, Exception):
                raise event
            missing -= event.kind in ("done", "left")
            yield event

    def _work(self, task: Task, admit: Admit, events: queue.SimpleQueue[Event | Exception]) -> None:
        worker = self._idle.get()
        try:
            admitted = admit(task)
            if admitted is None:
                events.put(Event("left", task))
                return
            events.put(Event("began", task))
            for row in measure_job(worker, admitted):
                events.put(Event("row", task, row))
            events.put(Event("done", task))
        except Exception as error:
            events.put(error)
        finally:
            self._idle.put(worker)
