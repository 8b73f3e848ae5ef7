"""A comparison from end to end: a problem in a file, methods that crash, hang and cannot."""

import json
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from textbook_models import fitzhugh_nagumo, michaelis_menten

import adjointbench as ab
from adjointbench.adjoints.methods import get_method
from adjointbench.reports.tables.read import read_measurements
from adjointbench.suite.measuring import worker as workers_module
from adjointbench.suite.measuring.pool import Pool
from adjointbench.suite.measuring.rows import read_rows
from adjointbench.suite.own_problem import comparison as comparison_module
from adjointbench.suite.own_problem.comparison import Comparison, default_folder
from adjointbench.suite.own_problem.markdown import code
from adjointbench.suite.own_problem.method_order import FIRST, for_cores, in_order
from adjointbench.suite.own_problem.question import as_stiff, question
from adjointbench.suite.own_problem.recommendation import recommend
from adjointbench.suite.own_problem.run import compare
from adjointbench.suite.own_problem.stiffness import looks_stiff

#: It branches on a value, which JAX cannot, and runs on NumPy and PyTorch.
SWITCHED = """
import numpy as np
import adjointbench as ab

def rhs(t, y, p):
    return -p["k"] * y * (2.0 if float(t) > 1.0 else 1.0)

def make(rate=0.5):
    return ab.Problem(
        name="switched",
        rhs=rhs,
        y0=np.array([1.0]),
        params={"k": np.array([rate])},
        t_span=(0.0, 2.0),
        discontinuities=(1.0,),
        loss=lambda ys, p: ys[0, 0],
    )
"""

#: A measuring process in which one method crashes and another hangs.
WORKER = """
import os, time
from adjointbench.suite.measuring import child, job

real = job.iterate_ladder

def pretended(problem, method, *arguments, **options):
    if method == "complex-step":
        os.abort()
    if method == "scipy-forward":
        time.sleep(600)
    yield from real(problem, method, *arguments, **options)

job.iterate_ladder = pretended
child.main()
"""

METHODS = ("jax-discrete", "finite-difference", "complex-step", "scipy-forward", "scipy-adjoint")


class Listening:
    """Keeps what it is told; interrupts the run where all of these have ended."""

    def __init__(self, *interrupt):
        self.lines, self.missing = [], set(interrupt)

    def say(self, line):
        self.lines.append(line)

    def began(self, name):
        self.lines.append(f"{name} began")

    def ended(self, name, line):
        self.lines.append(f"{name}: {line}")
        if self.missing and not self.missing - {name}:
            raise KeyboardInterrupt
        self.missing.discard(name)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "switched_problem.py").write_text(SWITCHED)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def chosen(**changes):
    asked = question("switched_problem.py:make", {"rate": 0.7})
    options = {"methods": METHODS, "rtols": (1e-6,), "out": Path("out"), "budget_s": 300.0}
    return Comparison(asked.problem, asked.locator, **(options | changes)), asked


def test_from_a_file_to_a_recommendation(folder, monkeypatch):
    monkeypatch.setattr(workers_module, "COMMAND", (sys.executable, "-c", WORKER))
    monkeypatch.setattr(comparison_module, "SHARE", 0.04)
    monkeypatch.setattr(comparison_module, "LEAST_S", 1.0)
    comparison, asked = chosen()
    listening = Listening("finite-difference", "a reference at the tightest tolerances")
    with pytest.raises(KeyboardInterrupt):
        compare(comparison, listening)
    certified = comparison.references.stat().st_mtime_ns
    assert ("", "switched(rate=0.7)", "finite-difference", "cpu") in read_rows(comparison.rows).done

    listening = Listening()
    outcome = compare(comparison, listening)
    told = "\n".join(listening.lines)
    assert "finite-difference began" not in told
    assert "a reference" not in told
    assert comparison.references.stat().st_mtime_ns == certified
    rows = {row.method: row for row in outcome.rows}
    assert {method: row.status for method, row in rows.items()} == {
        "jax-discrete": "skipped",
        "finite-difference": "ok",
        "complex-step": "failed",
        "scipy-forward": "timeout",
        "scipy-adjoint": "ok",
    }
    assert "exit status -6" in rows["complex-step"].message
    assert "line 6 of switched_problem.py" in rows["jax-discrete"].message
    assert "array API" in rows["jax-discrete"].message
    assert not outcome.left
    assert read_rows(comparison.rows).complete

    agreement = outcome.reference.agreement
    found = recommend(outcome.rows, 1e-4, problem=comparison.name, agreement=agreement)
    assert found.best.method in ("finite-difference", "scipy-adjoint")
    run: dict = {}
    exec(code(asked.fetch, found.best), run)
    exact = -3.0 * np.exp(-3.0 * 0.7)
    np.testing.assert_allclose(run["result"].dparams["k"], exact, rtol=1e-4)
    np.testing.assert_allclose(outcome.reference.dparams["k"], exact, rtol=1e-10)
    read = read_measurements([comparison.out])
    assert not read.troubles
    assert set(read.rows["problem"]) == {"switched(rate=0.7)"}


