"""A grid of trainings on a cluster: a run by a measuring process, those of a seed on one machine.

A process writes rows and checkpoint into the folder of its run itself, so that the folder has to
lie on a file system that all workers share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..problems.files import checked_folder
from ..training.grid import grid_runs
from ..training.records import Epoch
from .cluster import join
from .training_task import Heard, TrainingTask

#: Seconds that one run may take: a month.
_LONGEST_S = 30 * 24 * 3600.0


def train_grid_on(
    cluster: str,
    task: str,
    *,
    out: Path,
    say: Callable[[str, Epoch], object],
    tell: Callable[[str, str], object],
    tell_all: Callable[[str], object],
    gradient_error: bool = False,
    **options: Any,
) -> list[Path]:
    """What :func:`adjointbench.training.train_grid` does, on a cluster.

    Parameters
    ----------
    cluster : str
        See :func:`adjointbench.suite.cluster.join`.
    task, out, say, tell, gradient_error, **options
        As there; paths among the options have to be absolute.
    tell_all : callable
        Is told who trains, and what is lost and begins again.

    Returns
    -------
    list of path
        The folders, in the order of their runs.

    Raises
    ------
    ValueError
        For arguments that make no sense, or where a folder holds another run: before any is
        trained.
    ClusterLostError
        Where the cluster cannot train, or no more.
    RuntimeError
        Where runs failed, in the end.
    """
    runs = grid_runs(task, out=out, **options)
    tasks = [
        TrainingTask(
            problem=f"{task}, seed {run.options['seed']}",
            method=run.name,
            timeout_s=_LONGEST_S,
            task=task,
            folder=str(run.folder.resolve()),
            options=run.options | {"gradient_error": gradient_error},
        )
        for run in runs
        if run.missing
    ]
    failed = _trained(cluster, out, tasks, say, tell, tell_all) if tasks else []
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}")
    return [run.folder for run in runs]


def _trained(
    cluster: str,
    out: Path,
    tasks: Sequence[TrainingTask],
    say: Callable[[str, Any], object],
    tell: Callable[[str, str], object],
    tell_all: Callable[[str], object],
) -> list[str]:
    """Train; the names of the runs that failed."""
    checked_folder("out", out)
    failed = []
    on_device = any(task.options.get("device", "cpu") != "cpu" for task in tasks)
    seen = str(out.resolve())
    with join(cluster, tell_all, seen=seen, one_at_a_time=on_device) as pool:
        for event in pool.events(tasks):
            if event.kind == "row":
                name, heard = event.task.method, event.row
                _pass_on(name, heard, say, tell)
                failed += [name] if heard.failed else []
    return failed


def _pass_on(
    name: str,
    heard: Heard,
    say: Callable[[str, Any], object],
    tell: Callable[[str, str], object],
) -> None:
    if heard.epoch:
        say(name, heard.epoch)
    elif heard.failed:
        tell(name, f"it failed: {heard.failed}")
    else:
        tell(name, heard.sentence)
