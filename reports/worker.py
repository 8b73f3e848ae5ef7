"""The child process that measures: jobs come in, rows go out, one JSON object a line.

It can be killed when it hangs, and its death is a row of the table, not the end of the run.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TextIO


def main() -> None:
    """Measure the jobs of the standard input until it closes."""
    answers = _private_stdout()
    _pin()
    from .. import problems
    from .measure import iterate_ladder

    for line in sys.stdin:
        job = json.loads(line)
        problem = problems.get(job["problem"], **job["settings"])
        for row in iterate_ladder(
            problem, job["method"], job["rtols"], device=job["device"], budget_s=job["budget_s"]
        ):
            _answer(answers, row)
        _answer(answers, None)


def _private_stdout() -> TextIO:
    """The pipe to the parent; whatever a library prints goes to the standard error instead."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _pin() -> None:
    """One core and one thread: methods are compared, not the number of cores."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _answer(stream: TextIO, row: dict | None) -> None:
    stream.write(json.dumps(row, default=str) + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
