"""``train_grid``: several regularisers, adjoints and seeds, one folder a run.

``grid_runs`` is the same as a list: which runs there are, and which of them have yet to be trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from .records import Epoch
from .run_folder import standing
from .settings import RunSettings, run_settings
from .train import train


def train_grid(
    task: str,
    *,
    out: str | Path,
    regularizers: Sequence[str] = ("none", "error"),
    adjoints: Sequence[str] = ("discrete",),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    say: Callable[[str, Epoch], object] | None = None,
    tell: Callable[[str, str], object] | None = None,
    gradient_error: bool = False,
    **options: Any,
) -> list[Path]:
    """Train all combinations; what is finished is left alone, what was interrupted goes on.

    Seeds come outermost, so that the runs that are compared with each other follow each other.

    Parameters
    ----------
    task : str
    out : path
        Gets a folder for each run: ``TASK/BACKEND-ADJOINT/REGULARIZER/seed0``.
    regularizers : sequence of str
        ``"none"`` or names of :class:`~adjointbench.Regularizer`, with coefficients of their own
        after an equals sign if wanted: ``"error=10:1"``, ``"error+stiffness=10:1 0.01"``.
    adjoints : sequence of str
    seeds : sequence of int
    say : callable, optional
        ``say(name, row)`` as epochs end.
    tell : callable, optional
        ``tell(name, sentence)``, as for :func:`~adjointbench.training.train`.
    gradient_error : bool
        As there.
    **options
        See :func:`~adjointbench.training.settings.run_settings`.

    Returns
    -------
    list of path
        The folders, in the order of their runs.

    Raises
    ------
    ValueError
        For arguments that make no sense, or where a folder holds another run: before any is
        trained.
    """
    runs = grid_runs(
        task, out=out, regularizers=regularizers, adjoints=adjoints, seeds=seeds, **options
    )
    for run in runs:
        if run.missing:
            train(
                task,
                out=run.folder,
                resume=True,
                gradient_error=gradient_error,
                say=None if say is None else partial(say, run.name),
                tell=None if tell is None else partial(tell, run.name),
                **run.options,
            )
    return [run.folder for run in runs]


@dataclass(frozen=True)
class GridRun:
    """One run of a grid: its name and folder, its options, and whether it has yet to be trained."""

    name: str
    folder: Path
    options: dict[str, Any]
    missing: bool


def grid_runs(
    task: str,
    *,
    out: str | Path,
    regularizers: Sequence[str],
    adjoints: Sequence[str],
    seeds: Sequence[int],
    **options: Any,
) -> list[GridRun]:
    """The runs that :func:`train_grid` makes of the same arguments, in their order.

    Raises
    ------
    ValueError
        For arguments that make no sense, or where a folder holds another run.
    """
    backend = options.get("backend", "jax")
    runs: dict[str, dict[str, Any]] = {}
    for seed, adjoint, spec in product(seeds, adjoints, regularizers):
        regularizer, _, coefficients = spec.partition("=")
        runs[f"{task}/{backend}-{adjoint}/{spec}/seed{seed}"] = {
            "regularizer": regularizer,
            "coefficient": coefficients.replace(",", " ").split() or None,
            "adjoint": adjoint,
            "seed": seed,
            **options,
        }
    found = []
    for name, run in runs.items():
        folder = Path(out) / name
        missing = not _finished(folder, run_settings(task, **run))
        found.append(GridRun(name, folder, run, missing))
    return found


def _finished(folder: Path, settings: RunSettings) -> bool:
    """Whether its run came to its end, or broke down."""
    found = standing(folder, settings, resume=True)
    return found is not None and (found.epoch >= settings.epochs or found.status != "ok")
