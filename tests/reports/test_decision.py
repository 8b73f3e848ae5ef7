"""The decision table: classes of problems, choices, and when there is none."""

import pandas as pd
import pytest
from test_findings import frame

from adjointbench import problems
from adjointbench.reports.sections.decision import (
    ORDER,
    class_of,
    classes,
    decisions,
    least,
    most_right,
)
from adjointbench.reports.tables.ladders import Ladders

SMALL = {"tags": (), "stiff": False, "n_states": 2, "n_params": 4}


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({}, "small, smooth or oscillatory"),
        ({"tags": ["chaotic"]}, "chaotic"),
        ({"stiff": True}, "stiff, small"),
        ({"stiff": True, "tags": ["pde"]}, "stiff, large (PDE)"),
        ({"n_states": 400}, "not stiff, large (PDE)"),
        ({"stiff": True, "tags": ["neural"]}, "neural, many parameters"),
        ({"tags": ["oscillatory", "trap"]}, "trap for adaptive steps"),
    ],
)
def test_a_problem_has_one_class(about, expected):
    assert class_of(SMALL | about) == expected
    assert expected in ORDER


def test_every_class_has_a_problem_of_the_zoo():
    zoo = [problems.get(name) for name in problems.names() if "mnist" not in name]
    found = {
        class_of({"tags": p.tags, "stiff": p.stiff, "n_states": p.n_states, "n_params": p.n_params})
        for p in zoo
    }
    assert found == set(ORDER)


def test_classes_take_what_the_rows_know():
    rows = frame().assign(n_states=2, n_params=4)
    rows["tags"] = [["chaotic"] if p == "linear" else None for p in rows["problem"]]
    assert classes(Ladders(rows)) == {"chaotic": ["linear"], "stiff, small": ["pollu"]}
    assert classes(Ladders(rows.assign(referenced=False))) == {}


def test_the_least_by_the_geometric_mean_over_all_problems():
    a = pd.Series({"x": 1.0, "y": 4.0, "z": 0.5})
    b = pd.Series({"x": 4.0, "y": 2.0})
    found = least({"a": a, "b": b})
    # z was not there on b; x is 2 and 2 times the best, y is 8 and 1.
    assert found.methods == ("x",)
    assert found.value == pytest.approx(2.0)
    assert found.problems == 2


def test_ties_within_the_noise_are_named_and_beyond_are_not():
    found = least({"a": pd.Series({"x": 1.0, "y": 1.19, "z": 1.21})})
    assert found.methods == ("x", "y")


def test_where_nobody_gets_there_on_all_the_reason_is_said():
    assert least({"a": pd.Series(dtype=float)}).reason == "no method gets there"
    found = least({"a": pd.Series({"x": 1.0}), "b": pd.Series({"y": 1.0})})
    assert found.methods == ()
    assert found.reason == "no method gets there on all 2 problems"


def test_the_most_often_right_must_be_tried_on_all():
    rows = frame(({"method": "jax-backsolve", "rtol": 1e-9}, {"error": 3.0}))
    assert most_right(rows).methods == ("diffrax-backsolve", "jax-discrete")
    skipped = frame(({"method": "diffrax-backsolve", "problem": "pollu"}, {"status": "skipped"}))
    assert most_right(skipped).methods == ("jax-backsolve", "jax-discrete")
    assert most_right(frame(({}, {"error": 3.0}))).reason == "no method was right"


def test_the_table_has_every_class_and_what_matters():
    found = decisions(Ladders(frame())).set_index(["class", "matters"])
    assert found.loc[("stiff, small", "fastest at error 1e-3"), "method"] == "jax-discrete"
    peers = found.loc[("stiff, small", "an installed library alone, at error 1e-3")]
    assert peers["method"] == "diffrax-backsolve"
    assert peers["value"] == "1.00\N{NO-BREAK SPACE}×"
    torch = found.loc[("stiff, small", "in PyTorch, at error 1e-3")]
    assert (torch["method"], torch["value"]) == ("–", "none was measured")
    faster = frame(({"method": "jax-backsolve"}, {"seconds": 1e-9}))
    found = decisions(Ladders(faster)).set_index(["class", "matters"])
    assert found.loc[("stiff, small", "fastest at error 1e-3"), "method"] == "jax-backsolve"
