"""Several tasks at work at a time, each on a measuring process of its own."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from .process import Task, Worker, WorkerDied
from .rows import Row


@dataclass(frozen=True)
class Event:
    """What happened to a task: it ``began``, gave a ``row``, is ``done``, or was ``left`` alone.

    The task of an event is the one that was asked for, whatever time it was given.
    """

    kind: Literal["began", "row", "done", "left"]
    task: Task
    row: Row | None = None


#: Takes a task that would be next; returns it with the time that it may take, or ``None`` where
#: there is no time left for it.
Admit = Callable[[Task], Task | None]


def measure_job(worker: Worker, job: Task) -> Iterator[Row]:
    """The rows of `job`, all that there should be whatever happens: a crash is a row too."""
    measured: list[Row] = []
    try:
        for row in worker.measure(job):
            measured.append(row)
            yield row | _study(job)
    except TimeoutError:
        reason = {
            "status": "timeout",
            "message": f"not done after {job.timeout_s:.3g} s",
            "allowed_s": job.timeout_s,
        }
    except WorkerDied as death:
        reason = {"status": "failed", "message": str(death), "exception": True}
    else:
        return
    for about in job.unmeasured(measured):
        yield about | reason | _study(job)


def _study(job: Task) -> Row:
    return {"study": job.study} if job.study else {}


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
