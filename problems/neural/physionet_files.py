"""Reading the records of the PhysioNet/CinC Challenge 2012 from text files, as downloaded."""

from __future__ import annotations

import math
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePath

import numpy as np

from .irregular_series import IrregularSeries, split

#: What changes over a stay; weight among it, as published.
FEATURES = (
    *("Weight", "Albumin", "ALP", "ALT", "AST", "Bilirubin", "BUN", "Cholesterol", "Creatinine"),
    *("DiasABP", "FiO2", "GCS", "Glucose", "HCO3", "HCT", "HR", "K", "Lactate", "Mg", "MAP"),
    *("MechVent", "Na", "NIDiasABP", "NIMAP", "NISysABP", "PaCO2", "PaO2", "pH", "Platelets"),
    *("RespRate", "SaO2", "SysABP", "Temp", "TroponinI", "TroponinT", "Urine", "WBC"),
)
_COLUMNS = {feature: column for column, feature in enumerate(FEATURES)}
#: What does not, and is left out.
_STATIC = ("RecordID", "Age", "Gender", "Height", "ICUType")
_HEAD = "Time,Parameter,Value"
_HOURS = 48.0
_WHAT_WOULD_DO = (
    "pass the folder of the challenge's set-a with a text file a record, as 132539.txt, or the "
    "archive set-a.tar.gz or set-a.zip as it was downloaded from "
    "physionet.org/content/challenge-2012"
)
_BROKEN = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, UnicodeDecodeError)


def read(path: str, hours: float = 1.0) -> IrregularSeries:
    """The records, cleaned, quantised, split and scaled.

    As published (Rubanova et al. 2019; Kelly et al. 2020; Pal et al. 2021): the four descriptors
    that do not change (age, gender, height, type of unit) are left out, times are rounded to a
    grid and what falls on the same time is averaged; no outlier is taken out. Left out besides:
    negative weights, which the challenge writes for unknown ones, and records in which nothing is
    left. Each feature is scaled to [0, 1] by the least and largest of the training records (the
    published code divides by the largest of all), and times by the last one.

    Parameters
    ----------
    path : str
        The folder of text files, or an archive of it.
    hours : float
        Between two times of the grid.

    Raises
    ------
    ValueError
        Where something is missing, cannot be read or is not what its name says.
    """
    place = Path(str(path)).expanduser()
    if not path or not place.exists():
        raise ValueError(f"path={path!r} does not exist; {_WHAT_WOULD_DO}")
    bins = round(_HOURS / hours) + 1
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, text in _texts(place):
        if name in found:
            raise ValueError(f"path={path!r} has the record {name} twice; {_WHAT_WOULD_DO}")
        found[name] = _record(name, text, hours, bins)
    records = [(means, mask) for _, (means, mask) in sorted(found.items()) if mask.any()]
    if len(records) < 2:
        raise ValueError(
            f"path={path!r} has {len(found)} records, {len(records)} of them with observations, "
            f"and at least two are needed; {_WHAT_WOULD_DO}"
        )
    values, mask = (np.stack(arrays) for arrays in zip(*records, strict=True))
    union = mask.any(axis=(0, 2))
    times = np.flatnonzero(union) * hours
    if times[-1] == 0.0:
        raise ValueError(f"path={path!r}: all observations are at the time 0; pass whole records")
    return _scaled(split(times / times[-1], values[:, union], mask[:, union]))


def _scaled(series: IrregularSeries) -> IrregularSeries:
    """Features from 0 to 1 over the training records; what they lack stays as it is."""
    seen = series.train_mask > 0
    low = np.where(seen, series.train_values, np.inf).min(axis=(0, 1))
    high = np.where(seen, series.train_values, -np.inf).max(axis=(0, 1))
    low = np.where(np.isfinite(low), low, 0.0)
    range_ = np.where(high > low, high - low, 1.0)
    return series._replace(
        train_values=(series.train_values - low) / range_ * series.train_mask,
        test_values=(series.test_values - low) / range_ * series.test_mask,
    )


def _record(name: str, text: str, hours: float, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Means and mask of a record, of shape ``(bins, features)``."""
    head, *lines = text.splitlines() or [""]
    if head.strip() != _HEAD:
        raise ValueError(f"path: the record {name} begins with {head[:40]!r}, and not {_HEAD!r}")
    cells, values = [], []
    for number, line in enumerate(lines, start=2):
        time, feature, value = _observation(name, number, line)
        if feature in _STATIC or (feature == "Weight" and value < 0):
            continue
        at = round(time / hours)
        if feature not in _COLUMNS or not 0 <= at < bins:
            raise ValueError(
                f"path: the record {name} has in line {number} {line!r}; a feature of the "
                f"challenge at a time from 00:00 to {_HOURS:.0f}:00 is needed"
            )
        cells.append(at * len(FEATURES) + _COLUMNS[feature])
        values.append(value)
    shape, size = (bins, len(FEATURES)), bins * len(FEATURES)
    counts = np.bincount(np.asarray(cells, int), minlength=size).reshape(shape)
    sums = np.bincount(np.asarray(cells, int), values, minlength=size).reshape(shape)
    return sums / np.maximum(counts, 1), (counts > 0).astype(np.float64)


def _observation(name: str, number: int, line: str) -> tuple[float, str, float]:
    """Time in hours, feature and value of a line."""
    try:
        clock, feature, text = line.split(",")
        hour, minute = clock.split(":")
        time, value = int(hour) + int(minute) / 60.0, float(text)
        if not math.isfinite(value):
            raise ValueError(text)
    except ValueError:
        raise ValueError(
            f"path: the record {name} has in line {number} {line[:40]!r}, and not a time, a name "
            "and a number, as in 07:30,HR,82; fetch it again"
        ) from None
    return time, feature, value


def _texts(place: Path) -> Iterator[tuple[str, str]]:
    """Names and texts of the records."""
    try:
        if place.is_dir():
            for file in sorted(place.rglob("*.txt")):
                if _is_record(file):
                    yield file.stem, file.read_text(encoding="utf-8")
        elif zipfile.is_zipfile(place):
            with zipfile.ZipFile(place) as archive:
                for name in filter(_is_record, archive.namelist()):
                    yield PurePath(name).stem, archive.read(name).decode()
        else:
            with tarfile.open(place) as archive:
                for member in archive:
                    file = archive.extractfile(member) if _is_record(member.name) else None
                    if file is not None:
                        yield PurePath(member.name).stem, file.read().decode()
    except _BROKEN as error:
        raise ValueError(
            f"path={str(place)!r} cannot be read ({type(error).__name__}: {error}); "
            f"{_WHAT_WOULD_DO}"
        ) from error


def _is_record(name: str | PurePath) -> bool:
    """Files of outcomes lie beside the records, and hidden ones of some archivers."""
    return PurePath(name).suffix == ".txt" and PurePath(name).stem.isdigit()
