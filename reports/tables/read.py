"""Read what was measured: the rows of this package, and asv's own results, as tidy tables."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ...suite.claims.tasks import STUDY as CLAIMS
from ...suite.claims.tasks import made_of_scaling
from ...suite.measuring.rows import read_rows, study_of
from ...suite.measuring.studies import checkpoints, scaling
from ...training.ratios import SETTINGS, read_trainings
from .codes import machine_of, name_codes

#: Files in a folder of asv results that hold no results.
NOT_RESULTS = ("machine.json", "benchmarks.json", "reference.json", SETTINGS)

#: Columns that a table of rows always has, whatever was measured.
COLUMNS = (
    "problem",
    "method",
    "family",
    "backend",
    "solver",
    "device",
    "machine",
    "commit",
    "code",
    "date",
    "rtol",
    "atol",
    "status",
    "phase",
    "message",
    "exception",
    "referenced",
    "error",
    "largest_component_error",
    "cosine",
    "dy0_error",
    "loss_error",
    "seconds",
    "seconds_low",
    "seconds_high",
    "primal_seconds",
    "ratio",
    "first_call_s",
    "compile_s",
    "saved_bytes",
    "steps",
    "rejected",
    "rhs_evals",
    "jacobian_evals",
    "linear_solves",
    "reverse_steps",
    "reverse_rejected",
    "reverse_rhs_evals",
    "vjp_evals",
    "jvp_evals",
    "derivatives",
    "compiled",
    "transfers",
)

ASV_COLUMNS = (
    "benchmark",
    "parameters",
    "value",
    "status",
    "unit",
    "machine",
    "commit",
    "date",
    "file",
)


@dataclass
class Measurements:
    """Everything that could be read.

    Attributes
    ----------
    rows : DataFrame
        One row a (problem, method, device, rtol, machine, code); at least :data:`COLUMNS`. The
        code is the commit with what else tells its runs apart, see :mod:`.codes`.
    scaling : DataFrame
        The same of the rows of the scaling study.
    checkpoints : DataFrame
        The same of the study of memory against checkpoints.
    asv : DataFrame
        One row a benchmark and parameters, of :data:`ASV_COLUMNS`; its ``status`` is ``"ok"``,
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
    rows: list[dict[str, Any]] = []
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
                rows += _read_row_file(path, found, base)
            else:
                asv += _read_asv_file(path, found)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            found.troubles.append(f"{path}: cannot be read ({type(error).__name__}: {error})")
    _name_codes(found.runs, rows)
    found.rows = _row_table([row for row in rows if not study_of(row)])
    found.scaling = _row_table([row for row in rows if study_of(row) == scaling.STUDY])
    found.checkpoints = _row_table([row for row in rows if study_of(row) == checkpoints.STUDY])
    found.claims = _claims_table([row for row in rows if study_of(row) == CLAIMS])
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


def _read_row_file(path: Path, found: Measurements, base: Path | None) -> list[dict[str, Any]]:
    file = read_rows(path)
    if not file.rows:
        found.troubles.append(f"{path}: holds no measured row")
        return []
    if file.broken:
        found.troubles.append(f"{path}: {file.broken} lines are broken and were passed over")
    if not file.complete:
        found.troubles.append(f"{path}: the run was cut off; what it had measured is shown")
    run = file.run
    of_base = base is not None and path.resolve().is_relative_to(base.resolve())
    found.runs.append(run | {"file": str(path), "base": of_base})
    origin = {
        "machine": machine_of(run),
        "commit": str(run.get("commit", ""))[:8],
        "date": run.get("date", ""),
        "file": str(path),
    }
    versions = ", ".join(f"{name} {number}" for name, number in run.get("versions", {}).items())
    return [
        row | origin | ({"versions": versions} if study_of(row) == CLAIMS else {})
        for row in (*file.rows, *made_of_scaling(file.rows))
    ]


def _name_codes(runs: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    """Give every run its code, and every row that of its run."""
    for run, code in zip(runs, name_codes(runs), strict=True):
        run["code"] = code
    code_of = {run["file"]: run["code"] for run in runs}
    for row in rows:
        row["code"] = code_of[row.pop("file")]


def _row_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows with every column there, each (…, rtol) once: the newest."""
    table = pd.DataFrame(rows)
    table = table.reindex(columns=[*COLUMNS, *(c for c in table.columns if c not in COLUMNS)])
    table["exception"] = table["exception"].eq(True)
    key = ["problem", "method", "device", "machine", "code", "rtol"]
    return (
        table.sort_values("date", kind="stable")
        .drop_duplicates(key, keep="last")
        .sort_values(key, ascending=[True] * 5 + [False], kind="stable")
        .reset_index(drop=True)
    )


def _claims_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Each claim once for a machine and commit: the newest."""
    key = ["number", "machine", "code"]
    if not rows:
        return pd.DataFrame(columns=pd.Index([*key, "date"]))
    table = pd.DataFrame(rows).sort_values("date", kind="stable")
    return table.drop_duplicates(key, keep="last", ignore_index=True)


def _read_asv_file(path: Path, found: Measurements) -> list[dict[str, Any]]:
    """One row a benchmark and parameters of one of asv's result files."""
    content = json.loads(path.read_text(encoding="utf-8"))
    benchmarks = _benchmarks(path, found.troubles)
    origin = {
        "machine": content["params"].get("machine", "unknown"),
        "commit": content["commit_hash"][:8],
        "date": content.get("date", 0),
        "file": str(path),
    }
    rows = []
    for name, columns in content["results"].items():
        entry = dict(zip(content["result_columns"], columns, strict=False))
        unit = benchmarks.get(name, {}).get("unit", "")
        rows += [
            {"benchmark": name, "parameters": parameters, "unit": unit} | value | origin
            for parameters, value in _values(entry)
        ]
    if not rows:
        found.troubles.append(f"{path}: holds no benchmark result")
    return rows


def _benchmarks(path: Path, troubles: list[str]) -> dict[str, Any]:
    """What asv noted about the benchmarks (units), beside the folders of the machines."""
    noted = path.parent.parent / "benchmarks.json"
    try:
        content = json.loads(noted.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        trouble = f"{noted}: missing or broken; asv's figures have no units"
        if trouble not in troubles:
            troubles.append(trouble)
        return {}
    return {name: entry for name, entry in content.items() if isinstance(entry, dict)}


def _values(entry: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Parameters and value of each combination: NaN was skipped, null failed."""
    combinations: Sequence[tuple[str, ...]] = list(itertools.product(*entry["params"] or []))
    results = entry["result"]
    if results is None:
        results = [None] * len(combinations)
    for combination, value in zip(combinations, results, strict=True):
        parameters = tuple(text.strip("'\"") for text in combination)
        if value is None:
            yield parameters, {"value": math.nan, "status": "failed"}
        elif math.isnan(value):
            yield parameters, {"value": math.nan, "status": "skipped"}
        else:
            yield parameters, {"value": float(value), "status": "ok"}
