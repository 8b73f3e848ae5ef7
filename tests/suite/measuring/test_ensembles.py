"""Ensembles: every lane has the gradient that it has alone, and numbers of lanes their rows."""

from contextlib import nullcontext

import numpy as np
import pytest

import adjointbench as ab
from adjointbench.suite.measuring.errors import relative_error
from adjointbench.suite.measuring.names import bare_name
from adjointbench.suite.measuring.studies import batched, lanes
from adjointbench.suite.measuring.studies.batched import batched_gradient
from adjointbench.suite.measuring.studies.ensembles import LanesTask
from adjointbench.suite.selection import selection

TASK = LanesTask(
    problem=lanes.PROBLEM,
    method=lanes.method_of("torchode-autodiff", 3),
    rtol=1e-6,
    budget_s=0.0,
    study=lanes.STUDY,
)


def test_the_first_lane_is_the_problem_itself_and_the_last_so_much_further():
    problem = ab.problems.get(lanes.PROBLEM)
    for number in (1, 2, 5):
        p = lanes.lanes_of(problem, number)["p"]
        assert p.shape == (number, 4)
        np.testing.assert_array_equal(p[0], problem.params["p"])
    np.testing.assert_allclose(p[-1], problem.params["p"] * (1 + lanes.SPREAD))


@pytest.mark.parametrize("method", lanes.METHODS)
def test_every_lane_has_the_gradient_that_it_has_alone(method):
    problem = ab.problems.get(lanes.PROBLEM)
    run = ab.prepare(problem, "scipy-forward", rtol=1e-9, atol=1e-12)
    way = batched_gradient(problem, method)
    many = lanes.lanes_of(problem, 3)
    found = np.asarray(way.gradient(way.place(many), 1e-7)["p"])
    for lane, p in zip(found, many["p"], strict=True):
        assert relative_error(lane, run(params={"p": p}).dparams["p"]) < 1e-4


def test_a_row_has_the_number_of_lanes_in_its_method():
    (row,) = TASK.rows(nullcontext)
    assert row.key == TASK.key
    assert lanes.number_of(row.method) == 3
    assert row.status == "ok"
    assert row.error < 1e-3
    assert lanes.seconds_a_lane(row) == row.seconds / 3
    (left,) = TASK.unmeasured([], "timeout", "not done")
    assert (left.method, left.status) == (row.method, "timeout")
    assert list(TASK.unmeasured([row], "timeout", "not done")) == []


def test_what_raises_is_a_row(monkeypatch):
    def broken(problem):
        raise RuntimeError("out of luck")

    monkeypatch.setitem(batched._WAYS, bare_name(TASK.method), broken)
    rows = list(TASK.rows(nullcontext))
    assert [(row.status, row.message) for row in rows] == [("failed", "RuntimeError: out of luck")]


def test_ensembles_are_chosen_with_their_methods(monkeypatch):
    for name in ("PROBLEMS", "METHODS", "LANES"):
        monkeypatch.delenv(f"ADJOINTBENCH_{name}", raising=False)
    monkeypatch.setenv("ADJOINTBENCH_QUICK", "1")
    assert {bare_name(name) for name in selection().lanes} == set(lanes.QUICK_METHODS)
    assert {lanes.number_of(name) for name in selection().lanes} == set(lanes.QUICK_NUMBERS)
    tasks = [task for task in selection().jobs() if isinstance(task, LanesTask)]
    assert tuple(task.method for task in tasks) == selection().lanes
    monkeypatch.setenv("ADJOINTBENCH_PROBLEMS", "linear")
    assert selection().lanes == ()
    monkeypatch.setenv("ADJOINTBENCH_LANES", "1")
    monkeypatch.setenv("ADJOINTBENCH_METHODS", "jax-discrete,jax-gauss")
    assert {bare_name(name) for name in selection().lanes} == {"jax-discrete"}
