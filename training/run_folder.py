"""The folder of a run: its settings, a row an epoch, the checkpoint to go on from."""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast, get_type_hints

import numpy as np

from .records import CHECKPOINT, COLUMNS, ROWS, SETTINGS, Epoch
from .settings import RunSettings

_TYPES = get_type_hints(Epoch)


def write_rows(folder: Path, rows: list[Epoch]) -> None:
    """Write all rows anew, so that the file is whole at any moment."""
    with _replacing(folder / ROWS) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def write_checkpoint(
    folder: Path, arrays: Mapping[str, np.ndarray], epoch: int, status: str
) -> None:
    """Weights and the optimiser's state after an epoch."""
    with _replacing(folder / CHECKPOINT) as part, part.open("wb") as file:
        np.savez(file, epoch=epoch, status=status, **arrays)  # type: ignore[arg-type]


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A file to write that takes the place of `target` in one go."""
    part = target.with_name(target.name + ".part")
    yield part
    os.replace(part, target)


def read_rows(file: Path) -> list[Epoch]:
    """The rows of an ``epochs.csv``, numbers as numbers."""
    with file.open(newline="") as lines:
        return [
            cast(Epoch, {name: _value(name, text) for name, text in row.items()})
            for row in csv.DictReader(lines)
        ]


def _value(name: str, text: str) -> int | float | str | None:
    if text == "":
        return None
    wanted = _TYPES.get(name, str)
    if wanted in (str, str | None):
        return text
    return int(float(text)) if wanted in (int, int | None) else float(text)


def claim(folder: Path, settings: RunSettings, resume: bool) -> None:
    """Make the folder this run's; refuse one that holds another, or rows that would be lost."""
    folder.mkdir(parents=True, exist_ok=True)
    file, record = folder / SETTINGS, settings.record()
    if file.is_file():
        there = json.loads(file.read_text(encoding="utf-8"))
        differs = [key for key in record if there.get(key) != record[key]]
        if differs:
            raise ValueError(
                f"out={str(folder)!r} holds a run with other settings ({', '.join(differs)}); "
                "name another folder"
            )
        if not resume and (folder / ROWS).is_file():
            raise ValueError(
                f"out={str(folder)!r} holds this run already; pass resume=True (--resume) to go "
                "on with it, or name another folder"
            )
    with _replacing(file) as part:
        made_with = {"made_with": _versions(settings.backend)}
        part.write_text(json.dumps(record | made_with, indent=1), encoding="utf-8")


def _versions(backend: str) -> dict[str, str]:
    """What a run's times and roundings depend on, besides its settings."""
    packages = ("numpy", "jax", "optax") if backend == "jax" else ("numpy", "torch")
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"machine": platform.node(), "python": platform.python_version(), **found}


def read_checkpoint(folder: Path) -> tuple[dict[str, np.ndarray], int, str, list[Epoch]] | None:
    """Arrays, epoch, status and rows up to there; ``None`` where there is no checkpoint."""
    if not (folder / CHECKPOINT).is_file() or not (folder / ROWS).is_file():
        return None
    with np.load(folder / CHECKPOINT) as found:
        arrays = dict(found)
    epoch, status = int(arrays.pop("epoch")), str(arrays.pop("status"))
    # The rows are written before the checkpoint: one may be too many, and is made again.
    rows = [row for row in read_rows(folder / ROWS) if row["epoch"] <= epoch]
    return arrays, epoch, status, rows
