"""The file of measured rows: written line by line as the numbers come, and read.

What its lines are is told in :mod:`.row`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .code_key import code_hash
from .machine import commit, machine, machine_name, versions
from .row import CLAIMS, ClaimRow, Key, Origin, Row, from_record, to_record


@dataclass
class RowFile:
    """What was read from a file of rows.

    Attributes
    ----------
    path : Path
    runs : list of Origin
        Machine, versions and commit, one a machine that measured, or a code; empty where the file
        lacks them.
    rows : list of Row
        Of the ladders and of the studies, each (machine, key, rtol) once: the last that was
        measured. Each has its machine, where the file tells it.
    claims : list of ClaimRow
        Likewise, those of claims.
    done : set of Key
        What was measured to its end.
    complete : bool
        Whether the run came to its end.
    broken : int
        Lines that could not be read.
    """

    path: Path
    runs: list[Origin] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    claims: list[ClaimRow] = field(default_factory=list)
    done: set[Key] = field(default_factory=set)
    complete: bool = False
    broken: int = 0
    #: The place among `runs` of the one that each row and claim belongs to.
    run_of: dict[Place, int] = field(default_factory=dict)

    @property
    def run(self) -> Origin:
        """The last of its runs."""
        return self.runs[-1] if self.runs else Origin()

    def parts(self) -> list[tuple[Origin, list[Row], list[ClaimRow]]]:
        """Each run with what belongs to it, where that is anything."""
        found = [(run, [], []) for run in self.runs or [Origin()]]
        for row in self.rows:
            found[self.run_of[place_of(row)]][1].append(row)
        for claim in self.claims:
            found[self.run_of[place_of(claim)]][2].append(claim)
        return [part for part in found if part[1] or part[2]]


#: What tells a row of a file from the others: its machine, its task, its tolerance.
Place = tuple[str | None, Key, float]


def place_of(row: Row | ClaimRow) -> Place:
    """Where a row stands among the others."""
    return row.machine, row.key, row.rtol if isinstance(row, Row) else 0.0


def read_rows(path: Path) -> RowFile:
    """Read a file of rows; lines that are cut off or broken are counted and passed over.

    Raises
    ------
    OSError
        Where the file cannot be read at all.
    """
    found = RowFile(path)
    rows: dict[Place, Row | ClaimRow] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = _entry(line)
        if isinstance(entry, Origin):
            found.runs.append(entry)
        elif isinstance(entry, Row | ClaimRow):
            row, run = _placed(entry, found.runs)
            rows[place_of(row)] = row
            found.run_of[place_of(row)] = run
        elif isinstance(entry, Key):
            found.done.add(entry)
        elif isinstance(entry, _Moved):
            rows = {k: row for k, row in rows.items() if k[:2] != (entry.machine, entry.key)}
        elif entry == "end":
            found.complete = True
        found.broken += entry is None
    found.rows = [row for row in rows.values() if isinstance(row, Row)]
    found.claims = [row for row in rows.values() if isinstance(row, ClaimRow)]
    return found


def _placed(row: Row | ClaimRow, runs: Sequence[Origin]) -> tuple[Row | ClaimRow, int]:
    """A row with its machine, and the place of its run: the last of its machine."""
    names = [run.machine.get("machine") for run in runs]
    if row.machine is None and names:
        row = replace(row, machine=names[-1])
    last = len(names) - 1
    return row, next((n for n in range(last, -1, -1) if names[n] == row.machine), max(last, 0))


@dataclass(frozen=True)
class _Moved:
    """Says that what a machine has measured of a task is void."""

    key: Key
    machine: str


def _entry(line: str) -> Origin | Row | ClaimRow | Key | _Moved | str | None:
    """What a line holds; another kind than these by its name, ``None`` where it is broken."""
    try:
        record = json.loads(line)
        kind = record["kind"]
        if kind == "run":
            return from_record(Origin, record)
        if kind == "row":
            return from_record(ClaimRow if record.get("study") == CLAIMS else Row, record)
        if kind in ("done", "moved"):
            key = Key(**{name: record.get(name) or "" for name in Key._fields})
            return key if kind == "done" else _Moved(key, record["machine"])
        return str(kind)
    except (ValueError, KeyError, TypeError):
        return None


class RowWriter:
    """Appends to a file of rows, each line on disk before the next is measured.

    Parameters
    ----------
    path : Path
    anew : bool
        Begin the file, in place of one that there is.
    quick : bool
        Whether the quick part is measured.
    definition : str
        The hash of a user's problem.
    here : bool
        Whether this machine measures. Otherwise each row has to name the machine that did.
    """

    def __init__(
        self, path: Path, *, anew: bool, quick: bool, definition: str = "", here: bool = True
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._about = quick, definition
        runs = [] if anew or not path.exists() else read_rows(path).runs
        self._known = {run.machine.get("machine") for run in runs}
        self._stream = path.open("w" if anew else "a", encoding="utf-8")
        if not anew:
            self._stream.write("\n" if _cut_off(path) else "")
        elif here:
            self._measures(machine())

    def row(self, row: Row | ClaimRow, measured_by: Mapping[str, str] | None = None) -> None:
        """Append one measured row; `measured_by` describes the machine, where it is another."""
        if measured_by is not None:
            self._measures(measured_by)
            row = replace(row, machine=measured_by["machine"])
        self._write(to_record(row))

    def done(self, key: Key) -> None:
        """Say that one method on one problem was measured to its end."""
        self._write({"kind": "done"} | key._asdict())

    def moved(self, key: Key, name: str) -> None:
        """Say that the machine of that name was lost, and its rows of `key` are void."""
        self._write({"kind": "moved", "machine": name} | key._asdict())

    def end(self) -> None:
        """Say that the run came to its end."""
        self._write({"kind": "end", "date": _now()})

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    def _measures(self, machine: Mapping[str, str]) -> None:
        """Describe a machine before its first row."""
        if machine["machine"] not in self._known:
            self._known.add(machine["machine"])
            self._write(to_record(origin(*self._about, machine)))

    def _write(self, entry: Mapping[str, Any]) -> None:
        kind_first = {"kind": entry["kind"], **entry}
        self._stream.write(json.dumps(kind_first, default=str) + "\n")
        self._stream.flush()


def origin(
    quick: bool, definition: str = "", measured_by: Mapping[str, str] | None = None
) -> Origin:
    """What identifies a run that begins now; `definition` is the hash of a user's problem.

    It is this machine's, or that of another that has the same code and versions.
    """
    where = dict(machine() if measured_by is None else measured_by)
    return Origin(commit(), code_hash(), quick, _now(), where, versions(), definition)


def same_run(file: RowFile, quick: bool, definition: str = "", *, anywhere: bool = False) -> bool:
    """Whether the rows of `file` could have been measured by this very code and machine.

    With `anywhere` the machine may be another one with the same Python.
    """
    now = origin(quick, definition)
    return bool(file.runs) and all(
        replace(run, commit=now.commit, date=now.date, machine=_compared(run, anywhere))
        == replace(now, machine=_compared(now, anywhere))
        for run in file.runs
    )


def _compared(run: Origin, anywhere: bool) -> dict[str, str]:
    """What of a machine has to be the same."""
    return {"python": run.machine.get("python", "")} if anywhere else run.machine


def set_aside(path: Path) -> Path | None:
    """Rename a file of rows, where it holds any, so that another can be begun in its place.

    Returns
    -------
    Path or None
        Its new name, which no report takes for results; ``None`` where there is nothing to keep.
    """
    if not path.exists():
        return None
    file = read_rows(path)
    if not file.rows and not file.claims:
        return None
    changed = time.strftime("%Y-%m-%dT%H%M%S", time.localtime(path.stat().st_mtime))
    kept = path.with_name(f"{path.name}.{changed}")
    path.replace(kept)
    return kept


def default_path(results: Path, folder: str | None = None) -> Path:
    """Where the rows of this commit go, beside asv's own results: into this machine's `folder`."""
    name = commit()[:8] or "uncommitted"
    return results / (folder or machine_name()) / f"{name}-rows.jsonl"


def chosen_path(results: Path, folder: str | None = None) -> tuple[Path, bool]:
    """The file of rows to use, and whether to measure everything anew.

    ``ADJOINTBENCH_ROWS`` names a file, which is added to. Otherwise it is the
    :func:`default_path`, which is added to only where an earlier run was cut off.
    """
    named = os.environ.get("ADJOINTBENCH_ROWS", "")
    if named:
        return Path(named), False
    path = default_path(results, folder)
    return path, path.exists() and read_rows(path).complete


def pick(rows: Iterable[Row], problem: str, method: str, device: str) -> list[Row]:
    """The ladder of one method on one problem, loosest tolerance first."""
    key = Key("", problem, method, device)
    return sorted((row for row in rows if row.key == key), key=lambda row: -row.rtol)


def _cut_off(path: Path) -> bool:
    """Whether the file ends in the middle of a line."""
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
