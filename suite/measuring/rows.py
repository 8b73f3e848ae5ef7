"""The file of measured rows: written line by line as the numbers come, and read.

What its lines are is told in :mod:`.row`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
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
    run : Origin
        Machine, versions and commit; empty where the file lacks them.
    rows : list of Row
        Of the ladders and of the studies, each (key, rtol) once: the last that was measured.
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
    run: Origin = field(default_factory=Origin)
    rows: list[Row] = field(default_factory=list)
    claims: list[ClaimRow] = field(default_factory=list)
    done: set[Key] = field(default_factory=set)
    complete: bool = False
    broken: int = 0


def read_rows(path: Path) -> RowFile:
    """Read a file of rows; lines that are cut off or broken are counted and passed over.

    Raises
    ------
    OSError
        Where the file cannot be read at all.
    """
    found = RowFile(path)
    rows: dict[tuple[Key, float], Row] = {}
    claims: dict[Key, ClaimRow] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = _entry(line)
        if isinstance(entry, Origin):
            found.run = entry
        elif isinstance(entry, Row):
            rows[entry.key, entry.rtol] = entry
        elif isinstance(entry, ClaimRow):
            claims[entry.key] = entry
        elif isinstance(entry, Key):
            found.done.add(entry)
        elif entry == "end":
            found.complete = True
        found.broken += entry is None
    found.rows, found.claims = list(rows.values()), list(claims.values())
    return found


def _entry(line: str) -> Origin | Row | ClaimRow | Key | str | None:
    """What a line holds; another kind than these by its name, ``None`` where it is broken."""
    try:
        record = json.loads(line)
        kind = record["kind"]
        if kind == "run":
            return from_record(Origin, record)
        if kind == "row":
            return from_record(ClaimRow if record.get("study") == CLAIMS else Row, record)
        if kind == "done":
            return Key(**{name: record.get(name) or "" for name in Key._fields})
        return str(kind)
    except (ValueError, KeyError, TypeError):
        return None


class RowWriter:
    """Appends to a file of rows, each line on disk before the next is measured."""

    def __init__(self, path: Path, *, anew: bool, quick: bool, definition: str = "") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._stream = path.open("w" if anew else "a", encoding="utf-8")
        if anew:
            self._write(to_record(origin(quick, definition)))
        else:
            self._stream.write("\n" if _cut_off(path) else "")

    def row(self, row: Row | ClaimRow) -> None:
        """Append one measured row."""
        self._write(to_record(row))

    def done(self, key: Key) -> None:
        """Say that one method on one problem was measured to its end."""
        self._write({"kind": "done"} | key._asdict())

    def end(self) -> None:
        """Say that the run came to its end."""
        self._write({"kind": "end", "date": _now()})

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    def _write(self, entry: Mapping[str, Any]) -> None:
        kind_first = {"kind": entry["kind"], **entry}
        self._stream.write(json.dumps(kind_first, default=str) + "\n")
        self._stream.flush()


def origin(quick: bool, definition: str = "") -> Origin:
    """What identifies a run that begins now; `definition` is the hash of a user's problem."""
    return Origin(commit(), code_hash(), quick, _now(), machine(), versions(), definition)


def same_run(file: RowFile, quick: bool, definition: str = "") -> bool:
    """Whether the rows of `file` could have been measured by this very code and machine."""
    now = origin(quick, definition)
    return replace(file.run, commit=now.commit, date=now.date) == now


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


def default_path(results: Path) -> Path:
    """Where the rows of this machine and commit go, beside asv's own results."""
    name = commit()[:8] or "uncommitted"
    return results / machine_name() / f"{name}-rows.jsonl"


def chosen_path(results: Path) -> tuple[Path, bool]:
    """The file of rows to use, and whether to measure everything anew.

    ``ADJOINTBENCH_ROWS`` names a file, which is added to. Otherwise it is the
    :func:`default_path`, which is added to only where an earlier run was cut off.
    """
    named = os.environ.get("ADJOINTBENCH_ROWS", "")
    if named:
        return Path(named), False
    path = default_path(results)
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
