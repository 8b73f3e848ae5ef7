"""A time that a user allows, as text."""

from __future__ import annotations

import re

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def budget_seconds(text: str) -> float:
    """Seconds of a time as ``90``, ``90s``, ``2m`` or ``1h``.

    Raises
    ------
    ValueError
        Where it is none of these.
    """
    match = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([smh]?)\s*", text)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if seconds <= 0:
        raise ValueError(f"budget={text!r} must be a time, as in 90, 90s, 2m or 1h")
    return seconds
