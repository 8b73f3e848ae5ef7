"""The child process that measures: jobs come in, rows go out, one JSON object a line.

It can be killed when it hangs, and its death is a row of the table, not the end of the run. Before
it takes times it asks for silence and waits for the answer; then it says that the silence may end.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any, TextIO

#: What a job's ``task`` stands for: a generator of rows in ``suite``, called with the job as a
#: dictionary and what makes the silence in which times are taken.
TASKS = {
    "ladder": "measuring.measure:rows_of_job",
    "claims": "claims.tasks:rows_of_task",
    "certify": "own_problem.certification:rows_of_certificate",
    "probe": "own_problem.probe:rows_of_probe",
}


def main() -> None:
    """Measure the jobs of the standard input until it closes."""
    answers = _private_stdout()
    _die_with_parent()
    _pin(int(sys.argv[1]))

    @contextlib.contextmanager
    def silence() -> Iterator[None]:
        _answer(answers, {"silence": True})
        sys.stdin.readline()
        try:
            yield
        finally:
            _answer(answers, {"silence": False})

    for line in iter(sys.stdin.readline, ""):
        job = json.loads(line)
        module, function = TASKS[job["task"]].split(":")
        rows_of_job = getattr(importlib.import_module(f"..{module}", __package__), function)
        for row in rows_of_job(job, silence):
            _answer(answers, row)
        _answer(answers, None)


def _private_stdout() -> TextIO:
    """The pipe to the parent; whatever a library prints goes to the standard error instead."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _pin(core: int) -> None:
    """One core and one thread: methods are compared, not the number of cores."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def _die_with_parent() -> None:
    """A stopped process would otherwise outlive a parent that was killed, for ever."""
    if sys.platform == "linux":
        kill_on_death_of_parent = 1
        ctypes.CDLL(None).prctl(kill_on_death_of_parent, signal.SIGKILL)


def _answer(stream: TextIO, row: dict[str, Any] | None) -> None:
    stream.write(json.dumps(row, default=str) + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
