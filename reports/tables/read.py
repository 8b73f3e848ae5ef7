"""Read what was measured: the rows of this package, and asv's own results, as tidy tables."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ...suite.claims.tasks import made_of_scaling
from ...suite.gpu.studies import STUDIES
from ...suite.measuring.row import ClaimRow, Row, to_record
from ...suite.measuring.rows import RowFile, read_rows
from ...suite.measuring.studies import checkpoints, lanes, scaling, sde
from ...training.ratios import read_trainings
from ...training.records import SETTINGS
from .asv_results import ASV_COLUMNS, read_asv_file
from .codes import machine_of, name_codes
from .frames import Placed, claims_frame, row_frame

#: Files in a folder of asv results that hold no results.
NOT_RESULTS = ("machine.json", "benchmarks.json", "reference.json", SETTINGS)


@dataclass
class Measurements:
    """Everything that could be read.

    Attributes
    ----------
    rows : DataFrame
        One row a (problem, method, device, rtol, machine, code); the columns of
        :data:`~adjointbench.reports.tables.frames.COLUMNS`. The
        code is the commit with what else tells its runs apart, see :mod:`.codes`.
    scaling : DataFrame
        The same of the rows of the scaling study.
    checkpoints : DataFrame
        The same of the study of memory against checkpoints.
    lanes : DataFrame
        The same of the study of ensembles.
    sde : DataFrame
        The same of the study of stochastic equations.
    device : DataFrame
        The same of the studies of a device, which ``study`` tells apart.
    asv : DataFrame
        One row a benchmark and parameters; its ``status`` is ``"ok"``,
        ``"failed"`` or ``"skipped"``, ``parameters`` is a tuple of text, and ``date`` is the
        commit's, in milliseconds.
    claims : DataFrame
        One row a claim, machine and code: ``number``, ``status``, ``figures`` (a dict), and the
        versions with which it was measured.
    trainings : DataFrame
        One row an epoch of every training.
    runs : list of dict
        Machine, versions, commit, ``code``, ``file`` and date of each run.
    troubles : list of str
        One sentence for each file that is missing, empty or broken, or partly so.
    """

    rows: pd.DataFrame
    asv: pd.DataFrame
    scaling: pd.DataFrame = field(default_factory=pd.DataFrame)
    claims: pd.DataFrame = field(default_factory=pd.DataFrame)
    checkpoints: pd.DataFrame = field(default_factory=pd.DataFrame)
    lanes: pd.DataFrame = field(default_factory=pd.DataFrame)
    sde: pd.DataFrame = field(default_factory=pd.DataFrame)
    device: pd.DataFrame = field(default_factory=pd.DataFrame)
    trainings: pd.DataFrame = field(default_factory=pd.DataFrame)
    runs: list[dict[str, Any]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether nothing at all could be read."""
        tables = (
            self.rows,
            self.scaling,
            self.checkpoints,
            self.lanes,
            self.sde,
            self.device,
            self.claims,
            self.asv,
            self.trainings,
        )
        return all(table.empty for table in tables)


def read_measurements(paths: Iterable[Path], base: Path | None = None) -> Measurements:
    """Read files of rows (``.jsonl``) and of asv results (``.json``), and folders of them.

    Parameters
    ----------
    paths : iterable of Path
        Files or folders; a folder is searched through.
    base : Path, optional
        Another one, to compare with; its runs are marked ``"base"``.

    Returns
    -------
    Measurements
        What could be read; what could not is told in ``troubles``.
    """
    files: list[RowFile] = []
    asv: list[dict[str, Any]] = []
    found = Measurements(pd.DataFrame(), pd.DataFrame())
    paths = list(paths)
    found.trainings = read_trainings(paths, found.troubles)
    trained = set() if found.trainings.empty else set(map(Path, found.trainings["run"]))
    seen: set[Path] = set()
    for path in _files([*paths, *([] if base is None else [base])], found.troubles, trained):
        if path.resolve() in seen:
            continue
        seen.add(path.resolve())
        try:
            if ".jsonl" in path.name:  # also of a file that was set aside, which has a date behind
                files += _read_row_file(path, found, base)
            else:
                asv += read_asv_file(path, found.troubles)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            found.troubles.append(f"{path}: cannot be read ({type(error).__name__}: {error})")
    for run, code in zip(found.runs, name_codes(found.runs), strict=True):
        run["code"] = code
    _add_tables(found, files)
    found.asv = pd.DataFrame(asv, columns=pd.Index(ASV_COLUMNS))
    return found


def _files(paths: Iterable[Path], troubles: list[str], trained: set[Path]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*.json*") if _holds_results(p))
            if not inside and not any(run.is_relative_to(path) for run in trained):
                troubles.append(f"{path}: no results in this folder; run `make bench` first")
            yield from inside
        elif path.is_file():
            yield path
        else:
            troubles.append(f"{path}: no such file or folder")


def _holds_results(path: Path) -> bool:
    return path.suffix in (".json", ".jsonl") and path.name not in NOT_RESULTS


def _read_row_file(path: Path, found: Measurements, base: Path | None) -> list[RowFile]:
    """The file, where it holds rows; its runs are added to those that were found."""
    file = read_rows(path)
    if not file.rows and not file.claims:
        found.troubles.append(f"{path}: holds no measured row")
        return []
    if file.broken:
        found.troubles.append(f"{path}: {file.broken} lines are broken and were passed over")
    if not file.complete:
        found.troubles.append(f"{path}: the run was cut off; what it had measured is shown")
    of_base = base is not None and path.resolve().is_relative_to(base.resolve())
    for run, _, _ in file.parts():
        found.runs.append(to_record(run) | {"file": str(path), "base": of_base})
    return [file]


def _add_tables(found: Measurements, files: Sequence[RowFile]) -> None:
    """Tables of the rows of all files, one a study; each row with where it comes from."""
    rows: list[Placed[Row]] = []
    claims: list[Placed[ClaimRow]] = []
    parts = [(*part, file.claims) for file in files for part in file.parts()]
    for run, (head, measured, said, all_said) in zip(found.runs, parts, strict=True):
        origin = {
            "machine": machine_of(run),
            "commit": head.commit[:8],
            "code": run["code"],
            "date": head.date,
        }
        rows += [(row, origin) for row in measured]
        versions = ", ".join(f"{name} {number}" for name, number in head.versions.items())
        of_claims = (*said, *made_of_scaling(measured, all_said))
        claims += [(row, origin | {"versions": versions}) for row in of_claims]
    found.rows = row_frame([placed for placed in rows if not placed[0].study])
    found.scaling = row_frame([placed for placed in rows if placed[0].study == scaling.STUDY])
    found.checkpoints = row_frame([p for p in rows if p[0].study == checkpoints.STUDY])
    found.lanes = row_frame([placed for placed in rows if placed[0].study == lanes.STUDY])
    found.sde = row_frame([placed for placed in rows if placed[0].study == sde.STUDY])
    found.device = row_frame([placed for placed in rows if placed[0].study in STUDIES])
    found.claims = claims_frame(claims)