def pretended_measures(seconds=0.0, status="ok", referenced=True, **more):
    """What measures in place of a worker: one row a tolerance."""

    def measure(worker, job):
        if job.name == "ladder":
            time.sleep(seconds)
            for row in job.unmeasured([], status, ""):
                yield replace(row, referenced=referenced, **more)
        else:
            failed = job.name == "certify"
            yield job.gives("failed" if failed else "ok", "not today" * failed)

    return measure


def test_what_the_budget_leaves_is_measured_by_the_same_command(folder, monkeypatch):
    monkeypatch.setattr("adjointbench.suite.measuring.pool.measure_job", pretended_measures(2.5))
    comparison, _ = chosen(budget_s=4.0, methods=in_order(["jax-discrete", "torch-tape"]))
    monkeypatch.setattr("adjointbench.suite.measuring.campaign.make_workers", one_worker)
    first = compare(comparison, Listening())
    assert first.left == ["torch-tape"]
    assert not read_measurements([comparison.out]).troubles
    monkeypatch.setattr("adjointbench.suite.measuring.pool.measure_job", pretended_measures())
    listening = Listening()
    assert not compare(comparison, listening).left
    assert "1 of 2 methods are measured already" in listening.lines
    assert read_rows(comparison.rows).complete


def one_worker(jobs, alone):
    return workers_module.make_workers(1)


def test_what_the_end_of_the_budget_cuts_off_is_no_timeout(folder, monkeypatch):
    def cut_off(worker, job):
        if job.name == "ladder":
            yield from job.unmeasured([], "timeout", "")
        else:
            yield job.gives("failed" if job.name == "certify" else "ok", "not today")

    monkeypatch.setattr("adjointbench.suite.measuring.pool.measure_job", cut_off)
    comparison, _ = chosen(budget_s=5.0, methods=("jax-discrete",))
    assert compare(comparison, Listening()).left == ["jax-discrete"]
    assert not read_rows(comparison.rows).rows
    # With time enough it is its own share that is over, until it is given more.
    longer, _ = chosen(budget_s=100.0, methods=("jax-discrete",))
    assert [row.status for row in compare(longer, Listening()).rows] == ["timeout"]
    longest, _ = chosen(budget_s=300.0, methods=("jax-discrete",))
    monkeypatch.setattr("adjointbench.suite.measuring.pool.measure_job", pretended_measures())
    assert [row.status for row in compare(longer, Listening()).rows] == ["timeout"]
    assert [row.status for row in compare(longest, Listening()).rows] == ["ok"]


def test_the_rows_of_what_is_cut_off_are_kept(folder, monkeypatch):
    def one_of_two(worker, job):
        if job.name != "ladder":
            yield job.gives("failed", "not today")
            return
        first, _ = job.unmeasured([], "ok", "")
        yield replace(first, seconds=1.0)
        yield from job.unmeasured([first], "timeout", "")

    monkeypatch.setattr("adjointbench.suite.measuring.pool.measure_job", one_of_two)
    options = {"methods": ("finite-difference",), "rtols": (1e-3, 1e-6)}
    comparison, _ = chosen(budget_s=5.0, **options)
    outcome = compare(comparison, Listening())
    assert outcome.left == ["finite-difference"]
    assert [(row.rtol, row.status) for row in outcome.rows] == [(1e-3, "ok")]
    assert recommend(outcome.rows, 1e-4).best.method == "finite-difference"
    # The same command measures the other one alone.
    asked_for = []

    def rest(worker, job):
        asked_for.append(job)
        return pretended_measures()(worker, job)

    monkeypatch.setattr("adjointbench.suite.measuring.pool.measure_job", rest)
    again = compare(comparison, Listening())
    assert [job.rtols for job in asked_for if job.name == "ladder"] == [(1e-6,)]
    assert [row.status for row in again.rows] == ["ok", "ok"]


def gradients(by_method, **changes):
    """What measures in place of a worker: each method has this gradient by its one parameter."""

    def measure(worker, job):
        if job.name != "ladder":
            yield job.gives("failed" if job.name == "certify" else "ok", "not today")
            return
        for row in job.unmeasured([], "ok", ""):
            gradient = {"k": [by_method[job.method]]}
            yield replace(
                row, seconds=1.0, loss=2.0, gradient=gradient, dy0_gradient=[1.0], **changes
            )

    return measure


