"""A figure with its spread: median and quartiles of times, median and range of few numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def quartiles(name: str, values: np.ndarray | Sequence[float]) -> dict[str, float]:
    """The median as `name`, the quartiles as ``name_low`` and ``name_high``."""
    low, middle, high = np.percentile(np.asarray(values, dtype=float), [25, 50, 75])
    return {name: float(middle), f"{name}_low": float(low), f"{name}_high": float(high)}


def extent(name: str, values: np.ndarray | Sequence[float]) -> dict[str, float]:
    """The median as `name`, the smallest and the largest as ``name_low`` and ``name_high``."""
    found = np.asarray(values, dtype=float)
    return {
        name: float(np.median(found)),
        f"{name}_low": float(found.min()),
        f"{name}_high": float(found.max()),
    }
