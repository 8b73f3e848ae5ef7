import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from adjointbench.reports.tables.read import read_measurements
from adjointbench.suite.collect import collect
from adjointbench.suite.measuring import campaign
from adjointbench.suite.measuring import worker as workers_module
from adjointbench.suite.measuring.job import Job
from adjointbench.suite.measuring.pool import measure_job
from adjointbench.suite.measuring.row import Row
from adjointbench.suite.measuring.rows import pick, read_rows
from adjointbench.suite.measuring.studies import neural, scaling
from adjointbench.suite.measuring.worker import Silence, Worker, WorkerDied, make_workers
from adjointbench.suite.selection import Selection, results_version, selection

JOB = Job(
    problem="linear",
    method="finite-difference",
    rtols=(1e-3, 1e-5),
    timeout_s=60.0,
    budget_s=0.01,
)


class Pretended:
    """A worker that gives some rows and then raises."""

    def __init__(self, rows=(), raises=None):
        self.rows, self.raises, self.jobs = rows, raises, []

    def measure(self, job):
        self.jobs.append(job)
        yield from self.rows
        if self.raises:
            raise self.raises

    def close(self):
        pass


def test_a_timeout_is_a_row_for_each_tolerance_that_is_missing():
    done = Row(problem="linear", method="finite-difference", rtol=1e-3, status="ok")
    rows = list(measure_job(Pretended([done], TimeoutError()), JOB))
    assert rows[0] == done
    assert rows[1].rtol == 1e-5
    assert rows[1].status == "timeout"
    assert "60 s" in rows[1].message


def test_a_crash_is_a_row_with_the_last_words():
    rows = list(measure_job(Pretended([], WorkerDied("ended with exit status -9: x")), JOB))
    assert [row.status for row in rows] == ["failed", "failed"]
    assert all("exit status -9" in row.message for row in rows)
    assert rows[0].family == "blackbox"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import time; time.sleep(60)", TimeoutError),
        ("import sys; print('out of memory', file=sys.stderr); sys.exit(7)", WorkerDied),
    ],
)
def test_a_process_that_hangs_or_dies(monkeypatch, code, expected):
    monkeypatch.setattr(workers_module, "COMMAND", (sys.executable, "-c", code))
    worker = Worker(Silence())
    job = replace(JOB, rtols=(1e-3,), timeout_s=2.0)
    with pytest.raises(expected) as caught:
        list(worker.measure(job))
    if expected is WorkerDied:
        assert "exit status 7: out of memory" in str(caught.value)
    worker.close()