AGREEING = {"scipy-adjoint": 3.0, "cvodes-forward": 3.0 + 3e-7, "finite-difference": 3.0 + 3e-4}


@pytest.mark.parametrize("wrong", ["", "finite-difference", "scipy-adjoint"])
def test_without_a_certificate_measured_methods_that_agree_take_its_place(
    folder, monkeypatch, wrong
):
    told = AGREEING | ({wrong: 3.3} if wrong else {})
    monkeypatch.setattr("adjointbench.suite.measuring.pool.measure_job", gradients(told))
    comparison, _ = chosen(methods=tuple(told))
    outcome = compare(comparison, Listening())
    assert (outcome.reference is None) == bool(wrong)
    if wrong:
        assert "no reference could be certified" in outcome.remarks[0]
        return
    assert outcome.reference.agreement == pytest.approx(1e-4, rel=1e-2)
    # No error is called smaller than what the reference is known to.
    assert {row.error for row in outcome.rows} == {outcome.reference.agreement}
    assert "these two are among the methods compared" in outcome.remarks[1]
    assert not comparison.references.exists()
    # A certificate that comes later judges the same rows, and nothing is measured again.
    reference = replace(outcome.reference, dparams={"k": np.array([2.0])}, agreement=1e-10)
    monkeypatch.setattr(Comparison, "reference", lambda self: reference)
    listening = Listening()
    rows = {row.method: row for row in compare(comparison, listening).rows}
    assert not any("began" in line for line in listening.lines)
    assert rows["scipy-adjoint"].error == pytest.approx(0.5)
    assert rows["scipy-adjoint"].gradient is None


def test_another_problem_sets_the_rows_aside(folder, monkeypatch):
    monkeypatch.setattr("adjointbench.suite.measuring.pool.measure_job", pretended_measures())
    comparison, _ = chosen(methods=("jax-discrete",))
    compare(comparison, Listening())
    stiff = textwrap.dedent(SWITCHED).replace("discontinuities", "stiff=True, discontinuities")
    (folder / "stiff_problem.py").write_text(stiff)
    asked = question("stiff_problem.py:make", {"rate": 0.7})
    other = Comparison(asked.problem, asked.locator, ("jax-discrete",), Path("out"), rtols=(1e-6,))
    assert other.name == comparison.name
    listening = Listening()
    compare(other, listening)
    assert "has changed since" in listening.lines[1]
    assert len(list(folder.glob("out/rows.jsonl.*"))) == 1


def test_rows_without_an_error_are_measured_again_once_there_is_a_reference(folder, monkeypatch):
    without = pretended_measures(referenced=False)
    monkeypatch.setattr("adjointbench.suite.measuring.pool.measure_job", without)
    comparison, _ = chosen(methods=("finite-difference",))
    outcome = compare(comparison, Listening())
    assert outcome.reference is None
    assert "no reference could be certified" in outcome.remarks[0]
    assert "not today" in outcome.remarks[0]
    reference = ab.problems.get("linear").reference
    monkeypatch.setattr(Comparison, "reference", lambda self: reference)
    monkeypatch.setattr("adjointbench.suite.measuring.pool.measure_job", pretended_measures())
    (row,) = compare(comparison, Listening()).rows
    assert row.referenced


def test_what_looks_stiff_is_measured_again_with_implicit_solvers(folder, monkeypatch):
    explicit = pretended_measures(status="max_steps", stiff=False)
    monkeypatch.setattr("adjointbench.suite.measuring.pool.measure_job", explicit)
    comparison, asked = chosen(methods=("finite-difference",))
    assert not compare(comparison, Listening()).as_stiff
    by_radau = {"method": "scipy-forward", "solver": "radau", "rtol": 1e-12}
    reference = replace(ab.problems.get("linear").reference, computations=(by_radau, by_radau))
    monkeypatch.setattr(Comparison, "reference", lambda self: reference)
    monkeypatch.setattr("adjointbench.suite.measuring.pool.measure_job", pretended_measures())
    for _ in range(2):
        outcome = compare(comparison, Listening())
        assert outcome.as_stiff
        assert [(row.status, row.stiff) for row in outcome.rows] == [("ok", True)]
    assert "looks stiff" in outcome.remarks[1]
    run: dict = {}
    exec(as_stiff(asked.fetch), run)
    assert run["problem"].stiff


