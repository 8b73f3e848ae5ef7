"""How a measured row ended: right, wrong, broken down, not done in its time, or not tried."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportReturnType=false, reportAttributeAccessIssue=false, reportArgumentType=false

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from ...suite.measuring.errors import WRONG
from ...suite.measuring.row import Row

SKIPPED, TIMEOUT = "skipped", "timeout"

#: What a reader sees of a method that was ended: the clock says nothing of its solver.
NOT_DONE = "not done in its time"
BROKE_DOWN = "broke down"
NOT_REACHED = "does not reach it"
ELSEWHERE = "timed on another machine"

#: What is said of a wrong gradient that had no error bar.
NOT_ASKED = "not asked"


def is_tried(rows: pd.DataFrame) -> pd.Series:
    """Which rows are of methods that took the problem on."""
    return rows["status"].ne(SKIPPED)


def is_right(rows: pd.DataFrame) -> pd.Series:
    """Which rows ended ``ok`` with an error under 10 %."""
    return rows["status"].eq("ok") & rows["error"].astype(float).lt(WRONG)


def is_wrong(rows: pd.DataFrame) -> pd.Series:
    """Which rows say ``ok`` and are wrong by more than 10 %, or hold no number."""
    referenced = rows["referenced"].eq(True)
    return rows["status"].eq("ok") & referenced & ~(rows["error"] < WRONG)


def says_so(rows: pd.DataFrame) -> pd.Series:
    """Which rows call themselves inaccurate, where they were asked for an error bar."""
    return rows["error_bar_status"].eq("inaccurate")


def wrong_in_words(row: Mapping[str, Any]) -> str:
    """What a cell says of a row that is wrong: whether it says so itself, with an error bar."""
    return "wrong, says so" if row["error_bar_status"] == "inaccurate" else "wrong"


def error_bars_in_words(rows: pd.DataFrame) -> str:
    """What their error bars say of rows that are wrong."""
    told, asked = int(says_so(rows).sum()), int(rows["error_bar_status"].notna().sum())
    if not asked:
        return NOT_ASKED
    if told == len(rows):
        return "says so itself"
    return f"says so itself {told} of {asked} times" if told else "ok"


def is_unfinished(rows: pd.DataFrame) -> pd.Series:
    """Which rows were ended by the clock, so that nothing is known of their solver."""
    return rows["status"].eq(TIMEOUT)


def is_broken(rows: pd.DataFrame) -> pd.Series:
    """Which rows broke down by themselves, with a status that says so."""
    return ~rows["status"].isin(["ok", SKIPPED, TIMEOUT])


def in_words(status: str) -> str:
    """A status as a cell shows it."""
    return "not done" if status == TIMEOUT else status


def counted(statuses: Iterable[str]) -> str:
    """How a ladder ended, most first: ``8 ok``, or ``5 ok, 3 max_steps``."""
    counts = pd.Series([in_words(status) for status in statuses]).value_counts()
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def why_missing(ladder: Sequence[Row]) -> str:
    """Why a method has no time at some error, by its tightest tolerance; or it ran elsewhere."""
    right = [row for row in ladder if row.status == "ok"]
    if right and all(row.seconds is None for row in right):
        return ELSEWHERE
    last = min(ladder, key=lambda row: row.rtol).status
    return {"ok": NOT_REACHED, TIMEOUT: NOT_DONE}.get(last, BROKE_DOWN)
