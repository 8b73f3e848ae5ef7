"""Measure one problem by many methods within a budget of time: certify, probe, measure, go on.

What was measured is in the folder at once. The same comparison again measures what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ...adjoints.methods import get_method
from ...problems.reference import Reference
from ..cluster import ClusterPool, join
from ..measuring.campaign import Campaign, Progress, standing_rows
from ..measuring.job import Job
from ..measuring.ladder import in_words
from ..measuring.measure import gradient_is_small
from ..measuring.names import split_name
from ..measuring.row import Row
from ..measuring.rows import RowFile, read_rows
from ..measuring.task import Task
from .agreeing import agreeing
from .comparison import LEAST_COMPILING_S, Comparison, Outcome, Watch
from .judging import judged
from .method_order import for_cores, is_compiled
from .preparation import Preparing
from .probe import BACKENDS

#: Seconds of compiling that are worth a word.
_TOLD_S = 1.0

#: Seconds left with which a method is still begun.
_LEAST_LEFT_S = 2.0


def compare(
    chosen: Comparison, watch: Watch, *, anew: bool = False, cluster: str | None = None
) -> Outcome:
    """Certify a reference, and measure what the folder does not hold yet, within the budget.

    Parameters
    ----------
    chosen : Comparison
    watch : Watch
        Is told what is running and what has come of it.
    anew : bool
        Set aside what the folder holds.
    cluster : str, optional
        The scheduler of a cluster, one machine of which measures. The folder, and a problem of the
        user's own, have to lie on a file system that it shares, unless the problem is of the zoo
        and certified there.

    Returns
    -------
    Outcome
    """
    watch.say(f"{len(chosen.methods)} methods within {chosen.budget_s:g} s, into {chosen.out}")
    definition = chosen.definition()
    if anew:
        chosen.references.unlink(missing_ok=True)
    standing = standing_rows(
        chosen.rows,
        quick=False,
        definition=definition,
        anew=anew,
        anywhere=cluster is not None,
        say=watch.say,
    )
    place = None if cluster is None else _joined(cluster, chosen, watch, standing)
    machine = "" if place is None else place.machines[0]
    if machine:
        standing.rows = [row for row in standing.rows if row.machine == machine]
    deadline = time.monotonic() + chosen.budget_s
    jobs, alone = len(chosen.methods) + 1, chosen.device != "cpu"
    with Campaign(
        standing, jobs, quick=False, definition=definition, alone=alone, place=place
    ) as campaign:
        return _Run(chosen, watch, campaign, standing, deadline, machine).outcome()


def _joined(cluster: str, chosen: Comparison, watch: Watch, standing: RowFile) -> ClusterPool:
    """The cluster; where a reference is to be made, its machines have to see the folder."""
    zoo = not chosen.locator and chosen.problem.reference is not None
    seen = "" if zoo else str(chosen.out.resolve())
    return join(
        cluster,
        watch.say,
        measured=standing,
        seen=seen,
        alone=True,
        one_at_a_time=chosen.device != "cpu",
    )


class _Run:
    """One comparison while it runs."""

    def __init__(
        self,
        chosen: Comparison,
        watch: Watch,
        campaign: Campaign,
        standing: RowFile,
        deadline: float,
        machine: str,
    ) -> None:
        self._chosen = chosen
        self._watch = watch
        self._campaign = campaign
        self._standing = standing
        self._deadline = deadline
        self._outcome = Outcome()
        self._machine = machine
        self._jobs: list[Job] | None = None
        missing = self._missing()
        backends = self._backends(missing) if missing or chosen.reference() is None else ()
        self._preparing = Preparing(chosen, backends, watch)

    def outcome(self) -> Outcome:
        """Certify and measure, and read everything back."""
        chosen, found = self._chosen, self._outcome
        for progress in self._campaign.measure(self._tasks()):
            if isinstance(progress.task, Job):
                self._note(progress)
            else:
                self._preparing.hear(progress)
                self._judge()
        known = self._preparing.found
        if known.reference is None and not known.contradicted:
            known.reference = agreeing(self._rows(), chosen.problem)
            known.certified = False
        self._judge()
        found.reference, found.as_stiff = known.reference, self._chosen.as_stiff
        found.remarks = known.remarks(chosen.problem.stiff)
        for remark in found.remarks:
            self._watch.say(remark)
        jobs = self._missing() if self._jobs is None else self._jobs
        found.left += [job.method for job in jobs]
        self._campaign.end()
        found.rows = self._rows()
        return found

    def _tasks(self) -> Iterator[Task | None]:
        """What to begin next, whenever a process is free; ``None`` where nothing can be begun."""
        while True:
            left = self._deadline - time.monotonic()
            task = None
            if left > _LEAST_LEFT_S:
                task = self._preparing.next() or self._next_job(left)
            yield None if task is None else replace(task, left_s=left)

    def _next_job(self, left: float) -> Job | None:
        """The first method of which all is known that has to be; refusals are written down."""
        preparing = self._preparing
        if not preparing.knows_stiffness:
            return None
        if self._jobs is None:
            stiff = preparing.found.stiff and not self._chosen.problem.stiff
            self._chosen = replace(self._chosen, as_stiff=stiff)
            self._jobs = self._missing()
            self._tell_measured(self._jobs)
        if preparing.certifies and not gradient_is_small(self._chosen.problem):
            return None  # its rows cannot wait for the reference
        for job in list(self._jobs):
            if not self._is_known(job):
                continue
            if sentence := self._refusal(job, preparing.found.unable):
                self._jobs.remove(job)
                self._campaign.skip(job, sentence)
            elif left > (LEAST_COMPILING_S if is_compiled(job.method) else _LEAST_LEFT_S):
                self._jobs.remove(job)
                return job
        return None

    def _is_known(self, job: Job) -> bool:
        """Whether it is known if the equations run where this method needs them."""
        method = get_method(split_name(job.method)[0])
        return self._preparing.knows(method.backend)

    def _judge(self) -> None:
        """Hold the rows that were measured before there was a reference against it."""
        known, problem = self._preparing.found, self._chosen.problem
        if known.reference is not None:
            rows = judged(self._rows(), problem, known.reference, certified=known.certified)
            self._campaign.add(rows)

    def _rows(self) -> list[Row]:
        return [row for row in read_rows(self._chosen.rows).rows if self._asked(row)]

    def _asked(self, row: Row) -> bool:
        """Whether a row of the folder is one of this comparison, not of a wider one before."""
        chosen = self._chosen
        method, device = row.method in chosen.methods, row.device == chosen.device
        here = self._machine in ("", row.machine)
        return row.problem == chosen.name and method and device and here

    def _backends(self, jobs: Sequence[Job]) -> tuple[str, ...]:
        """Those to be probed; the zoo runs on all of them."""
        if not self._chosen.locator:
            return ()
        needed = {get_method(split_name(job.method)[0]).backend for job in jobs}
        if self._chosen.reference() is None or "scipy" in needed:
            return BACKENDS  # derivatives may come from either
        return tuple(backend for backend in BACKENDS if backend in needed)

    def _tell_measured(self, missing: Sequence[Job]) -> None:
        methods = self._chosen.methods
        if len(missing) < len(methods):
            there = len(methods) - len(missing)
            self._watch.say(f"{there} of {len(methods)} methods are measured already")

    def _missing(self) -> list[Job]:
        """What the folder does not hold yet, or holds without an error or with too little time."""
        chosen, standing, reference = self._chosen, self._standing, self._chosen.reference()
        jobs = []
        for job in map(chosen.job, chosen.methods):
            rows = {row.rtol: row for row in standing.rows if row.key == job.key}
            rtols = [r for r in job.rtols if not _stands(rows.get(r), job, reference)]
            if rtols:
                jobs.append(replace(job, rtols=tuple(rtols)))
        methods = [job.method for job in jobs]
        order = for_cores(methods, len(self._campaign), chosen.budget_s)
        return sorted(jobs, key=lambda job: order.index(job.method))

    def _refusal(self, job: Job, unable: Mapping[str, str]) -> str:
        """Why a method cannot be tried at all; empty where it can."""
        method = get_method(split_name(job.method)[0])
        # Of a black box only the loss has to run on the backend, which the method itself tells.
        return "" if method.adjoint == "blackbox" else unable.get(method.backend, "")

    def _note(self, progress: Progress) -> None:
        """Tell what has happened; what there was no time for is left to the next run."""
        method = progress.task.method
        if progress.kind == "began":
            self._watch.began(method)
        elif progress.kind == "measured":
            self._watch.ended(method, summary_line(progress.rows))
        else:
            self._outcome.left.append(method)
            self._watch.ended(method, "not done before the time was over")


def _stands(row: Row | None, job: Job, reference: Reference | None) -> bool:
    """Whether a row need not be measured again."""
    if row is None or (job.as_stiff and not row.stiff):
        return False
    if row.status == "timeout":
        return (row.allowed_s or 0.0) >= 0.9 * job.timeout_s
    known = bool(row.referenced) or row.gradient is not None
    return row.status != "ok" or known or reference is None


def summary_line(rows: Sequence[Row]) -> str:
    """How the ladder of one method went, and how long it takes, in a few words."""
    times = [row.seconds for row in rows if row.seconds is not None]
    told = f", {1e3 * min(times):.3g} … {1e3 * max(times):.3g} ms" if times else ""
    compiling = max((row.compile_s or 0.0 for row in rows), default=0.0)
    told += f", compiled in {compiling:.0f} s" if compiling >= _TOLD_S else ""
    return in_words(rows) + told
