"""The decision table: classes of problems, choices, and when there is none."""

import pandas as pd
import pytest
from test_findings import frame

from adjointbench import problems
from adjointbench.reports.sections.decision import (
    ORDER,
    class_of,
    classes,
    decision_parts,
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
        ({"tags": ["events"]}, "events or moving times"),
        ({"tags": ["switching"], "stiff": True}, "events or moving times"),
        ({"tags": ["dae"], "stiff": True}, "algebraic equations"),
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


TRUSTED = ("x", "y", "z")


def chosen(**figures):
    return least({name: pd.Series(mine) for name, mine in figures.items()}, TRUSTED)


def test_the_least_by_the_geometric_mean_over_all_problems():
    found = chosen(a={"x": 1.0, "y": 4.0, "z": 0.5}, b={"x": 4.0, "y": 2.0})
    # z was not there on b; x is 2 and 2 times the best, y is 8 and 1.
    assert found.methods == ("x",)
    assert found.value == pytest.approx(2.0)
    assert found.problems == 2


def test_ties_within_the_noise_are_named_and_beyond_are_not():
    figures = {"x": 1.0, "y": 1.19, "z": 1.21}
    assert chosen(a=figures, b=figures).methods == ("x", "y")


def test_who_may_be_silently_wrong_is_named_as_ahead_and_never_chosen():
    figures = {"x": 1.0, "y": 4.0, "untrusted": 0.5, "near": 0.95}
    found = chosen(a=figures, b=figures)
    assert (found.methods, found.ahead) == (("x",), ("untrusted",))
    assert found.value == pytest.approx(1.0)
    alone = {"untrusted": 0.5}
    assert chosen(a=alone, b=alone).reason == "no method gets there"


def test_one_problem_gives_no_advice():
    found = chosen(a={"x": 1.0}, b={})
    assert (found.methods, found.reason) == ((), "only on a, and one problem is no class")


def test_where_nobody_gets_there_on_all_the_reason_is_said():
    assert chosen(a={}).reason == "no method gets there"
    found = chosen(a={"x": 1.0}, b={"y": 1.0})
    assert found.methods == ()
    assert found.reason == "no method gets there on all 2 problems"


def test_the_most_often_right_must_be_tried_on_all():
    trusted = ("diffrax-backsolve", "jax-backsolve", "jax-discrete")
    rows = frame(({"method": "jax-backsolve", "rtol": 1e-9}, {"error": 3.0}))
    assert most_right(rows, trusted).methods == ("diffrax-backsolve", "jax-discrete")
    assert most_right(rows, ("jax-backsolve",)).ahead == ("diffrax-backsolve", "jax-discrete")
    skipped = frame(({"method": "diffrax-backsolve", "problem": "pollu"}, {"status": "skipped"}))
    assert most_right(skipped, trusted).methods == ("jax-backsolve", "jax-discrete")
    assert most_right(frame(({}, {"error": 3.0})), trusted).reason == "no method was right"


def two_of_each(*changes):
    """Two problems of each class, by a method, a backsolve and a peer that may be trusted."""
    rows = frame(*changes).replace("diffrax-backsolve", "diffrax-recursive-checkpoint")
    return pd.concat([rows, rows.assign(problem=rows["problem"] + "_2")], ignore_index=True)


def table(*changes):
    return decisions(Ladders(two_of_each(*changes))).set_index(["class", "matters"])


def test_the_table_has_every_class_and_what_matters():
    found = table()
    assert found.loc[("stiff, small", "fastest at error 1e-3"), "method"] == "jax-discrete"
    peers = found.loc[("stiff, small", "an installed library alone, at error 1e-3")]
    assert peers["method"] == "diffrax-recursive-checkpoint"
    assert peers["value"] == "1.00\N{NO-BREAK SPACE}×"
    torch = found.loc[("stiff, small", "in PyTorch, at error 1e-3")]
    assert (torch["method"], torch["value"]) == ("–", "none was measured")


def test_a_backsolve_is_faster_and_not_recommended():
    line = table(({"method": "jax-backsolve"}, {"seconds": 1e-9})).loc["stiff, small"]
    fast = line.loc["fastest at error 1e-3"]
    assert (fast["method"], fast["ahead"]) == ("jax-discrete", "jax-backsolve")
    assert not any("backsolve" in method for method in line["method"])


def test_a_class_of_one_problem_is_said_and_gives_no_advice(tmp_path):
    assert decisions(Ladders(frame())).empty
    (part,) = decision_parts(Ladders(frame()), tmp_path)
    assert part.table is None
    assert part.sentences == (
        "No advice from one problem alone: small, smooth or oscillatory (linear); stiff, small "
        "(pollu).",
    )


def test_where_the_clock_ended_it_the_reason_says_so():
    late = ({"problem": "pollu"}, {"status": "timeout", "error": None, "seconds": None})
    told = table(late).loc[("stiff, small", "fastest at error 1e-3"), "value"]
    assert told.endswith("some were not done in their time")
