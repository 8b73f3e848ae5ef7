"""``train_grid``: several regularisers, adjoints and seeds, one folder a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from .records import CHECKPOINT, SETTINGS, Epoch, RunRecord
from .train import train


def train_grid(
    task: str,
    *,
    out: str | Path,
    regularizers: Sequence[str] = ("none", "error"),
    adjoints: Sequence[str] = ("discrete",),
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    say: Callable[[str, Epoch], object] | None = None,
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
        after an equals sign if wanted: ``"error=10:1"``.
    adjoints : sequence of str
    seeds : sequence of int
    say : callable, optional
        ``say(name, row)`` as epochs end.
    **options
        As for :func:`~adjointbench.training.train`.

    Returns
    -------
    list of path
        The folders, in the order of their runs.

    Raises
    ------
    ValueError
        For arguments that make no sense.
    """
    backend = options.get("backend", "jax")
    folders = []
    for seed, adjoint, spec in product(seeds, adjoints, regularizers):
        name = f"{task}/{backend}-{adjoint}/{spec}/seed{seed}"
        folder = Path(out) / name
        folders.append(folder)
        if not _finished(folder):
            regularizer, _, coefficients = spec.partition("=")
            train(
                task,
                regularizer=regularizer,
                coefficient=coefficients.split(",") if coefficients else None,
                adjoint=adjoint,
                seed=seed,
                out=folder,
                resume=True,
                say=None if say is None else lambda row, name=name: say(name, row),
                **options,
            )
    return folders


def _finished(folder: Path) -> bool:
    """Whether its run came to its end, or broke down."""
    if not (folder / CHECKPOINT).is_file():
        return False
    settings: RunRecord = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    with np.load(folder / CHECKPOINT) as found:
        return int(found["epoch"]) >= settings["epochs"] or str(found["status"]) != "ok"
