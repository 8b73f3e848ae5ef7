"""Measure one problem by many methods within a budget of time: certify, probe, measure, go on.

What was measured is in the folder at once. The same comparison again measures what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...adjoints.methods import get_method
from ..measuring.job import Job
from ..measuring.ladder import in_words
from ..measuring.names import split_name
from ..measuring.pool import Event, Pool
from ..measuring.process import Task, key_of, make_workers
from ..measuring.rows import Row, RowWriter, read_rows, same_run, set_aside
from .comparison import LEAST_COMPILING_S, Comparison, Outcome, Watch
from .method_order import for_cores, is_compiled
from .preparation import Groundwork, lay
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
    fresh = _set_aside_other_rows(chosen, anew, watch)
    workers = make_workers(len(chosen.methods) + 1, alone=chosen.device != "cpu")
    new_rows = RowWriter(chosen.rows, anew=fresh, quick=False, definition=chosen.definition())
    with new_rows as writer, Pool(workers) as pool:
        return _Run(chosen, watch, pool, writer, deadline).outcome()


def _set_aside_other_rows(chosen: Comparison, anew: bool, watch: Watch) -> bool:
    """Whether a new file of rows is to be begun; other rows are kept under another name."""
    if anew:
        chosen.references.unlink(missing_ok=True)
    elif chosen.rows.exists():
        if same_run(read_rows(chosen.rows), False, chosen.definition()):
            return False
        watch.say("the problem, the code, the machine or a version has changed since")
    if kept := set_aside(chosen.rows):
        watch.say(f"the rows that were there are kept in {kept}")
    return True


class _Run:
    """One comparison while it runs."""

    def __init__(
        self,
        chosen: Comparison,
        watch: Watch,
        pool: Pool,
        writer: RowWriter,
        deadline: float,
    ) -> None:
        self._chosen = chosen
        self._watch = watch
        self._pool = pool
        self._writer = writer
        self._deadline = deadline
        self._outcome = Outcome()

    def outcome(self) -> Outcome:
        """Certify and probe, measure, and read everything back."""
        chosen, found = self._chosen, self._outcome
        found.reference = chosen.reference()
        missing, unable = self._missing(), {}
        if missing or found.reference is None:
            ground = lay(chosen, self._backends(missing), self._pool, self._watch)
            found.reference, unable = ground.reference, ground.unable
        else:
            ground = Groundwork(found.reference)
        found.as_stiff = ground.looks_stiff and not chosen.problem.stiff
        self._chosen = replace(chosen, as_stiff=found.as_stiff)
        missing = self._missing()
        found.remarks = ground.remarks(chosen.problem.stiff)
        for remark in found.remarks:
            self._watch.say(remark)
        self._tell_measured(missing)
        self._measure(missing, unable)
        if not found.left:
            self._writer.end()
        found.rows = [row for row in read_rows(chosen.rows).rows if self._asked(row)]
        return found

    def _asked(self, row: Row) -> bool:
        """Whether a row of the folder is one of this comparison, not of a wider one before."""
        chosen = self._chosen
        method, device = row["method"] in chosen.methods, row["device"] == chosen.device
        return row["problem"] == chosen.name and method and device

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
        chosen, found = self._chosen, read_rows(self._chosen.rows)
        jobs = []
        for job in map(chosen.job, chosen.methods):
            rows = {r["rtol"]: r for r in found.rows if _of(job, r)}
            done = key_of(job) in found.done
            rtols = [r for r in job.rtols if not (done and self._stands(rows.get(r), job))]
            if rtols:
                jobs.append(replace(job, rtols=tuple(rtols)))
        methods = [job.method for job in jobs]
        order = for_cores(methods, len(self._pool), chosen.budget_s)
        return sorted(jobs, key=lambda job: order.index(job.method))

    def _stands(self, row: Row | None, job: Job) -> bool:
        """Whether a row need not be measured again."""
        if row is None or (job.as_stiff and not row.get("stiff")):
            return False
        if row["status"] == "timeout":
            return row.get("allowed_s", 0.0) >= 0.9 * job.timeout_s
        return row["status"] != "ok" or bool(row["referenced"]) or self._outcome.reference is None

    def _measure(self, jobs: list[Job], unable: Mapping[str, str]) -> None:
        able = []
        for job in jobs:
            sentence = self._refusal(job, unable)
            if sentence:
                self._skip(job, sentence)
            else:
                able.append(job)
        if not able:
            return
        heard: dict[str, list[Row]] = {job.method: [] for job in able}
        for event in self._pool.events(able, self._admit):
            self._note(event, heard[event.task.method])

    def _refusal(self, job: Job, unable: Mapping[str, str]) -> str:
        """Why a method cannot be tried at all; empty where it can."""
        method = get_method(split_name(job.method)[0])
        if method.backend in unable:
            return unable[method.backend]
        needs_either = (method.backend, method.family) == ("scipy", "continuous")
        if needs_either and set(BACKENDS) <= set(unable):
            return f"it takes derivatives from JAX or PyTorch, and {unable['jax']}"
        return ""

    def _skip(self, job: Job, sentence: str) -> None:
        for about in job.unmeasured([]):
            self._writer.row(about | {"status": "skipped", "message": sentence})
        self._writer.done(*key_of(job))

    def _admit(self, task: Task) -> Task | None:
        """The task with the time that it may take; ``None`` where there is none left."""
        assert isinstance(task, Job)
        left = self._deadline - time.monotonic()
        if left < (LEAST_COMPILING_S if is_compiled(task.method) else _LEAST_LEFT_S):
            return None
        return replace(task, timeout_s=min(task.timeout_s, left))

    def _note(self, event: Event, heard: list[Row]) -> None:
        """Write what was measured; what the end of the budget cut off is left for the next run."""
        job = event.task
        row = event.row
        if event.kind == "began":
            self._watch.began(job.method)
        elif row is not None:
            heard.append(row)
            if not _cut_off(row, job):
                self._writer.row(row)
        elif event.kind == "left" or any(_cut_off(row, job) for row in heard):
            self._outcome.left.append(job.method)
            if event.kind == "done":
                self._watch.ended(job.method, "not done before the time was over")
        else:
            self._writer.done(*key_of(job))
            self._watch.ended(job.method, summary_line(heard))


def _of(job: Job, row: Row) -> bool:
    return (row["problem"], row["method"], row["device"]) == (job.problem, job.method, job.device)


def _cut_off(row: Row, job: Task) -> bool:
    """Whether it was the budget that was over, and not the method's own share."""
    return row["status"] == "timeout" and row["allowed_s"] < 0.99 * job.timeout_s


def summary_line(rows: Sequence[Row]) -> str:
    """How the ladder of one method went, and how long it takes, in a few words."""
    times = [row["seconds"] for row in rows if row.get("seconds") is not None]
    told = f", {1e3 * min(times):.3g} … {1e3 * max(times):.3g} ms" if times else ""
    return in_words(rows) + told
