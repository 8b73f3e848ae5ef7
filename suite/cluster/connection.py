"""The connection to a cluster of dask.distributed: which workers there are, and what they are told.

The only module that imports the package, and only when a cluster is asked for.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...problems.installing import how_to_install
from ..measuring.task import Task
from . import on_worker

#: Seconds until it is given up to find the scheduler, and to fetch what a task has returned.
_CONNECT_S, _FETCH_S = 20.0, 30.0


class ClusterError(ValueError):
    """There is no cluster that can be used; the sentence says why, and what to do."""


class ClusterLostError(ClusterError):
    """A cluster cannot go on; the sentence says why."""


@dataclass(frozen=True)
class Answer:
    """What a worker says of itself, see :func:`.on_worker.describe`, or why it says nothing."""

    address: str
    about: Mapping[str, Any] | None
    why_not: str = ""


@dataclass(frozen=True)
class Told:
    """What a task says as it goes: that it began, its row of that `number`, or how many it gave."""

    key: str
    number: int | None = None
    row: str = ""
    ended: int | None = None


@dataclass(frozen=True)
class Ended:
    """That a task has ended; all of its rows are to be fetched, or the error that it ended with."""

    key: str
    fetch: Callable[[], list[str]]


class Connection:
    """A client of the scheduler; what it hears goes into :attr:`heard`.

    Parameters
    ----------
    place : str
        The address of the scheduler, as ``tcp://10.0.0.1:8786``, or the file that it writes.

    Raises
    ------
    ClusterError
        Where dask.distributed is not installed, or nothing answers there.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.heard: queue.SimpleQueue[Answer | Told | Ended] = queue.SimpleQueue()
        self._topic = f"adjointbench-{uuid.uuid4().hex}"
        self._client = _connected(place)
        self._client.subscribe_topic(self._topic, self._hear)

    def workers(self) -> set[str]:
        """The addresses of the workers that there are.

        Raises
        ------
        ClusterLostError
            Where the scheduler is gone.
        """
        if self._client.status == "running":
            try:
                return set(self._client.scheduler_info()["workers"])
            except OSError:
                pass
        raise ClusterLostError(f"the scheduler at {self.place} is gone")

    def ask(self, address: str, seen: str) -> None:
        """Have a worker describe itself, in its time: see :func:`.on_worker.describe`."""
        threading.Thread(target=self._ask, args=(address, seen), daemon=True).start()

    def submit(self, task: Task, address: str) -> Any:
        """Begin a task on a worker; the future, whose ``key`` is that of what is heard of it."""
        key = f"{self._topic}-{uuid.uuid4().hex}"
        future = self._client.submit(
            on_worker.measure,
            json.dumps(task.record(), default=str),
            self._topic,
            key,
            key=key,
            workers=[address],
            pure=False,
        )
        future.add_done_callback(self._end)
        return future

    def close(self) -> None:
        """Leave; what was begun is ended by the workers, as nobody wants it any more."""
        self._client.close(timeout=2)

    def _hear(self, event: tuple[float, Mapping[str, Any]]) -> None:
        told = event[1]
        number, row, ended = told.get("number"), told.get("row", ""), told.get("ended")
        self.heard.put(Told(told["key"], number, row, ended))

    def _ask(self, address: str, seen: str) -> None:
        try:
            told = self._client.run(on_worker.describe, seen, workers=[address])
            self.heard.put(Answer(address, told[address]))
        except Exception as error:
            self.heard.put(Answer(address, None, reason(error)))

    def _end(self, future: Any) -> None:
        if future.status in ("finished", "error"):
            self.heard.put(Ended(future.key, lambda: future.result(timeout=_FETCH_S)))


def _connected(place: str) -> Any:
    try:
        from distributed import Client
    except ModuleNotFoundError as missing:
        raise ClusterError(
            f"--cluster needs dask.distributed, and {missing.name} is not installed; "
            f"{how_to_install('cluster')}"
        ) from None
    # What it says of lost connections is said here, in a sentence.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    where: dict[str, Any] = {"scheduler_file" if Path(place).is_file() else "address": place}
    try:
        return Client(**where, timeout=_CONNECT_S, set_as_default=False, name="adjointbench")
    except (OSError, ValueError, KeyError) as error:
        raise ClusterError(
            f"cluster={place!r}: no scheduler answers there ({reason(error)}); pass its address, "
            "as tcp://10.0.0.1:8786, or the file that it writes"
        ) from None


def reason(error: BaseException) -> str:
    """What an exception says, in one line."""
    return next(iter(f"{type(error).__name__}: {error}".splitlines()), "")
