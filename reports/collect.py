"""Measure all the selected methods on all the selected problems into a file of rows.

``python -m adjointbench.reports.collect --out ROWS.jsonl`` shows its progress, takes the
selection from the environment (see :mod:`adjointbench.reports.selection`), and picks up where a
run of the same code was cut off.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .rows import Row, RowFile, RowWriter, chosen_path, read_rows, same_run
from .selection import Job, Selection, selection


class WorkerDied(Exception):
    """The measuring process ended before its job did."""


class Worker:
    """A measuring process that is started when needed and killed when it hangs."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115

    def measure(self, job: Job) -> Iterator[Row]:
        """The rows of `job` as they come.

        Raises
        ------
        TimeoutError
            Where the job's time is over; the process is killed.
        WorkerDied
            Where the process ended by itself.
        """
        process = self._start()
        deadline = time.monotonic() + job.timeout_s
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(job)) + "\n")
        process.stdin.flush()
        while True:
            answer = self._next(deadline)
            if answer is None:
                return
            yield answer

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._answers = queue.Queue()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "adjointbench.reports.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
            )
            threading.Thread(
                target=_forward, args=(self._process, self._answers), daemon=True
            ).start()
        return self._process

    def _next(self, deadline: float) -> Row | None:
        try:
            line = self._answers.get(timeout=max(deadline - time.monotonic(), 0.0))
        except queue.Empty:
            self.close()
            raise TimeoutError from None
        if line is None:
            raise WorkerDied(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        """How the process ended, and the last line that it wrote."""
        assert self._process is not None
        code = self._process.wait()
        self._process = None
        self._log.seek(0)
        lines = [line for line in self._log.read().splitlines() if line.strip()]
        last = lines[-1] if lines else "it wrote nothing"
        return f"the measuring process ended with exit status {code}: {last}"


def _forward(process: subprocess.Popen[str], answers: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        answers.put(line)
    answers.put(None)


def measure_job(worker: Worker, job: Job) -> Iterator[Row]:
    """The rows of `job`, one a tolerance whatever happens: a timeout or a crash is a row too."""
    missing = list(job.rtols)
    try:
        for row in worker.measure(job):
            missing.remove(row["rtol"])
            yield row
    except TimeoutError:
        reason = {"status": "timeout", "message": f"not done after {job.timeout_s:g} s"}
    except WorkerDied as death:
        reason = {"status": "failed", "message": str(death), "exception": True}
    else:
        return
    for rtol in missing:
        yield _about(job) | {"rtol": rtol} | reason


def _about(job: Job) -> Row:
    from ..adjoints.methods import get_method

    entry = get_method(job.method)
    return {
        "problem": job.problem,
        "method": job.method,
        "device": job.device,
        "family": entry.family,
        "backend": entry.backend,
        "phase": None,
    }


def collect(
    chosen: Selection, path: Path, *, anew: bool = False, say: Callable[[str], Any] = print
) -> RowFile:
    """Measure what `path` does not hold yet, and read it all back.

    Parameters
    ----------
    chosen : Selection
        What to measure.
    path : Path
        The file of rows. Rows of other code, another machine or other versions are dropped.
    anew : bool
        Measure everything, whatever the file holds.
    say : callable
        Gets one line a job.

    Returns
    -------
    RowFile
    """
    jobs = list(chosen.jobs())
    before = read_rows(path) if path.exists() and not anew else None
    if before is not None and not same_run(before, chosen.quick):
        before = None
    done = before.done if before is not None else set()
    missing = [job for job in jobs if job.key not in done]
    if done:
        say(f"{len(jobs) - len(missing)} of {len(jobs)} are measured already in {path}")
    if missing or before is None or not before.complete:
        _measure_all(missing, RowWriter(path, anew=before is None, quick=chosen.quick), say)
    return read_rows(path)


def _measure_all(jobs: list[Job], writer: RowWriter, say: Callable[[str], Any]) -> None:
    worker = Worker()
    start = time.monotonic()
    try:
        for number, job in enumerate(jobs, 1):
            rows = []
            for row in measure_job(worker, job):
                writer.row(row)
                rows.append(row)
            writer.done(*job.key)
            say(_line(number, len(jobs), job, rows, time.monotonic() - start))
    finally:
        worker.close()
    writer.end()


def _line(number: int, total: int, job: Job, rows: list[Row], elapsed: float) -> str:
    """One line of progress: what was measured, how it ended, and how long it will take yet."""
    statuses = [row["status"] for row in rows]
    outcome = ", ".join(f"{statuses.count(s)} {s}" for s in dict.fromkeys(statuses))
    errors = [row["error"] for row in rows if row.get("error") is not None]
    if errors:
        outcome += f", error {max(errors):.0e} … {min(errors):.0e}"
    rest = elapsed / number * (total - number)
    return (
        f"[{number:3d}/{total}] {job.problem:18s} {job.method:28s} {outcome}  (~{rest:.0f} s left)"
    )


def main() -> None:
    """Command line: measure the selection of the environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=None, help="the file of rows")
    parser.add_argument("--anew", action="store_true", help="measure everything again")
    arguments = parser.parse_args()
    path, anew = chosen_path(Path(".asv/results"))
    if arguments.out is not None:
        path, anew = arguments.out, arguments.out.exists() and read_rows(arguments.out).complete
    file = collect(selection(), path, anew=anew or arguments.anew)
    print(f"{len(file.rows)} rows in {path}")


if __name__ == "__main__":
    main()
