"""A certified reference for a problem that has none, in a measuring process."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...adjoints.certify import CertificationError, ContradictionError, certify
from ...problems.reference import save_references
from ..measuring.errors import WRONG
from ..measuring.names import get_problem
from ..measuring.row import message_of
from ..measuring.task import Task
from ..measuring.timing import Silence

#: Factors on the tolerances of a certificate, and the part of the time that is left for it; in
#: the order in which they are tried.
ATTEMPTS = ((1.0, 0.75), (1e3, 0.75), (1e5, 1.0))

#: The solvers by which a certificate shows that the problem is stiff.
IMPLICIT = ("radau", "rodas5p", "bdf")


@dataclass(frozen=True)
class Certified:
    """How an attempt went.

    `agreement` is that of the two computations, where they agree; `contradicted` says that the
    loss itself contradicts them, so that another attempt would not help.
    """

    status: str
    message: str = ""
    agreement: float | None = None
    contradicted: bool = False


@dataclass(frozen=True, kw_only=True)
class Certificate(Task):
    """One attempt at a certificate, as a task, of the problem with this `definition`.

    The process writes the reference into the file `references` itself, for the problem at
    `locator`. It may take the part `share` of the time that is left.
    """

    name = "certify"
    gives = Certified

    locator: str
    references: str
    loosened: float
    as_stiff: bool
    share: float
    definition: str
    differentiable: bool = True

    def rows(self, silence: Silence) -> Iterator[Certified]:
        """The one answer."""
        try:
            yield self._certified()
        except ContradictionError as error:
            yield Certified("failed", str(error), contradicted=True)
        except (CertificationError, ValueError) as error:
            yield Certified("failed", str(error))
        except Exception as error:
            yield Certified("failed", message_of(error))

    def _certified(self) -> Certified:
        """Certify, and write the reference where it can be believed."""
        place = self.locator or self.problem
        problem = get_problem(place)
        if problem.definition_hash() != self.definition:
            raise ValueError(
                "the problem is another one in each process that makes it; set a seed before what "
                "is random in it, as np.random.default_rng(0) or torch.manual_seed(0)"
            )
        solved = dataclasses.replace(problem, stiff=self.as_stiff)
        found = certify(solved, loosened=self.loosened, differentiable=self.differentiable)
        if not found.agreement < WRONG:
            return Certified("failed", f"the two differ by {found.agreement:.0e}")
        reference = dataclasses.replace(
            found,
            command=f"adjointbench compare {place}",
            definition_hash=self.definition,
        )
        save_references([reference], Path(self.references))
        return Certified("ok", agreement=found.agreement)

    def unmeasured(
        self, measured: Sequence[Certified], status: str, message: str
    ) -> Iterator[Certified]:
        """The answer of an attempt that was cut off."""
        yield Certified(status, message)

    def describe(self) -> str:
        """What is special about the attempt."""
        words = ["the tightest tolerances"]
        if self.loosened != 1.0:
            words = [f"tolerances loosened by {self.loosened:g}"]
        words += ["implicit solvers"] if self.as_stiff else []
        words += [] if self.differentiable else ["on NumPy alone"]
        return ", ".join(words)


def attempts(
    name: str,
    locator: str,
    references: Path,
    *,
    definition: str,
    as_stiff: bool,
    differentiable: bool,
) -> Iterator[Certificate]:
    """What to try in turn until one gives a reference; their times are to be set."""
    for loosened, share in ATTEMPTS:
        yield Certificate(
            problem=name,
            locator=locator,
            references=str(references),
            loosened=loosened,
            as_stiff=as_stiff,
            share=share,
            differentiable=differentiable,
            definition=definition,
        )
