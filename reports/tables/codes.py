"""What was measured: a commit, with certain versions of the libraries; and which of them is meant.

A *code* is how the report names one: ``"1a2b3c4d"``, and ``"1a2b3c4d, jax 0.9.0"`` where the same
commit was measured with several versions of a library.
"""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

#: A run as its file of rows begins: ``commit``, ``date``, ``versions``, ``machine``.
Run = Mapping[str, Any]

_VERSION = re.compile(r"([\w.-]+)==([\w.+!-]+)")
_COMMIT = re.compile(r"[0-9a-f]{4,40}")


def name_codes(runs: Sequence[Run]) -> list[str]:
    """The code of each run: its commit, and the versions that tell it from others of that commit.

    Parameters
    ----------
    runs : sequence of mapping
        The heads of files of rows; one that is a ``"base"`` is told from the others by its date
        where nothing else does.

    Returns
    -------
    list of str
        In the order of `runs`.
    """
    named = [_code(run, runs) for run in runs]
    others = {name for name, run in zip(named, runs, strict=True) if not run.get("base")}
    return [
        f"{name} of {run.get('date', '')[:16]}" if run.get("base") and name in others else name
        for name, run in zip(named, runs, strict=True)
    ]


def _code(run: Run, runs: Sequence[Run]) -> str:
    """The commit, with the versions that differ from those of its other runs on this machine."""
    alike = [other for other in runs if _origin(other) == _origin(run)]
    told = [
        f"{package} {version}"
        for package, version in run.get("versions", {}).items()
        if any(other.get("versions", {}).get(package) != version for other in alike)
    ]
    return ", ".join([_commit(run), *told])


def _origin(run: Run) -> tuple[str, str]:
    return _commit(run), machine_of(run)


def machine_of(run: Run) -> str:
    """The name of the machine of a run."""
    return str(run.get("machine", {}).get("machine", "unknown"))


def _commit(run: Run) -> str:
    return str(run.get("commit", ""))[:8]


def version_changes(old: Sequence[Run], new: Sequence[Run]) -> list[str]:
    """The libraries whose versions differ between two sides, as ``"jax 0.9.0 → 0.10.2"``."""
    before, after = (_versions(runs) for runs in (old, new))
    return [
        f"{package} {before.get(package, 'none')} → {after.get(package, 'none')}"
        for package in dict.fromkeys([*before, *after])
        if before.get(package) != after.get(package)
    ]


def changed_packages(old: Sequence[Run], new: Sequence[Run]) -> set[str]:
    """The names of the libraries whose versions differ between two sides."""
    return {change.partition(" ")[0] for change in version_changes(old, new)}


def _versions(runs: Sequence[Run]) -> dict[str, str]:
    return {name: version for run in runs for name, version in run.get("versions", {}).items()}


def in_order(table: pd.DataFrame, column: str = "code") -> list[str]:
    """The codes, or the commits, in a table of rows or of benchmarks, oldest date first."""
    return [str(name) for name in table.groupby(column)["date"].max().sort_values().index]


def find_code(base: str, runs: Sequence[Run], newest: str) -> str:
    """The code that `base` means, by the runs that were read.

    Parameters
    ----------
    base : str
        The beginning of a commit, anything that git knows (``"main~1"``, a tag), a version of a
        library as in ``"jax==0.9.0"``, or the path of the runs that are marked ``"base"``.
    runs : sequence of mapping
        The heads of the files, each with its ``code``.
    newest : str
        The code that is compared with it, which is not meant.

    Raises
    ------
    ValueError
        Where no run is of it; the message lists those that there are.
    """
    others = [run for run in runs if run["code"] != newest]
    found = [run for run in others if run.get("base")]
    found = found or [run for run in others if _is_meant(base, run)]
    if not found and (commit := _known_to_git(base)):
        found = [run for run in others if str(run.get("commit", "")) == commit]
    if found:
        return str(max(found, key=lambda run: run["date"])["code"])
    listed = "; ".join(
        f"{run['code']} of {run['date'][:16]}" for run in sorted(others, key=lambda r: r["date"])
    )
    raise ValueError(
        f"compare={base!r}: nothing else was measured with it; pass a file or folder of results, a "
        f"commit, or a version as jax==0.9.0, of: {listed or 'nothing, there is one run only'}"
    )


def _is_meant(base: str, run: Run) -> bool:
    version = _VERSION.fullmatch(base)
    if version is not None:
        return run.get("versions", {}).get(version[1]) == version[2]
    commit = str(run.get("commit", ""))
    return base == run["code"] or (_COMMIT.fullmatch(base) is not None and commit.startswith(base))


def _known_to_git(name: str) -> str:
    """The commit that git knows by this name; empty where there is none."""
    asked = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return answer.stdout.strip()
