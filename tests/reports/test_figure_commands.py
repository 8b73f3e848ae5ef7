"""The commands beside figures do what they say: they select what is drawn."""

import shlex

import pandas as pd
from synthetic import checkpoint_rows, lane_rows, row, scaling_rows

from adjointbench.reports.sections.commands import (
    checkpoints_command,
    ladder_command,
    lanes_command,
    scaling_command,
    training_command,
)
from adjointbench.suite.measuring.measure import LADDER
from adjointbench.suite.measuring.names import bare_name
from adjointbench.suite.measuring.quick import QUICK_METHODS
from adjointbench.suite.measuring.studies import checkpoints, scaling
from adjointbench.suite.selection import selection


def chosen(command, monkeypatch):
    """What the first of the two commands selects."""
    names = ("FULL", "QUICK", "PROBLEMS", "METHODS", "DEVICES", "SCALING", "CHECKPOINTS", "LANES")
    for name in names:
        monkeypatch.delenv(f"ADJOINTBENCH_{name}", raising=False)
    measure, report = command.replace("\\\n", "").splitlines()
    words = shlex.split(measure)
    assert words[-4:] == ["adjointbench", "bench", "--out", "rows.jsonl"]
    for word in words[:-4]:
        name, _, value = word.partition("=")
        monkeypatch.setenv(name, value)
    assert report == "adjointbench report rows.jsonl --out report"
    return selection()


def test_ladders_are_measured_with_their_problems_methods_and_devices(monkeypatch):
    problem = "van_der_pol(mu=1000.0)"
    rows = pd.DataFrame(
        [row(problem, m, r) for m in ("jax-forward", "jax-gauss") for r in LADDER]
        + [
            row(problem, "jax-gauss", r, device="cuda") | {"method": "jax-gauss on cuda"}
            for r in LADDER
        ]
    )
    found = chosen(ladder_command(rows), monkeypatch)
    assert not found.quick
    assert found.problems == (problem,)
    assert found.methods == ("jax-forward", "jax-gauss")
    assert found.devices == ("cpu", "cuda")


def test_quick_ladders_are_measured_as_quick(monkeypatch):
    rows = pd.DataFrame([row("pollu", "jax-gauss", r) for r in (1e-3, 1e-6, 1e-9)])
    found = chosen(ladder_command(rows), monkeypatch)
    assert found.quick
    usual = [rows.assign(method=name) for name in QUICK_METHODS]
    command = ladder_command(pd.concat(usual))
    assert "METHODS" not in command
    assert chosen(command, monkeypatch).methods == QUICK_METHODS


def test_studies_are_measured_again(monkeypatch):
    points = pd.DataFrame(scaling_rows())
    found = chosen(scaling_command(points), monkeypatch)
    assert found.sizes == (2, 3, 5)
    assert set(points["method"]) <= set(found.scaling_methods)
    kept = pd.DataFrame(checkpoint_rows())
    kept = kept[kept["method"].str.startswith("jax")]
    found = chosen(checkpoints_command(kept), monkeypatch)
    assert set(kept["method"]) <= set(found.checkpointed)
    jobs = [job for job in found.jobs() if job.study == checkpoints.STUDY]
    assert {job.problem for job in jobs} == {checkpoints.PROBLEM}
    assert scaling.STUDY not in {job.study for job in found.jobs()}
    found = chosen(lanes_command(pd.DataFrame(lane_rows())), monkeypatch)
    assert {bare_name(name) for name in found.lanes} == {
        *("jax-discrete", "torch-discrete", "torchode-autodiff")
    }
    assert checkpoints.STUDY not in {job.study for job in found.jobs()}


def test_trainings_are_repeated_with_their_coefficients():
    about = {"task": "digits", "method": "jax-discrete", "epochs": 2}
    epochs = pd.DataFrame(
        [
            about | {"regularizer": name, "coefficients": given, "seed": seed}
            for name, given in (("none", ""), ("error 10:1", "10:1"), ("error+stiffness", "1 2"))
            for seed in (0, 1)
        ]
    )
    words = shlex.split(training_command(epochs).splitlines()[0])
    assert words[:3] == ["adjointbench", "train", "digits"]
    given = dict(zip(words[3::2], words[4::2], strict=True))
    assert given["--grid"] == "none,error=10:1,error+stiffness=1 2"
    assert given["--adjoint"] == "jax-discrete"
    assert given["--seeds"] == "0,1"
    assert given["--epochs"] == "2"
