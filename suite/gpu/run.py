"""Measure the adjoints on an accelerator, within minutes, into a file of rows.

``python -m adjointbench.suite.gpu.run --device cuda --budget 8m`` runs from a checkout or
installed, on the JAX and the PyTorch that are there, or on one of them. Each row is on disk as it
is made; what the file holds already is not measured again, so that a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..measuring.budget import budget_seconds
from ..measuring.campaign import Campaign, standing_rows
from ..measuring.row import Row
from ..measuring.rows import RowFile, RowWriter, default_path, read_rows
from ..measuring.task import Task
from .parts import backend_of, parts
from .studies import STUDIES
from .table import line_of, tables

#: Seconds under which no part is begun.
LEAST_LEFT_S = 10.0

#: Both frameworks hold a process on the card: neither may take all of its memory at once.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def measure(
    device: str, path: Path, budget_s: float, say: Callable[[str], Any] = print
) -> tuple[RowFile, list[str]]:
    """Measure what `path` does not hold yet, as far as the time goes.

    Parameters
    ----------
    device : str
    path : Path
        The file of rows. One of other code, another machine or other versions is set aside.
    budget_s : float
        Seconds for everything.
    say : callable
        Gets a line a row.

    Returns
    -------
    RowFile
        All that the file holds.
    list of str
        What there was no time for.
    """
    deadline = time.monotonic() + budget_s
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    tasks = parts(device)
    standing = _begun(path, say)
    missing = [task for task in tasks if task.key not in standing.done]
    if len(missing) < len(tasks):
        say(f"{len(tasks) - len(missing)} of {len(tasks)} parts are measured already in {path}")
    left = _measure(missing, standing, deadline, say)
    return read_rows(path), left


def _begun(path: Path, say: Callable[[str], Any]) -> RowFile:
    """The file with what still stands in it; its first line is written where there is none."""
    standing = standing_rows(path, quick=False, say=say)
    if standing.run.code:
        return standing
    with RowWriter(path, anew=True, quick=False):
        pass
    return read_rows(path)


def _measure(
    tasks: Sequence[Task], standing: RowFile, deadline: float, say: Callable[[str], Any]
) -> list[str]:
    """Each task in the process of its framework, one at a time; the names of those left."""
    left = []
    with contextlib.ExitStack() as stack:
        campaigns = {
            backend: stack.enter_context(Campaign(standing, 1, quick=False, alone=True))
            for backend in sorted({backend_of(task) for task in tasks})
        }
        for task in tasks:
            name = f"{task.problem} {task.method}".strip()
            rest = deadline - time.monotonic()
            if rest <= LEAST_LEFT_S:
                left.append(name)
                continue
            for progress in campaigns[backend_of(task)].measure([replace(task, left_s=rest)]):
                for row in progress.rows:
                    say(line_of(row))
                if progress.kind == "cut off":
                    left.append(name)
        if not left:
            for campaign in list(campaigns.values())[:1]:
                campaign.end()
    return left


def main() -> str | None:
    """Command line: measure, print the tables; a sentence where nothing could be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to try the script")
    parser.add_argument("--budget", type=budget_seconds, default="8m", help="90, 90s, 8m, 1h")
    parser.add_argument("--out", type=Path, default=None, help="the file of rows")
    arguments = parser.parse_args()
    path = arguments.out or _default_path()
    try:
        file, left = measure(arguments.device, path, arguments.budget)
    except KeyboardInterrupt:
        return f"interrupted; what was measured is in {path}, and the next run goes on from there"
    tables(file)
    if left:
        print(f"\n{len(left)} parts were left; the same command goes on with them")
    print(f"\n{len(file.rows) + len(file.claims)} rows in {path}")
    return _trouble(file.rows, arguments.device)


def _default_path() -> Path:
    """Beside the rows of ``make bench``, which lack these."""
    usual = default_path(Path(".asv/results"))
    return usual.with_name(usual.name.replace("-rows", "-gpu-rows"))


def _trouble(rows: Sequence[Row], device: str) -> str | None:
    """That there is not one gradient, or that parts raised; ``None`` where all is well."""
    own = [row for row in rows if row.device == device and row.study in STUDIES]
    if not any(row.status == "ok" for row in own):
        said = next((row.message for row in own if row.message), "no part was begun")
        return f"nothing was measured on {device}: {said}"
    raised = [row for row in own if row.exception]
    if not raised:
        return None
    first = raised[0]
    return f"{len(raised)} parts broke, the first {first.problem} {first.method}: {first.message}"


if __name__ == "__main__":
    sys.exit(main())
