"""Measure one problem by many methods within a budget of time: certify, probe, measure, go on.

What was measured is in the folder at once. The same comparison again measures what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...adjoints.methods import get_method
from ..measuring.campaign import Campaign, Progress, standing_rows
from ..measuring.job import Job
from ..measuring.ladder import in_words
from ..measuring.names import split_name
from ..measuring.row import Row
from ..measuring.rows import RowFile, read_rows
from ..measuring.task import Task
from .comparison import LEAST_COMPILING_S, Comparison, Outcome, Watch
from .method_order import for_cores, is_compiled
from .preparation import Preparation, certify_and_probe
from .probe import BACKENDS

#: Seconds left with which a method is still begun.
_LEAST_LEFT_S = 2.0


def compare(chosen: Comparison, watch: Watch, *, anew: bool = False) -> Outcome:
    """Certify a reference, and measure what the folder does not hold yet, within the budget.

    Parameters
    ----------
    chosen : Comparison
    watch : Watch
        Is told what is running and what has come of it.
    anew : bool
        Set aside what the folder holds.

    Returns
    -------
    Outcome
    """
    deadline = time.monotonic() + chosen.budget_s
    definition = chosen.definition()
    if anew:
        chosen.references.unlink(missing_ok=True)
    standing = standing_rows(
        chosen.rows, quick=False, definition=definition, anew=anew, say=watch.say
    )
    jobs, alone = len(chosen.methods) + 1, chosen.device != "cpu"
    with Campaign(standing, jobs, quick=False, definition=definition, alone=alone) as campaign:
        return _Run(chosen, watch, campaign, standing, deadline).outcome()


class _Run:
    """One comparison while it runs."""

    def __init__(
        self,
        chosen: Comparison,
        watch: Watch,
        campaign: Campaign,
        standing: RowFile,
        deadline: float,
    ) -> None:
        self._chosen = chosen
        self._watch = watch
        self._campaign = campaign
        self._standing = standing
        self._deadline = deadline
        self._outcome = Outcome()

    def outcome(self) -> Outcome:
        """Certify and probe, measure, and read everything back."""
        chosen, found = self._chosen, self._outcome
        found.reference = chosen.reference()
        missing, unable = self._missing(), {}
        if missing or found.reference is None:
            backends = self._backends(missing)
            known = certify_and_probe(chosen, backends, self._campaign.pool, self._watch)
            found.reference, unable = known.reference, known.unable
        else:
            known = Preparation(found.reference)
        found.as_stiff = known.looks_stiff and not chosen.problem.stiff
        self._chosen = replace(chosen, as_stiff=found.as_stiff)
        missing = self._missing()
        found.remarks = known.remarks(chosen.problem.stiff)
        for remark in found.remarks:
            self._watch.say(remark)
        self._tell_measured(missing)
        self._measure(missing, unable)
        if not found.left:
            self._campaign.end()
        found.rows = [row for row in read_rows(chosen.rows).rows if self._asked(row)]
        return found

    def _asked(self, row: Row) -> bool:
        """Whether a row of the folder is one of this comparison, not of a wider one before."""
        chosen = self._chosen
        method, device = row.method in chosen.methods, row.device == chosen.device
        return row.problem == chosen.name and method and device

    def _backends(self, jobs: Sequence[Job]) -> tuple[str, ...]:
        """Those to be probed; the zoo runs on all of them."""
        if not self._chosen.locator:
            return ()
        needed = {get_method(split_name(job.method)[0]).backend for job in jobs}
        if self._outcome.reference is None or "scipy" in needed:
            return BACKENDS  # derivatives may come from either
        return tuple(backend for backend in BACKENDS if backend in needed)

    def _tell_measured(self, missing: Sequence[Job]) -> None:
        methods = self._chosen.methods
        if len(missing) < len(methods):
            there = len(methods) - len(missing)
            self._watch.say(f"{there} of {len(methods)} methods are measured already")

    def _missing(self) -> list[Job]:
        """What the folder does not hold yet, or holds without an error or with too little time."""
        chosen, standing = self._chosen, self._standing
        jobs = []
        for job in map(chosen.job, chosen.methods):
            rows = {row.rtol: row for row in standing.rows if row.key == job.key}
            done = job.key in standing.done
            rtols = [r for r in job.rtols if not (done and self._stands(rows.get(r), job))]
            if rtols:
                jobs.append(replace(job, rtols=tuple(rtols)))
        methods = [job.method for job in jobs]
        order = for_cores(methods, len(self._campaign.pool), chosen.budget_s)
        return sorted(jobs, key=lambda job: order.index(job.method))

    def _stands(self, row: Row | None, job: Job) -> bool:
        """Whether a row need not be measured again."""
        if row is None or (job.as_stiff and not row.stiff):
            return False
        if row.status == "timeout":
            return (row.allowed_s or 0.0) >= 0.9 * job.timeout_s
        return row.status != "ok" or bool(row.referenced) or self._outcome.reference is None

    def _measure(self, jobs: list[Job], unable: Mapping[str, str]) -> None:
        able = []
        for job in jobs:
            if sentence := self._refusal(job, unable):
                self._campaign.skip(job, sentence)
            else:
                able.append(job)
        for progress in self._campaign.measure(able, self._admit):
            self._note(progress)

    def _refusal(self, job: Job, unable: Mapping[str, str]) -> str:
        """Why a method cannot be tried at all; empty where it can."""
        method = get_method(split_name(job.method)[0])
        # Of a black box only the loss has to run on the backend, which the method itself tells.
        return "" if method.adjoint == "blackbox" else unable.get(method.backend, "")

    def _admit(self, task: Task) -> Task | None:
        """The task with the time that it may take; ``None`` where there is none left."""
        assert isinstance(task, Job)
        left = self._deadline - time.monotonic()
        if left < (LEAST_COMPILING_S if is_compiled(task.method) else _LEAST_LEFT_S):
            return None
        return replace(task, timeout_s=min(task.timeout_s, left))

    def _note(self, progress: Progress) -> None:
        """Tell what has happened; what there was no time for is left to the next run."""
        method = progress.task.method
        if progress.kind == "began":
            self._watch.began(method)
        elif progress.kind == "measured":
            rows = [row for row in progress.rows if isinstance(row, Row)]
            self._watch.ended(method, summary_line(rows))
        else:
            self._outcome.left.append(method)
            if progress.kind == "cut off":
                self._watch.ended(method, "not done before the time was over")


def summary_line(rows: Sequence[Row]) -> str:
    """How the ladder of one method went, and how long it takes, in a few words."""
    times = [row.seconds for row in rows if row.seconds is not None]
    told = f", {1e3 * min(times):.3g} … {1e3 * max(times):.3g} ms" if times else ""
    return in_words(rows) + told
