"""What gradients say of their own errors, as tables: each estimate, each miss, and the shares."""

# pandas' own types say `Series | DataFrame` where a table goes in and a table comes out.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportCallIssue=false

from __future__ import annotations

import pandas as pd

from ...suite.measuring.error_bars import COARSE, NEAR, effectivity, honesty, is_within, shares
from ...suite.measuring.ladder import is_wrong
from .endings import says_so
from .frames import rows_of
from .shown_table import by_family

_SHOWN = ("problem", "method", "family", "rtol", "error", "estimated_error")


def estimates(rows: pd.DataFrame) -> pd.DataFrame:
    """One line an estimate that a true error stands beside.

    Parameters
    ----------
    rows : DataFrame
        The rows of one machine and commit.

    Returns
    -------
    DataFrame
        ``problem``, ``method``, ``family``, ``rtol``, ``error``, ``estimated_error``,
        ``effectivity`` (estimated over true error), ``reliable``, ``flagged`` (called
        inaccurate), and ``miss``: the number under which :func:`misses` names it, else 0.
    """
    found = rows[list(_SHOWN)].assign(
        effectivity=[effectivity(row) for row in rows_of(rows)],
        reliable=rows["error_reliable"].eq(True),
        flagged=says_so(rows),
    )
    found = found.astype({"effectivity": "float64"}).dropna(subset=["effectivity"])
    off = [not is_within(ratio, NEAR) for ratio in found["effectivity"]]
    places = found.loc[off].groupby(["problem", "rtol"], sort=True).ngroup() + 1
    return found.assign(miss=places.reindex(found.index, fill_value=0).astype(int))


def misses(lines: pd.DataFrame) -> pd.DataFrame:
    """Every estimate that is off by more than a factor of 3; those of one place share a number.

    Parameters
    ----------
    lines : DataFrame
        As from :func:`estimates`.
    """
    missed = lines[lines["miss"].gt(0)].sort_values(["miss", "method"], kind="stable")
    words = {True: "inaccurate", False: "ok"}
    return missed.assign(
        said=missed["flagged"].map(words),
        trusted=missed["reliable"].map({True: "yes", False: "no"}),
    )


def by_method(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a method that was asked for error bars.

    Returns
    -------
    DataFrame
        ``method``, ``family``; ``number`` of estimates of true errors below 0.3, and the shares of
        them within a factor of 2, ``close``, and of 3, ``near``; of all gradients that ended
        ``ok``, ``gradients``, those that are wrong, ``before``, those of them that an error bar
        does not tell, ``after``, and the false ``alarms``; ``cost`` of an error bar over the plain
        gradient, the median.
    """
    lines = []
    asked = rows[rows["error_bar_status"].notna()]
    for method, mine in asked.groupby("method", sort=False):
        measured = rows_of(mine)
        hits, found = shares(measured), honesty(measured)
        line = {"method": method, "family": mine["family"].iloc[0], "number": 0}
        line |= {} if hits is None else vars(hits)
        counts = {name: len(getattr(found, name)) for name in ("before", "after", "alarms")}
        cost = mine["error_bar_cost"].median()
        lines.append(line | {"gradients": found.gradients} | counts | {"cost": cost})
    names = ("method", "family", "number", "close", "near", "gradients")
    names += ("before", "after", "alarms", "cost")
    return by_family(pd.DataFrame(lines, columns=pd.Index(names)))


def unasked(rows: pd.DataFrame) -> int:
    """How many gradients are wrong and say ``ok``, of which no error bar was measured."""
    return sum(is_wrong(row) and row.error_bar_status is None for row in rows_of(rows))


def in_asymptotic_range(lines: pd.DataFrame) -> pd.DataFrame:
    """The estimates of true errors below 0.3, of which more is asked than that they are large."""
    return lines[lines["error"].lt(COARSE)]
