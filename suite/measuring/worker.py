"""``Worker``: the handle on one measuring process, and the silence in which one takes its times.

A process has a core of its own, is killed when it hangs, and is never timed while another works.
What runs in it is :mod:`.child`; several at work are a :mod:`.pool`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .cores import usable_cores
from .row import from_record
from .shared_programs import FOLDER
from .task import Task

#: What starts a measuring process; the number of its core is added.
COMMAND = (sys.executable, "-m", "adjointbench.suite.measuring.child")

#: One thread, and nothing from an earlier run: what is compiled is compiled where it is measured.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1",
}

#: What is not passed on: programs that JAX has kept, as compiling is measured, and what a worker of
#: dask sets for its own memory.
NOT_PASSED_ON = ("JAX_COMPILATION_CACHE_DIR", "MALLOC_TRIM_THRESHOLD_")

#: Compilation takes most of the time and is shared by cores; more processes only cost memory.
MOST_WORKERS = 4

#: Seconds; nobody looks at the clock more often.
_SHORTEST_WAIT = 0.01


class WorkerDied(Exception):
    """The measuring process ended before its job did."""


class Silence:
    """Lets one worker at a time take its times, the others stopped meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.workers: list[Worker] = []

    @contextlib.contextmanager
    def around(self, timed: Worker) -> Iterator[None]:
        """Stop all workers but `timed`."""
        with self._lock:
            others = [worker for worker in self.workers if worker is not timed]
            for worker in others:
                worker.pause()
            try:
                yield
            finally:
                for worker in others:
                    worker.go_on()


class Worker:
    """A measuring process on one core, started when needed."""

    def __init__(self, silence: Silence, core: int = 0) -> None:
        self._silence = silence
        self._core = core
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread()
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._paused_s = 0.0
        self._paused_since: float | None = None
        handle, name = tempfile.mkstemp(prefix="adjointbench-", suffix=".log")
        os.close(handle)
        self._log = Path(name)
        silence.workers.append(self)

    def measure(self, job: Task) -> Iterator[Any]:
        """The rows of `job` as they come, of the type that it gives.

        Raises
        ------
        TimeoutError
            Where the job's time is over; the process is killed.
        WorkerDied
            Where the process ended by itself.
        """
        deadline = self._clock() + job.allowed_s
        self.start()
        self._send(job.record())
        with contextlib.ExitStack() as silence:
            while (answer := self._next(deadline)) is not None:
                if "silence" not in answer:
                    yield from_record(job.gives, answer)
                elif answer["silence"]:
                    silence.enter_context(self._silence.around(self))
                    self._send({})
                else:
                    silence.close()

    def pause(self) -> None:
        """Stop the process, and the clock of its job."""
        self._paused_since = time.monotonic()
        self.signal("SIGSTOP")

    def go_on(self) -> None:
        """Let the process and its clock run again."""
        self.signal("SIGCONT")
        since, self._paused_since = self._paused_since, None
        self._paused_s += 0.0 if since is None else time.monotonic() - since

    def _clock(self) -> float:
        """Seconds, those left out in which the process was stopped for others."""
        since = self._paused_since
        now = time.monotonic() if since is None else since
        return now - self._paused_s

    def signal(self, name: str) -> None:
        """Send the signal called `name`, if there is a process and the system knows it."""
        process, number = self._process, getattr(signal, name, None)
        if process is not None and number is not None:
            process.send_signal(number)

    def close(self) -> None:
        """End the process, and remove its log."""
        self._stop()
        self._log.unlink(missing_ok=True)

    def start(self) -> None:
        """Start the process, unless it runs; the first task does so by itself."""
        if self._process is not None:
            return
        self._answers = queue.Queue()
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*COMMAND, str(self._core)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=_environment(),
                # Ctrl-C is for the parent, which ends the others: no dying process is measured.
                start_new_session=True,
            )
        self._reader = threading.Thread(
            target=_forward, args=(self._process, self._answers), daemon=True
        )
        self._reader.start()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died: the end of its answers will tell
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def _stop(self) -> int:
        """Kill the process if it still lives; its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.kill()
        self._reader.join()
        with contextlib.suppress(BrokenPipeError), process:
            return process.wait()
        return process.wait()

    def _next(self, deadline: float) -> dict[str, Any] | None:
        while True:
            left = deadline - self._clock()
            try:
                line = self._answers.get(timeout=max(left, _SHORTEST_WAIT))
                break
            except queue.Empty:
                if deadline <= self._clock():
                    self._stop()
                    raise TimeoutError from None
        if line is None:
            raise WorkerDied(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        """How the process ended, and the last line that it wrote."""
        code = self._stop()
        lines = self._log.read_text(errors="replace").splitlines()
        last = next((line for line in reversed(lines) if line.strip()), "it wrote nothing")
        return f"the measuring process ended with exit status {code}: {last}"


def make_workers(jobs: int, *, alone: bool = False) -> list[Worker]:
    """A worker for each core that may be used, and no more than there are jobs.

    Parameters
    ----------
    jobs : int
    alone : bool
        One worker only: on an accelerator two would fight for its memory.
    """
    _programs_folder()  # before their threads ask for it
    cores = sorted(usable_cores(), reverse=True)
    count = 1 if alone or not hasattr(signal, "SIGSTOP") else min(len(cores), MOST_WORKERS, jobs)
    silence = Silence()
    return [Worker(silence, core) for core in cores[: max(count, 1)]]


def _environment() -> dict[str, str]:
    """Of a measuring process."""
    kept = {k: v for k, v in os.environ.items() if k not in NOT_PASSED_ON}
    return kept | ENVIRONMENT | {FOLDER: _programs_folder()}


@functools.cache
def _programs_folder() -> str:
    """Where measuring processes keep the programs that they share, until this process ends."""
    folder = tempfile.mkdtemp(prefix="adjointbench-programs-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _forward(process: subprocess.Popen[str], answers: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        answers.put(line)
    answers.put(None)
