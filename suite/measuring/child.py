"""What runs in a measuring process: tasks come in, rows go out, one JSON object a line.

Its parent's side is :mod:`.worker`. It can be killed when it hangs, and its death is a row of the
table, not the end of the run. Before it takes times it asks for silence and waits for the answer;
then it says that the silence may end.
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

from .cores import usable_cores
from .row import from_record, to_record
from .task import Task

#: The tasks that there are, by their names: dataclasses in ``suite``.
TASKS = {
    "ladder": "measuring.job:Job",
    "lanes": "measuring.studies.ensembles:LanesTask",
    "sde": "measuring.studies.sde_task:SdeTask",
    "claims": "claims.tasks:ClaimTask",
    "certify": "own_problem.certification:Certificate",
    "probe": "own_problem.probe:Probe",
    "on_device": "gpu.on_device:OnDevice",
    "lanes on device": "gpu.lanes:Lanes",
    "sweep": "gpu.sweeps:Sweep",
    "stiffness": "own_problem.stiffness:LookStiff",
    "training": "training_task:TrainingTask",
}


def main() -> None:
    """Do the tasks of the standard input until it closes."""
    answers = _private_stdout()
    _die_with_parent()
    core, every = int(sys.argv[1]), usable_cores()

    @contextlib.contextmanager
    def silence() -> Iterator[None]:
        _answer(answers, {"silence": True})
        sys.stdin.readline()
        try:
            yield
        finally:
            _answer(answers, {"silence": False})

    for line in iter(sys.stdin.readline, ""):
        task = task_of(json.loads(line))
        # Beside an accelerator the host only compiles and launches: no core is compared.
        pin({core} if task.device == "cpu" else every)
        for row in task.rows(silence):
            _answer(answers, to_record(row))
        _answer(answers, None)


def task_of(record: dict[str, Any]) -> Task:
    """The task that a record of its fields and its name tells of."""
    module, name = TASKS[record["name"]].split(":")
    return from_record(getattr(importlib.import_module(f"..{module}", __package__), name), record)


def _private_stdout() -> TextIO:
    """The pipe to the parent; whatever a library prints goes to the standard error instead."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def pin(cores: set[int]) -> None:
    """These cores, and one thread: methods are compared, not the number of cores."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


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
