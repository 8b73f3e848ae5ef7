"""``Job``: what one measuring process is asked to measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...adjoints.methods import get_method
from .measure import ATOL_SCALE
from .names import split_name
from .rows import Row


@dataclass(frozen=True)
class Job:
    """One method on one problem on one device, over a ladder of tolerances.

    `study` is empty where the rows are those of an ordinary ladder; `task` says to the measuring
    process what to do (see :data:`adjointbench.suite.measuring.worker.TASKS`). `locator` is where a
    problem stands that is not of the zoo, `references` the file that holds its reference;
    `as_stiff` has it solved as a stiff one, whatever it says of itself.
    """

    problem: str
    method: str
    device: str
    rtols: tuple[float, ...]
    timeout_s: float
    budget_s: float
    atol_scale: float = ATOL_SCALE
    study: str = ""
    task: str = "ladder"
    locator: str = ""
    references: str = ""
    as_stiff: bool = False

    def unmeasured(self, measured: Sequence[Row]) -> Iterator[Row]:
        """What the missing rows would have been about, where the job was cut off."""
        entry = get_method(split_name(self.method)[0])
        about = {
            "problem": self.problem,
            "method": self.method,
            "device": self.device,
            "family": entry.family,
            "backend": entry.backend,
            "phase": None,
            **({"stiff": True} if self.as_stiff else {}),
        }
        for rtol in self.rtols:
            if rtol not in [row["rtol"] for row in measured]:
                yield about | {"rtol": rtol}
