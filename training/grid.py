"""``train_grid``: several regularisers, adjoints and seeds, one folder a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    folders = {name: Path(out) / name for name in runs}
    missing = [
        name
        for name, run in runs.items()
        if not _finished(folders[name], run_settings(task, **run))
    ]
    for name in missing:
        train(
            task,
            out=folders[name],
            resume=True,
            gradient_error=gradient_error,
            say=None if say is None else partial(say, name),
            tell=None if tell is None else partial(tell, name),
            **runs[name],
        )
    return list(folders.values())


def _finished(folder: Path, settings: RunSettings) -> bool:
    """Whether its run came to its end, or broke down."""
    found = standing(folder, settings, resume=True)
    return found is not None and (found.epoch >= settings.epochs or found.status != "ok")
