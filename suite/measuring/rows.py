"""The file of measured rows: one JSON object a line, written as the numbers come.

The first line (``"kind": "run"``) says on which machine, with which versions and for which
commit the rows were measured; ``"row"`` lines follow, a ``"done"`` line closes each method on
each problem, and ``"end"`` the whole run. A run that was cut off lacks some of these, and what
it has is used. Rows that belong to no ladder of tolerances name their ``"study"``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .code_key import code_hash
from .machine import commit, machine, machine_name, versions

Row = dict[str, Any]


@dataclass
class RowFile:
    """What was read from a file of rows.

    Attributes
    ----------
    path : Path
    run : dict
        The machine, versions and commit; empty where the file lacks them.
    rows : list of dict
        The rows, one a (study, problem, method, device, rtol): the last that was measured.
    done : set of tuple
        The (study, problem, method, device) that were measured to their end.
    complete : bool
        Whether the run came to its end.
    broken : int
        Lines that could not be read.
    """

    path: Path
    run: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    done: set[tuple[str, str, str, str]] = field(default_factory=set)
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
    rows: dict[tuple[Any, ...], Row] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = _parse(line)
        if entry is None:
            found.broken += 1
        elif entry["kind"] == "run":
            found.run = entry
        elif entry["kind"] == "row":
            where = (entry.get(k) for k in ("problem", "method", "device", "rtol"))
            rows[(study_of(entry), *where)] = entry
        elif entry["kind"] == "done":
            where = (entry["problem"], entry["method"], entry["device"])
            found.done.add((study_of(entry), *where))
        elif entry["kind"] == "end":
            found.complete = True
    found.rows = list(rows.values())
    return found


def _parse(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "kind" in entry else None


class RowWriter:
    """Appends to a file of rows, each line on disk before the next is measured."""

    def __init__(self, path: Path, *, anew: bool, quick: bool, definition: str = "") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._stream = path.open("w" if anew else "a", encoding="utf-8")
        if anew:
            self._write("run", run_header(quick, definition))
        else:
            self._stream.write("\n" if _cut_off(path) else "")

    def row(self, row: Row) -> None:
        """Append one measured row."""
        self._write("row", row)

    def done(self, study: str, problem: str, method: str, device: str) -> None:
        """Say that one method on one problem was measured to its end."""
        where = {"problem": problem, "method": method, "device": device}
        self._write("done", where | ({"study": study} if study else {}))

    def end(self) -> None:
        """Say that the run came to its end."""
        self._write("end", {"date": _now()})

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    def _write(self, kind: str, entry: dict[str, Any]) -> None:
        self._stream.write(json.dumps({"kind": kind} | entry, default=str) + "\n")
        self._stream.flush()


def run_header(quick: bool, definition: str = "") -> dict[str, Any]:
    """What identifies a run: machine, versions, commit, date, and a hash of the code.

    `definition` is the hash of the problem, where that is the user's own.
    """
    mine = {"definition": definition} if definition else {}
    return mine | {
        "commit": commit(),
        "code": code_hash(),
        "quick": quick,
        "date": _now(),
        "machine": machine(),
        "versions": versions(),
    }


def same_run(file: RowFile, quick: bool, definition: str = "") -> bool:
    """Whether the rows of `file` could have been measured by this very code and machine."""
    now = run_header(quick, definition)
    keys = ("code", "quick", "machine", "versions", "definition")
    return all(file.run.get(key) == now.get(key) for key in keys)


def set_aside(path: Path) -> Path | None:
    """Rename a file of rows, where it holds any, so that another can be begun in its place.

    Returns
    -------
    Path or None
        Its new name, which no report takes for results; ``None`` where there is nothing to keep.
    """
    if not path.exists() or not read_rows(path).rows:
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


def study_of(row: Row) -> str:
    """The study that a row was measured for; empty for the ladder of tolerances."""
    return row.get("study") or ""


def pick(rows: Iterable[Row], problem: str, method: str, device: str) -> list[Row]:
    """The ladder of one method on one problem, loosest tolerance first."""
    where = (problem, method, device)
    mine = [
        row
        for row in rows
        if not study_of(row) and (row["problem"], row["method"], row["device"]) == where
    ]
    return sorted(mine, key=lambda row: -row["rtol"])


def _cut_off(path: Path) -> bool:
    """Whether the file ends in the middle of a line."""
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
