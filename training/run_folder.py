"""The folder of a run: its settings, a row an epoch, the checkpoint to go on from."""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import io
import json
import os
import platform
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_type_hints

import numpy as np

from ..problems.files import checked_folder, replacing
from .records import CHECKPOINT, COLUMNS, ROWS, SETTINGS, SEVERAL, Epoch
from .settings import RunSettings

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

_TYPES = get_type_hints(Epoch)
#: What reading raises where a file was cut off, or is another's.
_BROKEN = (OSError, ValueError, TypeError, KeyError, EOFError, csv.Error, zipfile.BadZipFile)


@dataclass(frozen=True)
class Checkpoint:
    """What a run goes on from.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Weights and the optimiser's state after the epoch.
    epoch : int
    status : str
    rows : list of Epoch
        Up to the epoch.
    """

    arrays: dict[str, np.ndarray]
    epoch: int
    status: str
    rows: list[Epoch]


@contextlib.contextmanager
def held(folder: Path) -> Iterator[Path]:
    """The folder, made, and no other run's in the meantime; it is free when a process has died.

    Raises
    ------
    ValueError
        Where it can't be written into, or another run writes into it.
    """
    checked_folder("out", folder)
    if fcntl is None:
        yield folder
        return
    # The folder itself is locked: no file is left behind, and none can be stale.
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{_named(folder)} is being written by another run; wait for its end, or name "
                "another folder"
            ) from None
        except OSError:
            pass  # a file system without locks
        yield folder
    finally:
        os.close(handle)


def begin(folder: Path, settings: RunSettings) -> None:
    """Write down which run the folder holds, and all machines that have trained it."""
    versions = _versions(settings.backend)
    with contextlib.suppress(*_BROKEN):
        before = str(_read_settings(folder)["made_with"]["machine"]).split(SEVERAL)
        versions["machine"] = SEVERAL.join(dict.fromkeys([*before, versions["machine"]]))
    made_with = {"made_with": versions}
    text = json.dumps(settings.record() | made_with, indent=1)
    with replacing(folder / SETTINGS) as part:
        part.write_text(text, encoding="utf-8")


def _versions(backend: str) -> dict[str, str]:
    """What a run's times and roundings depend on, besides its settings."""
    packages = ("numpy", "jax", "optax") if backend == "jax" else ("numpy", "torch")
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"machine": platform.node(), "python": platform.python_version(), **found}


def write_epoch(
    folder: Path, rows: list[Epoch], arrays: Mapping[str, np.ndarray], status: str
) -> None:
    """Write all rows anew, and then weights and the optimiser's state after the last.

    Either file is whole at any moment.
    """
    with replacing(folder / ROWS) as part:
        part.write_text(as_csv(rows), encoding="utf-8", newline="")
    held_in_memory = io.BytesIO()
    np.savez(held_in_memory, epoch=rows[-1]["epoch"], status=status, **arrays)  # type: ignore[arg-type]
    with replacing(folder / CHECKPOINT) as part:
        part.write_bytes(held_in_memory.getbuffer())


def as_csv(rows: list[Epoch]) -> str:
    """Rows as ``epochs.csv`` has them."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def standing(folder: Path, settings: RunSettings, resume: bool) -> Checkpoint | None:
    """What the folder holds of this very run; ``None`` where it begins anew.

    Raises
    ------
    ValueError
        Where it holds another run or cannot be read, or rows would be lost.
    """
    if not (folder / ROWS).exists() and not (folder / CHECKPOINT).exists():
        return None
    there = _read_settings(folder)
    _check_same(folder, there, cast("dict[str, Any]", settings.record()))
    if not resume:
        raise ValueError(
            f"{_named(folder)} holds this run already; pass resume=True (--resume) to go on with "
            "it, or name another folder"
        )
    found = _read_checkpoint(folder)
    if found is not None and found.epoch > settings.epochs:
        raise ValueError(
            f"epochs={settings.epochs!r}: {_named(folder)} holds {found.epoch} already; pass a "
            "larger number to go on, or name another folder"
        )
    return found


def _check_same(folder: Path, there: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse what would make of one run another; it may be made longer where nothing anneals."""
    differs = [key for key in asked if there.get(key) != asked[key]]
    if differs == ["epochs"]:
        if not any(end is not None for _, end in asked["coefficients"]):
            return
        raise ValueError(
            f"epochs={asked['epochs']!r}: {_named(folder)} holds a run whose coefficient is "
            f"annealed over {there.get('epochs')} epochs, which more of them would change; name "
            "another folder"
        )
    if differs:
        raise ValueError(
            f"{_named(folder)} holds a run with other settings ({', '.join(differs)}); "
            "name another folder"
        )


def _read_settings(folder: Path) -> dict[str, Any]:
    with _reading(folder, SETTINGS):
        there = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        if not isinstance(there, dict):
            raise ValueError("no settings in it")
        return there


def _read_checkpoint(folder: Path) -> Checkpoint | None:
    """``None`` where there is no checkpoint."""
    if not (folder / CHECKPOINT).is_file() or not (folder / ROWS).is_file():
        return None
    # NumPy leaves a file open that it was given the name of, and that is no archive.
    with _reading(folder, CHECKPOINT), (folder / CHECKPOINT).open("rb") as file:
        arrays = dict(np.load(file))
        epoch, status = int(arrays.pop("epoch")), str(arrays.pop("status"))
    with _reading(folder, ROWS):
        # The rows are written before the checkpoint: one may be too many, and is made again.
        rows = [row for row in read_rows(folder / ROWS) if row["epoch"] <= epoch]
        if [row["epoch"] for row in rows] != list(range(epoch + 1)):
            raise ValueError(f"it lacks some of the epochs 0 to {epoch} of the checkpoint")
    return Checkpoint(arrays, epoch, status, rows)


def read_rows(file: Path) -> list[Epoch]:
    """The rows of an ``epochs.csv``, numbers as numbers.

    Raises
    ------
    ValueError
        Where it has something else in it.
    """
    with file.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        if not {"epoch", "status"} <= set(reader.fieldnames or ()):
            raise ValueError("no rows of epochs in it")
        return [
            cast(Epoch, {name: _value(name, row.get(name) or "") for name in COLUMNS})
            for row in reader
        ]


def _value(name: str, text: str) -> int | float | str | None:
    if text == "":
        return None
    wanted = _TYPES[name]
    if wanted in (str, str | None):
        return text
    return int(float(text)) if wanted in (int, int | None) else float(text)


@contextlib.contextmanager
def _reading(folder: Path, name: str) -> Iterator[None]:
    """Say of a file that it can't be read, and what to do."""
    try:
        yield
    except _BROKEN as error:
        raise ValueError(
            f"{_named(folder)}: {name} there cannot be read ({error}); name another folder, or "
            "delete this one to begin anew"
        ) from None


def _named(folder: Path) -> str:
    return f"out={str(folder)!r}"
