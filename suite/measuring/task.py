"""``Task``: what one measuring process is asked to do in one go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol

from .row import Key
from .timing import Silence


class Task(Protocol):
    """What is measured by one process, and closed by one line in the file of rows.

    A dataclass: the measuring process gets its fields, makes it anew and calls :meth:`rows`.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    #: The type of what it gives.
    gives: ClassVar[type]

    @property
    def task(self) -> str:
        """Its type, as one of :data:`adjointbench.suite.measuring.child.TASKS`."""
        ...

    @property
    def study(self) -> str:
        """What its rows are marked with; empty for a ladder of tolerances."""
        ...

    @property
    def problem(self) -> str:
        """The name of what is measured."""
        ...

    @property
    def method(self) -> str:
        """By which method; may be empty."""
        ...

    @property
    def device(self) -> str:
        """Where."""
        ...

    @property
    def timeout_s(self) -> float:
        """Seconds that it may take."""
        ...

    def rows(self, silence: Silence) -> Iterator[Any]:
        """Measure, in a measuring process, which takes its times in `silence`."""
        ...

    def unmeasured(self, measured: Sequence[Any], status: str, message: str) -> Iterator[Any]:
        """What there is to tell in place of the rows that are missing beside `measured`."""
        ...


def key_of(task: Task) -> Key:
    """What tells one task from another."""
    return Key(task.study, task.problem, task.method, task.device)
