"""``Task``: what one measuring process is asked to do in one go."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from .row import Key, to_record
from .timing import Silence


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is measured by one process, and closed by one line in the file of rows.

    The measuring process gets the fields, makes the task anew and calls :meth:`rows`.

    Attributes
    ----------
    name : str
        What it is called in :data:`adjointbench.suite.measuring.child.TASKS`.
    gives : type
        The type of its rows.
    problem, method, device : str
        What is measured, by which method, where.
    study : str
        What its rows are marked with; empty for a ladder of tolerances.
    timeout_s : float
        Seconds that it may take.
    left_s : float
        Seconds that there are for all tasks, after which it is cut off.
    """

    name: ClassVar[str]
    gives: ClassVar[type]

    problem: str
    method: str = ""
    device: str = "cpu"
    study: str = ""
    timeout_s: float = 0.0
    left_s: float = math.inf

    @property
    def allowed_s(self) -> float:
        """Seconds after which it is stopped."""
        return min(self.timeout_s, self.left_s)

    @property
    def key(self) -> Key:
        """What tells it from other tasks."""
        return Key(self.study, self.problem, self.method, self.device)

    def record(self) -> dict[str, Any]:
        """What another process makes the task anew from, as JSON holds it."""
        return {"name": self.name} | to_record(self)

    def rows(self, silence: Silence) -> Iterator[Any]:
        """Measure, in a measuring process, which takes its times in `silence`."""
        raise NotImplementedError

    def unmeasured(self, measured: Sequence[Any], status: str, message: str) -> Iterator[Any]:
        """What there is to tell in place of the rows that are missing beside `measured`."""
        raise NotImplementedError
