"""What a report shows of asv's own figures: how many, what broke, and what changed most."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import pandas as pd

from ...suite.measuring import formats
from ...suite.measuring.equal_times import NOISE
from ..tables.codes import in_order
from ..tables.shown_table import Column, as_table
from .content import Content, Part

#: Changes of asv's figures that the page lists.
MOST_CHANGES = 40


def add_benchmarks(content: Content, asv: pd.DataFrame) -> None:
    """Put the figures of asv itself into `content`.

    Parameters
    ----------
    content : Content
        Gets how many figures there are, and what broke.
    asv : DataFrame
        As ``Measurements.asv``; may be empty.
    """
    if asv.empty:
        return
    counts = asv.groupby("benchmark")["status"].value_counts().unstack(fill_value=0)
    counts = counts.reindex(columns=pd.Index(["ok", "skipped", "failed"]), fill_value=0)
    whole = [Column(name, name, formats.amount) for name in counts.columns]
    content.benchmarks = as_table(counts.reset_index(), (Column("benchmark", "benchmark"), *whole))
    failed = asv[asv["status"].eq("failed")].assign(
        parameters=lambda t: t["parameters"].map(", ".join)
    )
    columns = [Column(name, name) for name in ("benchmark", "parameters", "machine", "commit")]
    content.broken_benchmarks = as_table(failed, columns)


def benchmark_changes(asv: pd.DataFrame) -> list[Part]:
    """The part about the figures of asv that changed most between its last two commits."""
    names = in_order(asv, "commit") if not asv.empty else []
    if len(names) < 2:
        return []
    changes = compare_benchmarks(asv, names[-2], names[-1]).head(MOST_CHANGES)
    changes = changes.assign(parameters=changes["parameters"].map(", ".join))
    columns = (
        *(Column(name, name) for name in ("benchmark", "parameters", "machine")),
        Column("value_old", names[-2], formats.amount),
        Column("value_new", names[-1], formats.amount),
    )
    shown = as_table(changes, columns)
    return [Part(heading="asv's figures that changed most", table=shown)] if shown else []


def compare_benchmarks(asv: pd.DataFrame, old: str, new: str) -> pd.DataFrame:
    """The figures of asv itself at two commits, those that changed most first.

    Parameters
    ----------
    asv : DataFrame
        As ``Measurements.asv``.
    old, new : str
        Two of its commits.

    Returns
    -------
    DataFrame
        ``value_old``, ``value_new`` and their difference ``change``; times that changed by less
        than :data:`~adjointbench.suite.measuring.equal_times.NOISE` are left out.
    """
    by = ["benchmark", "parameters", "machine"]
    ok = asv[asv["status"].eq("ok")]
    sides = [ok[ok["commit"].eq(commit)][[*by, "unit", "value"]] for commit in (old, new)]
    both = sides[0].drop(columns="unit").merge(sides[1], on=by, suffixes=("_old", "_new"))
    both["change"] = both["value_new"] - both["value_old"]
    size = both["change"].abs() / both["value_old"].abs().where(both["value_old"] != 0, 1.0)
    chance = both["unit"].eq("seconds") & size.lt(NOISE - 1)
    shown = both.assign(size=size)[~chance & both["change"].ne(0)]
    return shown.sort_values("size", ascending=False).drop(columns=["size", "unit"])
