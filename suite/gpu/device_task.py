"""``DeviceTask``: one thing to measure on an accelerator, by a process of one framework.

Two frameworks in one process would fight for the memory of the card, and a part that hangs must
not take the others' time: so each part is a task with its own limit, and says which process it is
for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...adjoints.methods import get_method
from ..measuring.names import split_name
from ..measuring.row import Row, message_of
from ..measuring.task import Task
from ..measuring.timing import Silence


@dataclass(frozen=True, kw_only=True)
class DeviceTask(Task):
    """One method on one problem on one device, at one relative tolerance.

    `budget_s` is for the repeated calls behind each time.
    """

    gives = Row

    rtol: float = 1e-6
    budget_s: float = 0.3

    @property
    def backend(self) -> str:
        """The framework that it is measured with."""
        return get_method(split_name(self.method)[0]).backend

    def rows(self, silence: Silence) -> Iterator[Row]:
        """The rows of the part; what it raises is a row too."""
        try:
            yield from self.measured(silence)
        except ImportError as missing:
            yield replace(self._about(), status="skipped", message=message_of(missing))
        except ValueError as refusal:
            yield replace(self._about(), status="skipped", message=str(refusal))
        except Exception as error:
            told = message_of(error)
            yield replace(self._about(), status="failed", message=told, exception=True)

    def measured(self, silence: Silence) -> Iterator[Row]:
        """The rows, where nothing is raised."""
        raise NotImplementedError

    def unmeasured(self, measured: Sequence[Row], status: str, message: str) -> Iterator[Row]:
        """A row for the device, where there is none yet."""
        if not any(row.device == self.device for row in measured):
            yield replace(
                self._about(),
                status=status,
                message=message,
                exception=status == "failed",
                allowed_s=self.allowed_s if status == "timeout" else None,
            )

    def _about(self) -> Row:
        """What is known of it before anything is measured."""
        entry = get_method(split_name(self.method)[0])
        return Row(
            problem=self.problem,
            method=self.method,
            family=entry.family,
            backend=entry.backend,
            device=self.device,
            rtol=self.rtol,
            status="",
            study=self.study,
        )
