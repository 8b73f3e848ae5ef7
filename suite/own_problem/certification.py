"""A certified reference for a problem that has none, in a measuring process."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...adjoints.certify import CertificationError, ContradictionError, certify
from ...problems import Problem
from ...problems.reference import save_references
from ..measuring.errors import WRONG
from ..measuring.names import get_problem
from ..measuring.rows import Row
from ..measuring.timing import Silence

STUDY = "certify"

#: Factors on the tolerances of a certificate, whether an implicit solver is to be used, and the
#: part of the time that is left for it; in the order in which they are tried.
STIFF_ATTEMPTS = ((1.0, True, 0.6), (1e3, True, 0.6), (1e5, True, 1.0))
ATTEMPTS = ((1.0, False, 0.35), (1.0, True, 0.6), (1e3, False, 0.6), (1e5, False, 1.0))


#: The solvers by which a certificate shows that the problem is stiff.
IMPLICIT = ("radau", "rodas5p", "bdf")


@dataclass(frozen=True)
class Certificate:
    """One attempt at a certificate: a task whose one row says how it went.

    The process writes the reference into the file `references` itself, for the problem at
    `locator`. It may take the part `share` of the time that is left.
    """

    problem: str
    locator: str
    references: str
    loosened: float
    as_stiff: bool
    share: float
    timeout_s: float = 0.0
    differentiable: bool = True
    method: str = ""
    device: str = "cpu"
    study: str = STUDY
    task: str = "certify"

    def unmeasured(self, measured: Sequence[Row]) -> Iterator[Row]:
        """The row of an attempt that was cut off."""
        yield {"problem": self.problem}

    def describe(self) -> str:
        """What is special about the attempt."""
        words = ["the tightest tolerances"]
        if self.loosened != 1.0:
            words = [f"tolerances loosened by {self.loosened:g}"]
        words += ["implicit solvers"] if self.as_stiff else []
        words += [] if self.differentiable else ["on NumPy alone"]
        return ", ".join(words)


def attempts(problem: Problem, name: str, locator: str, references: Path) -> Iterator[Certificate]:
    """What to try in turn until one gives a reference; their times are to be set."""
    for loosened, as_stiff, share in STIFF_ATTEMPTS if problem.stiff else ATTEMPTS:
        yield Certificate(name, locator, str(references), loosened, as_stiff, share)


def rows_of_certificate(job: Mapping[str, Any], silence: Silence) -> Iterator[Row]:
    """Certify, and write the reference where it can be believed; the one row of the task."""
    problem = get_problem(job["locator"] or job["problem"])
    solved = dataclasses.replace(problem, stiff=job["as_stiff"])
    try:
        found = certify(solved, loosened=job["loosened"], differentiable=job["differentiable"])
    except ContradictionError as error:
        yield {"status": "failed", "message": str(error), "contradicted": True}
        return
    except (CertificationError, ValueError) as error:
        yield {"status": "failed", "message": str(error)}
        return
    except Exception as error:
        yield {"status": "failed", "message": f"{type(error).__name__}: {error}".splitlines()[0]}
        return
    if not found.agreement < WRONG:
        yield {"status": "failed", "message": f"the two differ by {found.agreement:.0e}"}
        return
    command = f"adjointbench compare {job['locator'] or job['problem']}"
    reference = dataclasses.replace(
        found, command=command, definition_hash=problem.definition_hash()
    )
    save_references([reference], Path(job["references"]))
    yield {"status": "ok", "message": "", "agreement": found.agreement}
