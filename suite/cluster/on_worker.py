"""What runs in a worker of dask: it describes itself, and hands tasks to measuring processes.

They are those that measure on one machine, too: :mod:`adjointbench.suite.measuring.child`. A worker
has as many as threads, each on a core of its own, and their times are taken in silence.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..measuring.child import task_of
from ..measuring.code_key import code_hash
from ..measuring.machine import machine, versions
from ..measuring.pool import measure_job
from ..measuring.row import to_record
from ..measuring.worker import Worker, make_workers

#: Seconds between two looks at whether a task is still wanted.
_LOOK_S = 0.5

#: How dask calls a task that runs, and is wanted.
_WANTED = frozenset({"executing", "long-running"})


def describe(seen: str, dask_worker: Any) -> dict[str, Any]:
    """Code, versions and machine of a worker, how many tasks it measures at a time.

    Also whether it sees the file `seen`, on a file system that it shares with who asks.
    """
    return {
        "code": code_hash(),
        "versions": versions(),
        "machine": machine(),
        "places": _bench(dask_worker.state.nthreads).places,
        "sees": not seen or Path(seen).exists(),
    }


def measure(record: str, topic: str, key: str) -> list[str]:
    """Measure the task of a JSON `record`; its rows as JSON, each told on `topic` as it comes.

    Before the first it is told that the task began, after the last how many there were.
    """
    from distributed import get_worker

    dask_worker = get_worker()
    task, rows = task_of(json.loads(record)), []
    with _borrowed(dask_worker.state.nthreads) as process, _while_wanted(process, dask_worker, key):
        dask_worker.log_event(topic, {"key": key})
        for row in measure_job(process, task):
            text = json.dumps(to_record(row), default=str)
            dask_worker.log_event(topic, {"key": key, "number": len(rows), "row": text})
            rows.append(text)
        dask_worker.log_event(topic, {"key": key, "ended": len(rows)})
    return rows


@contextlib.contextmanager
def _borrowed(threads: int) -> Iterator[Worker]:
    """A measuring process that is idle; there is one for each task that a client may ask for."""
    idle = _bench(threads).idle
    process = idle.get()
    try:
        yield process
    except BaseException:
        process.close()  # what it has yet to say is not for the next task
        raise
    finally:
        idle.put(process)


class _Bench:
    """The measuring processes of this worker, and those of them that are idle."""

    def __init__(self, threads: int) -> None:
        processes = make_workers(threads)
        self.places = len(processes)
        self.idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for process in processes:
            self.idle.put(process)
            atexit.register(process.close)  # and with it its log


def _bench(threads: int) -> _Bench:
    with _MAKING:
        return _made(threads)


_made = functools.cache(_Bench)
_MAKING = threading.Lock()


@contextlib.contextmanager
def _while_wanted(process: Worker, dask_worker: Any, key: str) -> Iterator[None]:
    """End the process when nobody waits for the task any more: dask itself lets it run."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_LOOK_S):
            known = dask_worker.state.tasks.get(key)
            if known is None or known.state not in _WANTED:
                process.signal("SIGKILL")
                return

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