def test_workers_outlive_the_tasks_of_one_round(monkeypatch):
    started, popen = [], subprocess.Popen

    def counted(*arguments, **options):
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(workers_module.subprocess, "Popen", counted)
    (worker,) = workers_module.make_workers(1)
    method = "finite-difference"
    linear = ab.problems.get("linear")
    job = Comparison(linear, "", (method,), Path("x"), rtols=(1e-3,)).job(method)
    with Pool([worker]) as pool:
        for _ in range(2):
            kinds = [event.row.status for event in pool.events([job]) if event.row]
            assert kinds == ["ok"]
            assert [process.poll() for process in started] == [None]


def test_a_method_of_each_family_and_backend_comes_first():
    order = in_order()
    assert order[: len(FIRST)] == FIRST
    wanted = {m.name for m in ab.methods() if not m.keeps_steps}
    assert {name.partition("(")[0] for name in order} == wanted
    families = {get_method(m.partition("(")[0]).family for m in FIRST[:5]}
    assert families == {"discrete", "continuous", "blackbox", "peers"}
    assert for_cores(order, 1, 600.0) == for_cores(order, 2, 120.0) == order
    assert for_cores(order, 2, 600.0)[3:5] == ("jax-discrete", "torch-discrete")
    assert sorted(for_cores(order, 2, 600.0)) == sorted(order)
    assert in_order(["jax-gauss"]) == ("jax-gauss",)


@pytest.mark.parametrize(("model", "stiff"), [(michaelis_menten, True), (fitzhugh_nagumo, False)])
def test_a_problem_is_found_to_be_stiff_whatever_its_units(model, stiff):
    problem = model()
    assert looks_stiff(problem) == stiff
    small = 1e-7

    def rhs(t, y, p):
        return small * problem.rhs(t, y / small, p)

    scaled = replace(problem, rhs=rhs, y0=small * problem.y0)
    assert looks_stiff(scaled) == stiff


def test_the_folder_has_the_name_of_the_problem():
    assert default_folder("van_der_pol(mu=10.0)") == Path("compare-van_der_pol-mu-10.0")
    assert default_folder("my kinetics") == Path("compare-my-kinetics")


def test_the_reference_that_is_kept_is_whole_json(folder):
    from adjointbench.problems.reference import read_references, save_references

    reference = ab.problems.get("linear").reference
    save_references([reference], Path("reference.json"))
    assert json.loads(Path("reference.json").read_text())[0]["problem"] == "linear"
    assert read_references(Path("reference.json"))[0].definition_hash == reference.definition_hash
    assert not list(folder.glob("*.part"))


#: The end of the infusion is a parameter, and declared where it is.
INFUSION = """
import numpy as np
from array_api_compat import array_namespace
import adjointbench as ab

def rhs(t, y, p):
    return -p["k"] * y + array_namespace(y).where(t < p["tau"], 2.0 + 0 * y, 0 * y)

problem = ab.Problem(
    name="infusion",
    rhs=rhs,
    y0=np.array([1.0]),
    params={"k": np.array([0.5]), "tau": np.array([0.8])},
    t_span=(0.0, 2.0),
    discontinuities=(0.8,),
    loss=lambda ys, p: ys[0, 0],
)
"""


def test_what_no_method_sees_is_told_and_nothing_is_called_right(tmp_path):
    file = tmp_path / "infusion.py"
    file.write_text(INFUSION)
    asked = question(str(file), {})
    chosen = Comparison(
        asked.problem, asked.locator, ("scipy-adjoint",), tmp_path / "out", (1e-6,), 60.0
    )
    outcome = compare(chosen, Listening())
    assert outcome.reference is None
    # One attempt: looser tolerances would see the same.
    (told,) = [remark for remark in outcome.remarks if "certified" in remark]
    assert told.count("the loss itself has one of 0.878099") == 1
    assert "params['tau'] may be a time at which the equations switch" in told
    found = recommend(outcome.rows, 1e-4, problem="infusion", agreement=None)
    assert found.agreement is None


UNSEEDED = """
import numpy as np
import adjointbench as ab

problem = ab.Problem(
    name="unseeded",
    rhs=lambda t, y, p: -p["k"] * y,
    y0=np.array([1.0]),
    params={"k": np.random.default_rng().uniform(size=1)},
    t_span=(0.0, 1.0),
    loss=lambda ys, p: ys[0, 0],
)
"""


def test_a_problem_that_is_another_one_in_each_process_is_told(tmp_path):
    file = tmp_path / "unseeded.py"
    file.write_text(UNSEEDED)
    asked = question(str(file), {})
    chosen = Comparison(
        asked.problem, asked.locator, ("finite-difference",), tmp_path / "out", (1e-4,), 60.0
    )
    outcome = compare(chosen, Listening())
    assert outcome.reference is None
    assert any("set a seed" in remark for remark in outcome.remarks)
