"""Methods raced against each other at equal gradient error."""

from __future__ import annotations

import pandas as pd

from ...suite.measuring.ladder import seconds_at_error
from .frames import rows_of

#: Errors at which methods are raced, tightest first: the first that two methods reach counts.
RACES = (1e-8, 1e-6, 1e-4, 1e-2)


def race(rows: pd.DataFrame, error: float) -> pd.Series:
    """Seconds of each method at equal gradient error, fastest first; only who gets there."""
    times = {
        name: seconds_at_error(rows_of(ladder), error)
        for name, ladder in rows.groupby("method", sort=False)
    }
    return pd.Series(times, dtype=float).dropna().sort_values()
