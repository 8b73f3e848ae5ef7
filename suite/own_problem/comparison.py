"""What one comparison is: a problem, methods, a budget of time; and what comes of it.

The folder of a comparison holds ``rows.jsonl``, ordinary rows of a ladder of tolerances, and
``reference.json``, the certificate of a problem that has none in the zoo. See
:mod:`~adjointbench.suite.own_problem.run` for how it is measured.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ...problems import Problem
from ...problems.reference import Reference, find_reference
from ..measuring.job import Job
from ..measuring.names import problem_name, split_name
from ..measuring.quick import QUICK_ERROR_BARS
from ..measuring.row import Row
from .method_order import is_compiled

#: Relative tolerances, loosest first: enough to interpolate between, few enough for a minute.
RTOLS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-8)

#: Seconds for everything, where nothing else is asked for.
BUDGET_S = 120.0

#: Seconds of repeated calls behind each time.
CALLS_S = 0.1

#: Seconds that a compiler of PyTorch may take; with less left it is not worth a start.
COMPILING_S, LEAST_COMPILING_S = 150.0, 45.0

#: The part of the budget that one method may take, one that is compiled by PyTorch, and the
#: certificate; and the seconds that they may take at least.
SHARE, COMPILED_SHARE, CERTIFICATE_SHARE, LEAST_S = 0.3, 0.8, 0.6, 25.0


class Watch(Protocol):
    """Who is told how things go."""

    def say(self, line: str) -> None:
        """Take one line about something that has happened."""
        ...

    def began(self, name: str) -> None:
        """Take note that something is running."""
        ...

    def ended(self, name: str, line: str) -> None:
        """Take note that it runs no more, and of what came of it."""
        ...


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes
    ----------
    problem : Problem
    locator : str
        What leads a measuring process to it, where it is not of the zoo.
    methods : tuple of str
        With settings in parentheses where wanted.
    out : Path
        The folder of the comparison.
    rtols : tuple of float
    budget_s : float
        Seconds for everything.
    device : str
    as_stiff : bool
        Solve it as a stiff problem, although it does not say that it is one.
    """

    problem: Problem
    locator: str
    methods: tuple[str, ...]
    out: Path
    rtols: tuple[float, ...] = RTOLS
    budget_s: float = BUDGET_S
    device: str = "cpu"
    as_stiff: bool = False

    @property
    def name(self) -> str:
        """The problem's name in rows, tables and figures."""
        return problem_name(self.problem)

    @property
    def rows(self) -> Path:
        """The file of rows."""
        return self.out / "rows.jsonl"

    @property
    def references(self) -> Path:
        """The file of the reference that was certified here."""
        return self.out / "reference.json"

    def reference(self) -> Reference | None:
        """The reference of the zoo, else the one that was certified here, else ``None``."""
        return self.problem.reference or find_reference(
            self.problem.name, self.problem.definition_hash, self.references
        )

    def definition(self) -> str:
        """A hash of all that makes the problem what it is: other numbers, another hash."""
        problem = self.problem
        parts = (
            problem.definition_hash(),
            problem.stiff,
            problem.discontinuities,
            problem.jacobian is not None,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def job(self, method: str) -> Job:
        """The task that measures one method."""
        own = self.problem.reference is None
        return Job(
            problem=self.name,
            method=method,
            device=self.device,
            rtols=self.rtols,
            timeout_s=self.share_of(method),
            budget_s=CALLS_S,
            locator=self.locator,
            references=str(self.references.resolve()) if own else "",
            as_stiff=self.as_stiff,
            error_bars=split_name(method)[0] in QUICK_ERROR_BARS,
        )

    def share_of(self, method: str) -> float:
        """Seconds that one method may take, so that a hang leaves time for the others."""
        if is_compiled(method):
            return max(COMPILED_SHARE * self.budget_s, COMPILING_S)
        return max(SHARE * self.budget_s, LEAST_S)


@dataclass
class Outcome:
    """What came of a comparison.

    Attributes
    ----------
    rows : list of Row
        What the folder holds of these methods, on this device.
    reference : Reference or None
    left : list of str
        The methods for which no time was left.
    remarks : list of str
        What the user should know: how the reference was certified, what does not run where.
    as_stiff : bool
        Whether it was solved as a stiff problem, although it does not say that it is one.
    """

    rows: list[Row] = field(default_factory=list)
    reference: Reference | None = None
    left: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    as_stiff: bool = False


def default_folder(name: str) -> Path:
    """The folder for a problem of that name, in the current one."""
    return Path("compare-" + re.sub(r"[^\w.-]+", "-", name).strip("-"))
