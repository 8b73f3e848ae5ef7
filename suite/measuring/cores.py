"""The cores that this process may run on."""

from __future__ import annotations

import os


def usable_cores() -> set[int]:
    """Their numbers; all of the machine where the system does not tell."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))