def test_a_worker_has_one_core_and_torch_one_thread_and_no_old_programs(monkeypatch):
    pytest.importorskip("torch")
    code = (
        "import json, os, sys\n"
        "from adjointbench.suite.measuring.child import pin\n"
        "pin({int(sys.argv[1])})\n"
        "import torch\n"
        "from torch._inductor import config\n"
        "cores = sorted(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else [0]\n"
        "told = {'threads': torch.get_num_threads(), 'cores': cores,\n"
        "    'anew': config.force_disable_caches}\n"
        "row = {'problem': '', 'method': '', 'rtol': 1, 'status': '', 'settings': told}\n"
        "print(json.dumps(row))\n"
        "print('null', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    monkeypatch.setattr(workers_module, "COMMAND", (sys.executable, "-c", code))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    worker = Worker(Silence(), 0)
    try:
        (told,) = worker.measure(replace(JOB, timeout_s=120.0))
    finally:
        worker.close()
    assert told.settings == {"threads": 1, "cores": [0], "anew": True}


def selected(**changes):
    parts = {"quick": True, "problems": ("linear",), "methods": ("finite-difference",)}
    return Selection(**(parts | {"devices": ("cpu",)} | changes))


def test_what_is_in_the_file_is_not_measured_again(tmp_path, monkeypatch):
    done = [
        Row(problem="linear", method="finite-difference", rtol=r, status="ok")
        for r in selected().rtols
    ]
    workers = []

    def pretend(jobs, alone):
        workers.append(Pretended(done))
        return workers[-1:]

    monkeypatch.setattr(campaign, "make_workers", pretend)
    said = []
    path = tmp_path / "rows.jsonl"
    assert collect(selected(), path, say=said.append).complete
    assert len(workers[0].jobs) == 1
    collect(selected(), path, say=said.append)
    assert len(workers) == 1
    assert "1 of 1 are measured already" in said[-1]
    collect(selected(methods=("finite-difference", "jax-discrete")), path, say=said.append)
    assert [job.method for job in workers[1].jobs] == ["jax-discrete"]
    collect(selected(), path, anew=True, say=said.append)
    assert len(workers[2].jobs) == 1
    assert len(read_rows(path).rows) == len(done)
    (kept,) = tmp_path.glob("rows.jsonl.*")
    assert read_rows(kept).done > read_rows(path).done
    assert said[-2] == f"the rows that rows.jsonl held are kept in {kept}"
    assert read_measurements([tmp_path]).rows["method"].nunique() == 1


def test_an_error_of_our_own_is_not_swallowed(tmp_path, monkeypatch):
    wrong = Pretended(raises=ValueError("not in list"))
    monkeypatch.setattr(campaign, "make_workers", lambda jobs, alone: [wrong])
    with pytest.raises(ValueError, match="not in list"):
        collect(selected(), tmp_path / "rows.jsonl", say=print)
    assert not read_rows(tmp_path / "rows.jsonl").complete


def test_others_are_stopped_while_one_is_timed(tmp_path, monkeypatch):
    # Both count as fast as they can; one is stopped in between.
    code = (
        "import sys, time\n"
        "while True:\n"
        "    time.sleep(0.005)\n"
        f"    open({str(tmp_path)!r} + '/' + sys.argv[1], 'a').write('.')\n"
    )
    monkeypatch.setattr(workers_module, "COMMAND", (sys.executable, "-c", code))
    silence = Silence()
    timed, other = Worker(silence, 0), Worker(silence, 1)

    def advances(name):
        before = (tmp_path / name).stat().st_size
        time.sleep(0.3)
        return (tmp_path / name).stat().st_size != before

    try:
        for worker in (timed, other):
            worker.start()
        deadline = time.monotonic() + 20
        while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert advances("1")
        with silence.around(timed):
            time.sleep(0.1)
            assert advances("0")
            assert not advances("1")
        assert advances("1")
    finally:
        timed.close()
        other.close()


def test_the_time_of_a_job_does_not_run_while_others_are_timed(monkeypatch):
    code = "import sys, time; sys.stdin.readline(); time.sleep(1); print('null', flush=True)"
    monkeypatch.setattr(workers_module, "COMMAND", (sys.executable, "-c", code))
    silence = Silence()
    timed, other = Worker(silence, 0), Worker(silence, 1)
    job = replace(JOB, rtols=(1e-3,), timeout_s=2.0)
    with ThreadPoolExecutor() as pool:
        with silence.around(timed):
            measured = pool.submit(lambda: list(other.measure(job)))
            time.sleep(0.3)
            other.pause()  # it has been started meanwhile
            time.sleep(2.5)
            assert not measured.done()
        assert measured.result() == []
    timed.close()
    other.close()


def test_one_worker_on_an_accelerator_and_no_more_than_jobs():
    for made, expected in ((make_workers(5, alone=True), 1), (make_workers(1), 1)):
        assert len(made) == expected
        for worker in made:
            worker.close()


def test_the_selection_follows_the_environment(monkeypatch):
    monkeypatch.setenv("ADJOINTBENCH_QUICK", "1")
    quick = selection()
    monkeypatch.setenv("ADJOINTBENCH_QUICK", "0")
    moderate = selection()
    monkeypatch.setenv("ADJOINTBENCH_FULL", "1")
    full = selection()
    assert set(moderate.problems) < set(full.problems)
    assert set(moderate.methods) < set(full.methods)
    assert moderate.quick
    assert moderate.rtols == quick.rtols
    assert set(quick.claims) - set(moderate.claims) == {"3"}
    monkeypatch.setenv("ADJOINTBENCH_QUICK", "1")
    with pytest.raises(ValueError, match="ADJOINTBENCH_FULL and ADJOINTBENCH_QUICK"):
        selection()
    monkeypatch.delenv("ADJOINTBENCH_QUICK")
    assert set(quick.problems) < set(full.problems)
    assert set(quick.methods) < set(full.methods)
    assert set(quick.rtols) < set(full.rtols)
    assert set(quick.sizes) < set(full.sizes)
    assert quick.scaling_methods == full.scaling_methods == scaling.METHODS
    # What asv reads is measured before it, on all cores.
    assert [job.method for job in quick.jobs() if job.study == neural.STUDY] == [*quick.neural]
    assert set(quick.neural) < set(full.neural)
    monkeypatch.setenv("ADJOINTBENCH_METHODS", "jax-discrete, jax-gauss")
    assert selection().methods == ("jax-discrete", "jax-gauss")
    jobs = list(selection().jobs())
    ladders, points = ([job for job in jobs if job.study == study] for study in ("", "scaling"))
    assert len(ladders) == 2 * len(full.problems)
    taken = {"jax-discrete": 64, "jax-gauss": 32, scaling.DENSE: 24, scaling.SPARSE: 24}
    assert {(job.method, job.problem) for job in points} == {
        (name, scaling.problem_of(n))
        for name in taken
        for n in full.sizes
        if n <= taken[name] and (name != scaling.SPARSE or n >= scaling.SMALLEST_SPARSE)
    }
    assert {job.timeout_s for job in points} == {scaling.TIMEOUT_S}


def test_problems_that_are_named_are_measured_without_the_scaling_study(monkeypatch):
    monkeypatch.setenv("ADJOINTBENCH_PROBLEMS", "linear, van_der_pol(mu=10)")
    chosen = selection()
    assert chosen.problems == ("linear", "van_der_pol(mu=10.0)")
    assert {job.study for job in chosen.jobs()} == {""}
    monkeypatch.setenv("ADJOINTBENCH_SCALING", "3,2")
    assert selection().sizes == (2, 3)
    monkeypatch.delenv("ADJOINTBENCH_PROBLEMS")
    monkeypatch.setenv("ADJOINTBENCH_SCALING", "0")
    assert selection().sizes == ()


@pytest.mark.parametrize("text", ["two", "1,2", "-3"])
def test_sizes_that_make_no_sense_are_refused(monkeypatch, text):
    monkeypatch.setenv("ADJOINTBENCH_SCALING", text)
    with pytest.raises(ValueError, match="ADJOINTBENCH_SCALING"):
        selection()


class Measures(Pretended):
    """A worker for which every tolerance is ok."""

    def measure(self, job):
        self.jobs.append(job)
        for row in job.unmeasured([], "ok", ""):
            yield replace(row, atol=row.rtol * job.atol_scale)


def test_the_points_of_the_scaling_study_are_told_from_a_ladder(tmp_path, monkeypatch):
    where = {"problems": ("brusselator(t_end=1.0)",), "methods": ("cvodes-adjoint",)}
    where |= {"scaling_methods": scaling.PEERS[:2]}
    chosen, worker = selected(**where, sizes=(5,)), Measures()
    monkeypatch.setattr(campaign, "make_workers", lambda jobs, alone: [worker])
    path = tmp_path / "rows.jsonl"
    rows = collect(chosen, path, say=print).rows
    ladder = pick(rows, "brusselator(t_end=1.0)", "cvodes-adjoint", "cpu")
    assert [row.rtol for row in ladder] == list(chosen.rtols)
    points = [row for row in rows if row.study == scaling.STUDY]
    assert [row.method for row in points] == [
        "cvodes-adjoint",
        "cvodes-adjoint(solver=cvodes-gmres)",
    ]
    assert all(row.atol == pytest.approx(scaling.ATOL) for row in points)
    measured = len(worker.jobs)
    collect(selected(**where, sizes=(5, 3)), path, say=print)
    assert {job.problem for job in worker.jobs[measured:]} == {"brusselator(n=3, t_end=1.0)"}


def test_an_unknown_name_is_refused_with_a_close_one(monkeypatch):
    monkeypatch.setenv("ADJOINTBENCH_METHODS", "jax-discret")
    with pytest.raises(ValueError, match=r"ADJOINTBENCH_METHODS='jax-discret'.*'jax-discrete'"):
        selection()


def test_the_version_tells_measure_problems_and_methods():
    assert len(results_version().split(".")) == 3


def test_a_worker_measures_and_keeps_what_libraries_print_to_itself(tmp_path):
    worker = Worker(Silence())
    try:
        rows = list(worker.measure(JOB))
        again = list(worker.measure(JOB))
    finally:
        worker.close()
    assert [row.rtol for row in rows] == [1e-5, 1e-3]  # the typical one first
    assert {row.status for row in rows} == {"ok"} == {row.status for row in again}
    assert rows[1].error < 1e-2
