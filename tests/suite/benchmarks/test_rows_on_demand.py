"""A benchmark measures what it needs, once in a run of asv, and nothing of another commit."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from adjointbench.suite.measuring import rows as rows_module
from adjointbench.suite.measuring.job import Job
from adjointbench.suite.measuring.machine import machine_name
from adjointbench.suite.measuring.row import Row
from adjointbench.suite.measuring.rows import read_rows

ROOT = Path(__file__).parents[3]
JOB = Job(
    problem="linear",
    method="finite-difference",
    rtols=(1e-3,),
    timeout_s=60.0,
    budget_s=0.01,
)

SLEEPING = """
import time
import numpy as np
import adjointbench as ab


def rhs(t, y, p):
    time.sleep(60.0)
    return -p["rate"] * y


problem = ab.Problem(
    name="sleeping",
    rhs=rhs,
    y0=np.array([1.0]),
    params={"rate": np.array([0.5])},
    t_span=(0.0, 1.0),
    loss=lambda ys, p: (ys**2).sum(),
)
"""


@pytest.fixture
def run_of_asv(suite, tmp_path, monkeypatch):
    """Begins a run of asv for a commit, in a folder that all its figures share."""
    monkeypatch.delenv("ADJOINTBENCH_ROWS", raising=False)

    def begin(name, commit="a" * 40):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("ASV_COMMIT", commit)
        return suite("_rows").begin(tmp_path / "results", quick=True)

    return begin


@pytest.fixture
def counted(suite, monkeypatch):
    """The tasks that are measured, which take no time here."""
    tasks = []

    def measured(file, task):
        tasks.append(task)
        return list(task.unmeasured([], "ok", ""))

    monkeypatch.setattr(suite("_rows"), "_measured", measured)
    return tasks


def test_asv_measures_what_was_selected_and_once_for_all_figures(tmp_path):
    configuration = json.loads((ROOT / "asv.conf.json").read_text())
    configuration |= {"repo": str(ROOT), "benchmark_dir": str(ROOT / "suite" / "benchmarks")}
    (tmp_path / "asv.conf.json").write_text(json.dumps(configuration))
    asv = [sys.executable, "-m", "asv"]
    where = ["--config", str(tmp_path / "asv.conf.json")]
    environment = os.environ | {
        "ADJOINTBENCH_QUICK": "1",
        "ADJOINTBENCH_PROBLEMS": "linear,lotka_volterra",
        "ADJOINTBENCH_METHODS": "finite-difference,scipy-forward",
        "ASV_CONF_DIR": str(tmp_path),
        "ASV_COMMIT": "c" * 40,
    }
    subprocess.run([*asv, "machine", "--yes", *where], check=True, env=environment)
    chosen = ["--bench", r"accuracy\.Accuracy.*\('linear', 'finite-difference'"]
    run = [*asv, "run", "-E", f"existing:{sys.executable}", "--dry-run", *chosen, *where]
    told = subprocess.run(run, check=True, env=environment, capture_output=True, text=True).stdout
    (file,) = tmp_path.rglob("cccccccc-rows.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    done = [(line["problem"], line["method"]) for line in lines if line["kind"] == "done"]
    assert done == [("linear", "finite-difference")]
    assert {row.method for row in read_rows(file).rows} == {"finite-difference"}
    assert told.count("track_") == 3
    assert "failed" not in told


def test_figures_of_one_run_share_what_was_measured(suite, run_of_asv, counted):
    file = run_of_asv("run")
    ladder = suite("_ladder").ladder
    for _ in range(3):
        assert {row.method for row in ladder(file, "robertson", "jax-gauss")} == {"jax-gauss"}
    ladder(file, "robertson", "jax-discrete")
    assert [task.method for task in counted] == ["jax-gauss", "jax-discrete"]


def test_another_run_and_another_commit_measure_anew(suite, run_of_asv, counted):
    files = []
    for name, commit in (("first", "a" * 40), ("again", "a" * 40), ("other", "b" * 40)):
        files.append(run_of_asv(name, commit))
        suite("_rows").rows_of(files[-1], JOB)
    assert len(counted) == 3
    assert files[0] == files[1] != files[2]
    assert files[2].name == "bbbbbbbb-rows.jsonl"


def test_rows_of_other_code_at_the_same_commit_are_set_aside(suite, run_of_asv, monkeypatch):
    row = Row(problem="linear", method="finite-difference", rtol=1e-3, status="ok")
    file = run_of_asv("before")
    with rows_module.RowWriter(file, anew=False, quick=True) as writer:
        writer.row(row)
    run_of_asv("again")
    assert read_rows(file).rows == [replace(row, machine=machine_name())]
    monkeypatch.setattr(rows_module, "code_hash", lambda: "another")
    run_of_asv("after")
    assert read_rows(file).rows == []
    assert len(list(file.parent.glob(f"{file.name}.*"))) == 1


def test_a_file_that_is_named_counts_as_measured_as_far_as_it_goes(
    suite, run_of_asv, counted, monkeypatch
):
    file = run_of_asv("collected")
    with rows_module.RowWriter(file, anew=False, quick=True) as writer:
        for method in ("jax-gauss", "jax-discrete"):
            writer.row(Row(problem="linear", method=method, rtol=1e-3, status="ok"))
        writer.done(replace(JOB, method="jax-gauss").key)
    monkeypatch.setenv("ADJOINTBENCH_ROWS", str(file))
    assert run_of_asv("reads") == file
    for method in ("jax-gauss", "jax-discrete"):
        suite("_rows").rows_of(file, replace(JOB, method=method))
    assert [task.method for task in counted] == ["jax-discrete"]


def test_a_combination_that_hangs_costs_its_own_time_once(suite, run_of_asv, tmp_path):
    (tmp_path / "sleeping.py").write_text(SLEEPING)
    file, rows_of = run_of_asv("run"), suite("_rows").rows_of
    place = str(tmp_path / "sleeping.py:problem")
    sleeping = replace(JOB, problem="sleeping", locator=place, timeout_s=3.0)
    begun = time.monotonic()
    assert [row.status for row in rows_of(file, sleeping)] == ["timeout"]
    first = time.monotonic() - begun
    assert [row.status for row in rows_of(file, sleeping)] == ["timeout"]
    assert 3.0 <= first < 30.0
    assert time.monotonic() - begun - first < 1.0
    assert [row.status for row in rows_of(file, JOB)] == ["ok"]
    assert {row.status for row in read_rows(file).rows} == {"timeout", "ok"}


def test_what_did_not_end_once_is_not_tried_again(suite, keep):
    once = suite("_rows").once
    assert [once("three", lambda: 3), once("three", lambda: 4)] == [3, 3]
    with pytest.raises(KeyboardInterrupt):
        once("training", lambda: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(RuntimeError, match="training: it did not end for another figure"):
        once("training", lambda: 5)


def test_parameters_are_those_of_the_checkout_whatever_is_installed(suite, monkeypatch, tmp_path):
    checkout = suite("_checkout")
    assert checkout.TASKS.__name__ == "adjointbench.suite.selection"
    installed = tmp_path / "site-packages" / "adjointbench" / "__init__.py"
    monkeypatch.setattr(checkout.adjointbench, "__file__", str(installed))
    found = checkout.of_checkout("suite.selection")
    assert found.__name__ == "adjointbench_of_checkout.suite.selection"
    assert Path(found.__file__) == ROOT / "suite" / "selection.py"
    assert repr(found.selection()) == repr(checkout.CHOSEN)
    task = found.ladder_job("linear", "finite-difference", "cpu", True)
    assert not isinstance(task, Job)
    as_installed = suite("_rows").as_installed(task)
    assert isinstance(as_installed, Job)
    assert vars(as_installed) == vars(task)
    assert repr(as_installed.key) == repr(task.key)


@pytest.mark.parametrize("unknown", [{"problem": "no_such(mu=1)"}, {"method": "jax-no-such"}])
def test_what_a_commit_does_not_have_is_skipped(suite, unknown):
    suite("_checkout").check_known("van_der_pol(mu=1000.0)", "cvodes-adjoint(solver=cvodes-gmres)")
    with pytest.raises(NotImplementedError, match="this commit has no"):
        suite("_checkout").check_known(**unknown)
