"""Two commits, or two machines, side by side."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import pandas as pd

from .tables import KEY

#: A factor below which two times are called equal: machines are not more quiet than this.
NOISE = 1.2


def commits(table: pd.DataFrame) -> list[str]:
    """The commits in a table of rows or of benchmarks, oldest date first."""
    dated = table.groupby("commit")["date"].max().sort_values()
    return [str(commit) for commit in dated.index]


def compare_commits(rows: pd.DataFrame, old: str, new: str) -> pd.DataFrame:
    """How time, error and success changed from one commit to another, on the same machine.

    Parameters
    ----------
    rows : DataFrame
        As from :func:`~adjointbench.reports.read.read_measurements`.
    old, new : str
        Two of its commits.

    Returns
    -------
    DataFrame
        One line a (problem, method, device, machine) measured at both: ``time`` and ``error``
        are medians over the ladder of new over old, ``right_old`` and ``right_new`` count
        tolerances that ended ``ok``, and ``verdict`` says it in a word. What changed comes
        first.
    """
    by = [name for name in KEY if name != "commit"]
    sides = [rows[rows["commit"].eq(commit)] for commit in (old, new)]
    both = sides[0].merge(sides[1], on=[*by, "rtol"], suffixes=("_old", "_new"))
    both["time"] = both["seconds_new"] / both["seconds_old"]
    both["error"] = both["error_new"] / both["error_old"].where(both["error_old"] > 0)
    for side in ("old", "new"):
        both[f"right_{side}"] = both[f"status_{side}"].eq("ok")
    table = both.groupby(by, sort=True).agg(
        time=("time", "median"),
        error=("error", "median"),
        right_old=("right_old", "sum"),
        right_new=("right_new", "sum"),
    )
    table["verdict"] = [_word(line) for _, line in table.iterrows()]
    changed = table["verdict"].ne("same")
    return pd.concat([table[changed], table[~changed]]).reset_index()


def _word(line: pd.Series) -> str:
    if line["right_new"] < line["right_old"]:
        return "breaks down more often"
    if line["right_new"] > line["right_old"]:
        return "breaks down less often"
    words = []
    if line["error"] > 2 or line["error"] < 0.5:
        words.append("less accurate" if line["error"] > 2 else "more accurate")
    if line["time"] > NOISE or line["time"] < 1 / NOISE:
        words.append("slower" if line["time"] > 1 else "faster")
    return ", ".join(words) or "same"


def compare_machines(table: pd.DataFrame) -> pd.DataFrame:
    """Seconds a gradient at the typical tolerance, a column a machine.

    Parameters
    ----------
    table : DataFrame
        As from :func:`~adjointbench.reports.tables.summary`, of one commit a machine.
    """
    wide = table.pivot_table(
        index=["problem", "method", "device"], columns="machine", values="seconds", sort=False
    )
    return wide.reset_index()


def compare_benchmarks(asv: pd.DataFrame, old: str, new: str) -> pd.DataFrame:
    """The figures of asv itself at two commits, those that changed most first.

    Parameters
    ----------
    asv : DataFrame
        As ``Measurements.asv``.
    old, new : str
        Two of its commits.
    """
    by = ["benchmark", "parameters", "machine"]
    ok = asv[asv["status"].eq("ok")]
    sides = [ok[ok["commit"].eq(commit)][[*by, "value"]] for commit in (old, new)]
    both = sides[0].merge(sides[1], on=by, suffixes=("_old", "_new"))
    both["change"] = both["value_new"] - both["value_old"]
    size = both["change"].abs() / both["value_old"].abs().where(both["value_old"] != 0, 1.0)
    return both.assign(size=size).sort_values("size", ascending=False).drop(columns="size")
