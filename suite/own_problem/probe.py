"""A task that tells whether the equations of a problem run on a backend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...adjoints.trial import FRAMEWORKS, why_not
from ...problems.functions import LABELS as FRAMEWORK_LABELS
from ..measuring.names import get_problem
from ..measuring.task import Task
from ..measuring.timing import Silence

#: The backends that are probed; a problem ran on NumPy when it was made.
BACKENDS = FRAMEWORKS

LABELS = {**FRAMEWORK_LABELS, "scipy": "SciPy"}


@dataclass(frozen=True)
class Probed:
    """Whether the equations run: ``"ok"``, or a sentence why not."""

    status: str
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Probe(Task):
    """A task that tells whether the equations, and their derivatives, run on a backend."""

    name = "probe"
    gives = Probed

    locator: str

    def rows(self, silence: Silence) -> Iterator[Probed]:
        """The one answer."""
        sentence = why_not(get_problem(self.locator or self.problem), self.method)
        yield Probed("failed" if sentence else "ok", sentence)

    def unmeasured(self, measured: Sequence[Any], status: str, message: str) -> Iterator[Probed]:
        """The answer of a probe that was cut off."""
        yield Probed(status, message)
