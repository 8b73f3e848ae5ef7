"""When two times count as the same."""

from __future__ import annotations

#: A factor below which two times are called equal: machines are not more quiet than this.
NOISE = 1.2
