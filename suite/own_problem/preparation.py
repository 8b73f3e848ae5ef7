"""What comes before a comparison: a certified reference, and which backends run the equations."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...adjoints.certify import TARGET
from ...problems.reference import Reference
from ..measuring.formats import power
from ..measuring.pool import Event, Pool
from .certification import IMPLICIT, Certificate, Certified, attempts
from .comparison import CERTIFICATE_SHARE, Comparison, Watch
from .probe import BACKENDS, LABELS, Probe

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
    contradicted : bool
        Whether the loss itself contradicted one, so that another would not help.
    """

    reference: Reference | None = None
    unable: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    contradicted: bool = False

    @property
    def looks_stiff(self) -> bool:
        """Whether only implicit solvers came through."""
        computations = () if self.reference is None else self.reference.computations
        return any(c["solver"] in IMPLICIT for c in computations)

    def remarks(self, stiff: bool) -> list[str]:
        """What the user should know of the reference; `stiff` is what the problem says."""
        sentences = [_about(self.reference, self.failed)]
        if self.looks_stiff and not stiff:
            sentences.append(
                "the problem looks stiff, as explicit solvers did not come through, and is "
                "measured with implicit ones; put stiff=True into it"
            )
        return sentences


def certify_and_probe(
    chosen: Comparison, backends: Iterable[str], pool: Pool, watch: Watch
) -> Preparation:
    """Certify a reference where there is none, and probe `backends` meanwhile."""
    found = Preparation()
    tries = iter(_attempts(chosen))
    last = time.monotonic() + CERTIFICATE_SHARE * chosen.budget_s
    first = [c for c in (_timed(next(tries, None), last),) if c is not None]
    probes = [
        Probe(problem=chosen.name, locator=chosen.locator, method=backend, timeout_s=_PROBE_S)
        for backend in backends
    ]
    for event in pool.events([*first, *probes]):
        _hear(event, found, watch)
    differentiable = not set(BACKENDS) <= set(found.unable)
    if not differentiable:  # the first attempt may have needed derivatives of a framework
        tries, found.failed = iter(_attempts(chosen)), []
    for certificate in tries:
        timed = _timed(replace(certificate, differentiable=differentiable), last)
        if timed is None or chosen.reference() is not None or found.contradicted:
            break
        if _again_the_same(found.failed):
            break
        for event in pool.events([timed]):
            _hear(event, found, watch)
    found.reference = chosen.reference()
    return found


def _again_the_same(failed: Sequence[str]) -> bool:
    """Whether the last two attempts failed for the same reason."""
    reasons = [told.partition(": ")[2] for told in failed]
    return len(reasons) > 1 and reasons[-1] == reasons[-2]


def _attempts(chosen: Comparison) -> Iterable[Certificate]:
    if chosen.reference() is not None:
        return ()
    file = chosen.references.resolve()
    return attempts(chosen.problem, chosen.name, chosen.locator, file)


def _timed(certificate: Certificate | None, last: float) -> Certificate | None:
    """The attempt with its share of the time that is left; ``None`` where that is too little."""
    left = last - time.monotonic()
    if certificate is None or left < _LEAST_S:
        return None
    return replace(certificate, timeout_s=max(certificate.share * left, _LEAST_S))


def _hear(event: Event, found: Preparation, watch: Watch) -> None:
    """Take note of what an attempt or a probe tells."""
    task = event.task
    what = f"whether it runs on {LABELS.get(task.method)}"
    if isinstance(task, Certificate):
        what = f"a reference at {task.describe()}"
    if event.kind == "began":
        watch.began(what)
    if event.row is None:
        return
    message = next(iter(event.row.message.splitlines()), "")
    if event.row.status == "ok":
        message = ""
    elif isinstance(task, Certificate):
        found.failed.append(f"{task.describe()}: {message}")
        found.contradicted = isinstance(event.row, Certified) and event.row.contradicted
    else:
        found.unable[task.method] = message
    watch.ended(what, message)


def _about(reference: Reference | None, failed: Sequence[str]) -> str:
    """How the reference is known, in a sentence."""
    if reference is None:
        reasons = "; ".join(failed) or "no time was left for it"
        return f"no reference could be certified, so that errors are unknown ({reasons})"
    one, two = (_computation(c) for c in reference.computations)
    told = f"reference: {one} and {two} agree to {power(reference.agreement)}"
    if reference.confirmed_to is not None:
        told += f", and differences of the loss confirm it to {power(reference.confirmed_to)}"
    if reference.agreement > TARGET:
        told += "; no method is called more accurate than that"
    return told


def _computation(computation: Mapping[str, Any]) -> str:
    rtol = power(computation["rtol"])
    return f"{computation['method']} by {computation['solver']} at rtol {rtol}"
