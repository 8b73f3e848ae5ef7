"""Files of rows from several machines, or of several days, as one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..problems.files import replacing
from .claims.claim import judge_row
from .claims.table import CLAIMS, claim_of
from .measuring.formats import count, power
from .measuring.ladder import is_right, is_wrong
from .measuring.row import ClaimRow, Key, Origin, Row, to_record
from .measuring.rows import Place, RowFile, place_of, read_rows

#: How many of the places at which verdicts differ are named.
_NAMED = 5


@dataclass(frozen=True)
class Merged:
    """What came of merging.

    Attributes
    ----------
    rows : int
        How many rows, claims included.
    machines : list of str
    sentences : list of str
        What was replaced, and what differs: versions, commits, verdicts.
    """

    rows: int
    machines: list[str]
    sentences: list[str]


@dataclass(frozen=True)
class _Part:
    """What one run of a file has measured."""

    file: Path
    run: Origin
    rows: Sequence[Row | ClaimRow]

    @property
    def machine(self) -> str:
        return self.run.machine.get("machine", "unknown")


def merge(paths: Iterable[Path], out: Path) -> Merged:
    """Write the rows of several files into one; of the same place on a machine, the newest.

    Parameters
    ----------
    paths : iterable of Path
        Files of rows, or folders that hold some.
    out : Path
        May be one of them; nothing else is overwritten.

    Raises
    ------
    ValueError
        Where one holds no rows, `out` is there already, or two are of different problems of the
        same name.
    """
    paths = list(paths)
    files = [_read(path) for path in _files(paths)]
    if out.exists() and out.resolve() not in [file.path.resolve() for file in files]:
        raise ValueError(
            f"out={str(out)!r} is there already; name another file, or give it as one of those to "
            "be merged"
        )
    parts = sorted((part for file in files for part in _parts(file)), key=lambda p: p.run.date)
    _check_definitions(parts)
    newest = {place_of(row): (row, part) for part in parts for row in part.rows}
    done = {key for file in files for key in file.done}
    _write(out, parts, newest, done, complete=all(file.complete for file in files))
    machines = list(dict.fromkeys(part.machine for part in parts))
    sentences = [*_broken(files), *_replaced(parts, newest), *_differences(parts)]
    sentences += _verdicts([row for row, _ in newest.values()])
    return Merged(len(newest), machines, sentences)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inside = sorted(path.rglob("*.jsonl"))
            if not inside:
                raise ValueError(f"{path}: no file of rows (.jsonl) is in this folder")
            yield from inside
        else:
            yield path


def _read(path: Path) -> RowFile:
    file = read_rows(path)
    if not file.runs:
        raise ValueError(
            f"{path}: no file of rows, as its first line does not say which machine has measured; "
            "'adjointbench bench --out FILE' makes one"
        )
    if not file.rows and not file.claims:
        raise ValueError(f"{path}: holds no measured row")
    return file


def _parts(file: RowFile) -> Iterator[_Part]:
    for run, rows, claims in file.parts():
        yield _Part(file.path, run, [*rows, *claims])


def _check_definitions(parts: Sequence[_Part]) -> None:
    """Refuse two problems of a user that have one name."""
    defined: dict[str, _Part] = {}
    for part in parts:
        for name in {row.problem for row in part.rows if part.run.definition}:
            other = defined.setdefault(name, part)
            if other.run.definition != part.run.definition:
                raise ValueError(
                    f"{other.file} and {part.file} are of different problems that are both called "
                    f"{name}"
                )


def _write(
    out: Path,
    parts: Sequence[_Part],
    newest: Mapping[Place, tuple[Row | ClaimRow, _Part]],
    done: Iterable[Key],
    *,
    complete: bool,
) -> None:
    lines = []
    for part in parts:
        kept = [row for row, of in newest.values() if of is part]
        if kept:
            lines.append(to_record(part.run))
            lines += [to_record(replace(row, machine=part.machine)) for row in kept]
    lines += [{"kind": "done"} | key._asdict() for key in sorted(done)]
    lines += [{"kind": "end", "date": max(part.run.date for part in parts)}] if complete else []
    with replacing(out) as unfinished, unfinished.open("w", encoding="utf-8") as stream:
        for line in lines:
            stream.write(json.dumps({"kind": line["kind"], **line}, default=str) + "\n")


def _broken(files: Sequence[RowFile]) -> Iterator[str]:
    for file in files:
        if file.broken:
            yield f"{file.path}: {count(file.broken, 'line')} cannot be read and is left out"
        if not file.complete:
            yield f"{file.path}: the run was cut off; what it had measured is taken"


def _replaced(
    parts: Sequence[_Part], newest: Mapping[Place, tuple[Row | ClaimRow, _Part]]
) -> Iterator[str]:
    for part in parts:
        older = sum(newest[place_of(row)][1] is not part for row in part.rows)
        if older:
            yield f"{part.file}: {count(older, 'row')} of {part.machine} replaced by newer ones"


def _differences(parts: Sequence[_Part]) -> Iterator[str]:
    """Commits, code and versions that are not the same everywhere."""
    commits = _by_value(parts, lambda run: run.commit[:8] or "unknown")
    if len(commits) > 1:
        yield f"commits differ: {_told(commits)}"
    if len(_by_value(parts, lambda run: run.code)) > 1:
        yield "what a number depends on differs: the code that measured is not the same everywhere"
    for package in dict.fromkeys(name for part in parts for name in part.run.versions):
        found = _by_value(parts, lambda run, name=package: run.versions.get(name, "none"))
        if len(found) > 1:
            yield f"{package} differs: {_told(found)}"
    pythons = _by_value(parts, lambda run: run.machine.get("python", "unknown"))
    if len(pythons) > 1:
        yield f"Python differs: {_told(pythons)}"


def _by_value(parts: Sequence[_Part], value: Callable[[Origin], str]) -> dict[str, list[str]]:
    """The machines that have each value."""
    found: dict[str, list[str]] = {}
    for part in parts:
        names = found.setdefault(value(part.run), [])
        if part.machine not in names:
            names.append(part.machine)
    return found


def _told(found: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{value} on {', '.join(names)}" for value, names in found.items())


def _verdicts(rows: Sequence[Row | ClaimRow]) -> Iterator[str]:
    """Where machines do not agree on how it ended."""
    by_place: dict[tuple[Key, float], dict[str, str]] = {}
    for row in rows:
        machine, key, rtol = place_of(row)
        by_place.setdefault((key, rtol), {})[machine or "unknown"] = _verdict(row)
    shared = {place: said for place, said in by_place.items() if len(said) > 1}
    differ = {place: said for place, said in shared.items() if len(set(said.values())) > 1}
    if not shared:
        return
    yield f"verdicts differ in {len(differ)} of {len(shared)} places that several have measured"
    for (key, rtol), said in list(differ.items())[:_NAMED]:
        where = " ".join(filter(None, (key.problem, key.method)))
        where += f" at rtol {power(rtol)}" if rtol else ""
        yield f"{where}: {', '.join(f'{word} on {name}' for name, word in said.items())}"


def _verdict(row: Row | ClaimRow) -> str:
    if isinstance(row, ClaimRow):
        known = any(claim.key == row.number for claim in CLAIMS)
        return judge_row(claim_of(row.number), row).word if known else row.status
    return "right" if is_right(row) else "wrong" if is_wrong(row) else row.status
