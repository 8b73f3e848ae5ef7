"""Figures that sum up one method on one problem over its ladder of tolerances."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

import numpy as np

from .errors import LARGEST_ERROR, ROUNDING, WRONG
from .row import ClaimRow, Row

#: Where one tolerance must speak for the ladder, the measured one nearest to this does.
TYPICAL_RTOL = 1e-6


def typical_rtol(rtols: Iterable[float]) -> float:
    """The one of some tolerances that is nearest to 1e-6, on a logarithmic scale."""
    return min(rtols, key=lambda rtol: abs(math.log10(rtol / TYPICAL_RTOL)))


def is_right(row: Row) -> bool:
    """Whether it ended ``ok`` with an error under 10 %."""
    return row.status == "ok" and row.error is not None and row.error < WRONG


def is_wrong(row: Row) -> bool:
    """Whether it says ``ok``, without an error bar, and is more than 10 % off."""
    return row.status == "ok" and bool(row.referenced) and not is_right(row)


def share_right(rows: Sequence[Row]) -> float:
    """The share of the ladder that ended ``ok`` with an error under 10 %."""
    return sum(map(is_right, rows)) / len(rows)


def observed_order(rows: Sequence[Row]) -> float | None:
    """The slope of log error against log tolerance, by least squares.

    Returns
    -------
    float or None
        1 where the error is proportional to the tolerance, 0 where tightening does not help;
        ``None`` where fewer than two tolerances gave an error above rounding.
    """
    pairs = [(row.rtol, row.error) for row in rows if row.status == "ok"]
    points = [(r, e) for r, e in pairs if e is not None and ROUNDING < e < LARGEST_ERROR]
    if len(points) < 2:
        return None
    x, y = np.log10(points).T
    return float(np.polyfit(x, y, 1)[0])


def amplification(rows: Sequence[Row]) -> float | None:
    """The median of gradient error over the error of the loss; ``None`` where neither is known."""
    pairs = [(row.error, row.loss_error) for row in rows]
    factors = [e / loss for e, loss in pairs if e is not None and loss]
    return statistics.median(factors) if factors else None


def seconds_at_error(rows: Sequence[Row], error: float) -> float | None:
    """Seconds that a method takes for a given gradient error, on its own work–precision line.

    Parameters
    ----------
    rows : sequence of Row
        The ladder of one method on one problem.
    error : float
        The gradient error to reach.

    Returns
    -------
    float or None
        Between measured points by interpolation of logarithms; ``None`` where the error is not
        reached. A method that is more accurate already at its loosest tolerance takes that
        one's time.
    """
    loose: tuple[float, float] | None = None
    for row in sorted(rows, key=lambda row: -row.rtol):
        e, seconds = row.error, row.seconds
        if row.status != "ok" or e is None or seconds is None:
            continue
        if e <= error:
            return seconds if loose is None else _between(loose, (e, seconds), error)
        loose = (e, seconds)
    return None


def in_words(rows: Sequence[Row | ClaimRow]) -> str:
    """How a ladder ended: ``"2 ok, 1 max_steps, error 1e-03 … 2e-08"``."""
    statuses = [row.status for row in rows]
    told = ", ".join(f"{statuses.count(s)} {s}" for s in dict.fromkeys(statuses))
    errors = [r.error for r in rows if isinstance(r, Row) and r.error is not None]
    return f"{told}, error {max(errors):.0e} … {min(errors):.0e}" if errors else told


def _between(loose: tuple[float, float], tight: tuple[float, float], error: float) -> float:
    (e0, s0), (e1, s1) = loose, (max(tight[0], ROUNDING * 1e-6), tight[1])
    share = math.log(error / e0) / math.log(e1 / e0)
    return s0 * (s1 / s0) ** share
