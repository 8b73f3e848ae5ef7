"""Measure all the selected methods on all the selected problems into a file of rows.

On this machine, or on a cluster. It picks up where a run of the same code was cut off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .cluster import join
from .measuring.campaign import Campaign, Progress, standing_rows
from .measuring.ladder import in_words
from .measuring.rows import RowFile, read_rows
from .measuring.task import Task
from .selection import Selection


def collect(
    chosen: Selection,
    path: Path,
    *,
    anew: bool = False,
    cluster: str | None = None,
    say: Callable[[str], Any] = print,
) -> RowFile:
    """Measure what `path` does not hold yet, and read it all back.

    Parameters
    ----------
    chosen : Selection
        What to measure.
    path : Path
        The file of rows. One of other code, another machine or other versions is set aside.
    anew : bool
        Measure everything; a file that there is, is set aside.
    cluster : str, optional
        The scheduler of the cluster that measures, see :func:`adjointbench.suite.cluster.join`;
        this machine does where there is none.
    say : callable
        Gets one line a job.

    Returns
    -------
    RowFile

    Raises
    ------
    ClusterError
        Where there is no such cluster, or it cannot go on; what it has measured is in the file.
    """
    tasks = list(chosen.jobs())
    return collect_tasks(tasks, path, quick=chosen.quick, anew=anew, cluster=cluster, say=say)


def collect_tasks(
    tasks: Sequence[Task],
    path: Path,
    *,
    quick: bool,
    anew: bool,
    cluster: str | None = None,
    say: Callable[[str], Any],
) -> RowFile:
    """The same of tasks."""
    anywhere = cluster is not None
    standing = standing_rows(path, quick=quick, anew=anew, anywhere=anywhere, say=say)
    missing = [task for task in tasks if task.key not in standing.done]
    if standing.done:
        say(f"{len(tasks) - len(missing)} of {len(tasks)} are measured already in {path}")
    if missing or not standing.complete:
        alone = any(task.device != "cpu" for task in missing)
        place = None
        if cluster is not None and missing:
            place = join(cluster, say, measured=standing, one_at_a_time=alone)
        jobs = len(missing)
        with Campaign(standing, jobs, quick=quick, alone=alone, place=place) as campaign:
            start, finished = time.monotonic(), 0
            for progress in campaign.measure(missing):
                if progress.kind == "measured":
                    finished += 1
                    elapsed = time.monotonic() - start
                    say(_line(progress, finished, len(missing), elapsed))
            campaign.end()
    return read_rows(path)


def checked_rows(path: Path) -> Path:
    """`path`, where it is no file of something else than rows.

    Raises
    ------
    ValueError
        Where it is one, which would be lost.
    """
    if path.exists() and path.stat().st_size and not read_rows(path).runs:
        raise ValueError(f"out={str(path)!r} holds something else than rows; name another file")
    return path


def _line(progress: Progress, number: int, total: int, elapsed: float) -> str:
    """One line of progress: what was measured, how it ended, and how long it will take yet."""
    rest = elapsed / number * (total - number)
    task = progress.task
    what = f"{task.problem:26s} {task.method:34s} {in_words(progress.rows)}"
    what += f", on {progress.machine}" if progress.machine else ""
    return f"[{number:3d}/{total}] {what}  (~{rest:.0f} s left)"
