"""The part of a report about an accelerator: what ``make gpu`` measured."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ...suite.gpu.studies import STUDIES
from ...suite.measuring import formats
from ..tables.shown_table import WHERE, Column, as_table
from .content import Part

_COLUMNS = (
    *WHERE,
    Column("device", "device"),
    Column("seconds", "time", formats.seconds),
    Column("error", "off the CPU", formats.error),
    Column("steps", "steps", formats.amount),
    Column("launches", "kernels", formats.amount),
    Column("waits", "waits", formats.amount),
    Column("status", "ended"),
    Column("message", "what it says"),
)

_NOTE = (
    "Off the CPU: the relative distance of the gradient from that of the same method, or of one "
    "system of many, on the CPU. Kernels and waits: of one gradient, as the framework's profiler "
    "counts them; on a CPU, operations that the framework runs one by one."
)


def device_parts(rows: pd.DataFrame, runs: Sequence[Mapping[str, Any]]) -> list[Part]:
    """A part for each study of a device; none where there are no rows of them.

    Parameters
    ----------
    rows : DataFrame
        The rows of one machine and commit; may be empty.
    runs : sequence of mapping
        The heads of the files of rows: they name the card.
    """
    if rows.empty:
        return []
    parts = []
    for study, heading in STUDIES.items():
        mine = rows[rows["study"].eq(study)]
        if not mine.empty:
            said = (f"On {_card(mine, runs)}.", *_disagreement(mine))
            table = as_table(mine, _COLUMNS)
            parts.append(Part(heading=heading, sentences=said, table=table, note=_NOTE))
    return parts


def _card(rows: pd.DataFrame, runs: Sequence[Mapping[str, Any]]) -> str:
    """The name of the card, or of the device where the machine told none."""
    machine = rows["machine"].iloc[0]
    cards = [run["machine"].get("gpu") for run in runs if run["machine"].get("machine") == machine]
    return next(filter(None, cards), " and ".join(dict.fromkeys(rows["device"])))


def _disagreement(rows: pd.DataFrame) -> list[str]:
    """Where the gradient is further from the CPU's than ten times the tolerance."""
    far = rows[rows["status"].eq("ok") & (rows["error"] > 10 * rows["rtol"])]
    pairs = zip(far["method"], far["problem"], strict=True)
    named = [f"{method} on {problem}" for method, problem in pairs]
    return [f"Further from the CPU than ten tolerances: {', '.join(named)}."] if named else []
