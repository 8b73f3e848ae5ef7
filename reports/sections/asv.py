"""What a report shows of asv's own figures: how many, and what broke."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false, reportReturnType=false

from __future__ import annotations

import pandas as pd

from ...suite.measuring import formats
from ..tables.shown_table import Column, as_table
from .content import Content


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
