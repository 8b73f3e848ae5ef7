"""``Attempt``: a task that is at work on a member of a cluster."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from ..measuring.task import Task
from .members import Member

#: Seconds beyond its own time after which a task that began is taken for lost.
GRACE_S = 120.0


@dataclass
class Attempt:
    """What is known of it: the future, the rows so far, and when it began."""

    task: Task
    member: Member
    future: Any
    texts: list[str] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)
    began: float | None = None

    @property
    def is_late(self) -> bool:
        """Whether it should long have ended; others on its machine stop it for their times."""
        limit = self.task.allowed_s * self.member.places + GRACE_S
        return self.began is not None and time.monotonic() - self.began > limit
