"""What comes before a comparison: a certified reference, and which backends run the equations."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...adjoints.certify import TARGET
from ...problems.reference import Reference
from ..measuring.campaign import Progress
from ..measuring.formats import power
from ..measuring.task import Task
from .certification import IMPLICIT, Certificate, Certified, attempts
from .comparison import CERTIFICATE_SHARE, Comparison, Watch
from .probe import BACKENDS, LABELS, Probe
from .stiffness import LookStiff

#: Seconds that a probe may take, imports included.
_PROBE_S = 60.0

#: Seconds below which an attempt at a certificate is not begun.
_LEAST_S = 2.0


@dataclass
class Preparation:
    """What is known before the first method is measured.

    Attributes
    ----------
    reference : Reference or None
    unable : dict of str to str
        The backends that do not run the equations, and why.
    failed : list of str
        How attempts at a certificate failed.
    stiff : bool
        Whether the problem says that it is stiff, or is found to be.
    given_up : bool
        Whether no more attempts are to be made at a certificate.
    contradicted : bool
        Whether the loss itself contradicted one.
    certified : bool
        Whether the reference is a certificate, and not what measured methods agree on.
    """

    reference: Reference | None = None
    unable: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    stiff: bool = False
    given_up: bool = False
    contradicted: bool = False
    certified: bool = True

    def __post_init__(self) -> None:
        """Believe a reference that was made by implicit solvers."""
        computations = () if self.reference is None else self.reference.computations
        self.stiff |= any(c["solver"] in IMPLICIT for c in computations)

    def remarks(self, stiff: bool) -> list[str]:
        """What the user should know of the reference; `stiff` is what the problem says."""
        sentences = [_about(self.reference, self.failed)]
        if self.reference is not None and not self.certified:
            sentences.append(
                "these two are among the methods compared, as there was no certificate "
                f"({_reasons(self.failed)}); the same command with more --budget makes one"
            )
        if self.stiff and not stiff:
            sentences.append(
                "the problem looks stiff, as an explicit solver takes more than ten times the "
                "steps, and is measured with implicit ones; put stiff=True into it"
            )
        return sentences


class Preparing:
    """The questions before a comparison, asked while it goes on.

    First whether the problem is stiff and on which backends it runs; then attempts at a
    certificate, one after the other, beside the first methods.

    Parameters
    ----------
    chosen : Comparison
    backends : iterable of str
        Those to be probed.
    watch : Watch
    """

    def __init__(self, chosen: Comparison, backends: Iterable[str], watch: Watch) -> None:
        self.found = Preparation(chosen.reference(), stiff=chosen.problem.stiff)
        self._chosen = chosen
        self._watch = watch
        self._last = time.monotonic() + CERTIFICATE_SHARE * chosen.budget_s
        where = {"problem": chosen.name, "locator": chosen.locator, "timeout_s": _PROBE_S}
        self._questions: list[Task] = []
        if self.found.reference is None and not chosen.problem.stiff:
            self._questions.append(LookStiff(**where))
        self._questions += [Probe(method=backend, **where) for backend in backends]
        self._open = {task.key for task in self._questions}
        self._attempts: Iterator[Certificate] | None = None
        self._certifying = False

    def next(self) -> Task | None:
        """What to ask next; ``None`` where nothing is to be asked now."""
        if self._questions:
            return self._questions.pop(0)
        if self._certifying or not self.certifies:
            return None
        if self._attempts is None:
            if self._open:
                return None  # how to certify depends on the answers
            self._attempts = self._made_attempts()
        task = _timed(next(self._attempts, None), self._last)
        self._certifying = task is not None
        if task is None:
            self.found.given_up = True
        return task

    @property
    def certifies(self) -> bool:
        """Whether a reference may still come."""
        return self.found.reference is None and not self.found.given_up

    @property
    def knows_stiffness(self) -> bool:
        """Whether it is known if the problem is stiff."""
        return not any(key.method == "" for key in self._open)

    def knows(self, backend: str) -> bool:
        """Whether it is known if the equations run on a backend."""
        return not any(key.method == backend for key in self._open)

    def hear(self, progress: Progress) -> None:
        """Take note of what has become of a question."""
        task = progress.task
        if progress.kind == "began":
            self._watch.began(_question(task))
            return
        (answer,) = progress.rows
        if isinstance(task, Certificate):
            self._hear_certificate(task, answer)
        else:
            self._open.discard(task.key)
            message = "" if answer.status == "ok" else _first_line(answer.message)
            if isinstance(task, LookStiff):
                self.found.stiff = answer.stiff
            elif message:
                self.found.unable[task.method] = message
            self._watch.ended(_question(task), message)

    def _hear_certificate(self, task: Certificate, answer: Certified) -> None:
        found, self._certifying = self.found, False
        if answer.status == "ok":
            found.reference = self._chosen.reference()
            self._watch.ended(_question(task), "")
            return
        message = _first_line(answer.message)
        found.failed.append(f"{task.describe()}: {message}")
        found.contradicted = answer.contradicted
        found.given_up = answer.contradicted or _again_the_same(found.failed)
        self._watch.ended(_question(task), message)

    def _made_attempts(self) -> Iterator[Certificate]:
        chosen = self._chosen
        return attempts(
            chosen.name,
            chosen.locator,
            chosen.references.resolve(),
            definition=chosen.problem.definition_hash(),
            as_stiff=self.found.stiff,
            differentiable=not set(BACKENDS) <= set(self.found.unable),
        )


def _question(task: Task) -> str:
    if isinstance(task, Certificate):
        return f"a reference at {task.describe()}"
    if isinstance(task, LookStiff):
        return "whether it is stiff"
    return f"whether it runs on {LABELS[task.method]}"


def _first_line(message: str) -> str:
    return next(iter(message.splitlines()), "")


def _again_the_same(failed: Sequence[str]) -> bool:
    """Whether the last two attempts failed for the same reason."""
    reasons = [told.partition(": ")[2] for told in failed]
    return len(reasons) > 1 and reasons[-1] == reasons[-2]


def _timed(certificate: Certificate | None, last: float) -> Certificate | None:
    """The attempt with its share of the time that is left; ``None`` where that is too little."""
    left = last - time.monotonic()
    if certificate is None or left < _LEAST_S:
        return None
    return replace(certificate, timeout_s=max(certificate.share * left, _LEAST_S))


def _about(reference: Reference | None, failed: Sequence[str]) -> str:
    """How the reference is known, in a sentence."""
    if reference is None:
        return f"no reference could be certified, so that errors are unknown ({_reasons(failed)})"
    one, two = (_computation(c) for c in reference.computations)
    told = f"reference: {one} and {two} agree to {power(reference.agreement)}"
    if reference.confirmed_to is not None:
        told += f", and differences of the loss confirm it to {power(reference.confirmed_to)}"
    if reference.agreement > TARGET:
        told += "; no method is called more accurate than that"
    return told


def _reasons(failed: Sequence[str]) -> str:
    return "; ".join(failed) or "no time was left for it"


def _computation(computation: Mapping[str, Any]) -> str:
    rtol = power(computation["rtol"])
    return f"{computation['method']} by {computation['solver']} at rtol {rtol}"
