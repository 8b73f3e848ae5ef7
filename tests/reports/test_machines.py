"""Several machines in one report: what joins, what is told apart, and where they disagree."""

import pandas as pd
import pytest
from synthetic import measured, row, write_rows

from adjointbench.reports import build_report, compare_results
from adjointbench.reports.sections.machines import machines_parts
from adjointbench.reports.tables.endings import ELSEWHERE
from adjointbench.reports.tables.ladders import Ladders, newest
from adjointbench.reports.tables.machines import joined
from adjointbench.reports.tables.read import read_measurements
from adjointbench.suite.measuring.rows import RowWriter

RTOLS = (1e-3, 1e-6, 1e-9)
METHODS = ("jax-discrete", "jax-gauss", "scipy-adjoint")


def ladder(problem, *methods, **changes):
    return [row(problem, method, rtol) | changes for method in methods for rtol in RTOLS]


def tables(tmp_path, **machines):
    """What was read of a file for each machine, the first the newest."""
    for age, (name, rows) in enumerate(machines.items()):
        date = f"2026-11-{20 - age}T12:00:00+0000"
        write_rows(tmp_path / name / "rows.jsonl", rows, machine=name, date=date)
    return read_measurements([tmp_path])


def test_problems_of_two_machines_stand_together_each_with_its_times(tmp_path):
    found = tables(
        tmp_path, alpha=ladder("linear", *METHODS), beta=ladder("pendulum", *METHODS)
    ).rows
    shown = newest(found, by="problem")
    assert len(shown) == len(found)
    assert shown["seconds"].notna().all()
    machines = shown.groupby("problem")["machine"].unique().map(list).to_dict()
    assert machines == {"linear": ["alpha"], "pendulum": ["beta"]}


def test_of_one_problem_only_errors_join(tmp_path):
    rest = ladder("linear", "scipy-adjoint")
    found = tables(tmp_path, alpha=ladder("linear", *METHODS[:2]), beta=rest).rows
    shown = newest(found, by="problem").set_index("method")
    assert shown.loc["jax-gauss", "seconds"].notna().all()
    assert shown.loc["scipy-adjoint", "seconds"].isna().all()
    assert shown.loc["scipy-adjoint", "first_call_s"].isna().all()
    assert shown.loc["scipy-adjoint", "error"].notna().all()
    ladders = Ladders(newest(found, by="problem"))
    assert ladders.why_missing("linear", "scipy-adjoint") == ELSEWHERE
    (part,) = machines_parts(found, found.iloc[:0], ladders.rows)
    assert "linear: scipy-adjoint of beta, without times." in part.sentences
    error, _ = ladders.race("linear")
    assert "scipy-adjoint" not in ladders.ranking("linear", error).tied


def test_the_newest_machine_is_preferred_unless_it_has_measured_little(tmp_path):
    little, all_of_it = ladder("linear", METHODS[0]), ladder("linear", *METHODS)
    found = tables(tmp_path / "a", alpha=little, beta=all_of_it).rows
    assert set(joined(found, "alpha", "problem")["machine"]) == {"beta"}
    found = tables(tmp_path / "b", alpha=all_of_it, beta=all_of_it).rows
    assert set(joined(found, "alpha", "problem")["machine"]) == {"alpha"}


def test_a_file_of_a_cluster_is_read_by_machine(tmp_path):
    path = tmp_path / "rows.jsonl"
    with RowWriter(path, anew=True, quick=True, here=False) as writer:
        for problem, name in (("linear", "alpha"), ("pendulum", "beta")):
            for each in measured(ladder(problem, *METHODS)):
                writer.row(each, {"machine": name, "cpu": "A processor"})
        writer.end()
    found = read_measurements([path])
    assert [run["machine"]["machine"] for run in found.runs] == ["alpha", "beta"]
    assert dict(zip(found.rows["problem"], found.rows["machine"], strict=True)) == {
        "linear": "alpha",
        "pendulum": "beta",
    }
    assert found.rows["code"].nunique() == 1


def test_where_verdicts_differ_is_told_first(tmp_path):
    agree = ladder("pendulum", *METHODS)
    wrong = [r | ({"error": 0.7} if r["method"] == "jax-gauss" else {}) for r in agree]
    alpha = ladder("linear", *METHODS) + agree
    found = tables(tmp_path, alpha=alpha, beta=ladder("linear", *METHODS) + wrong)
    (part,) = machines_parts(found.rows, found.claims)
    lines = [[cell.text for cell in line] for line in part.table.lines]
    assert [line[:3] for line in lines if line[2] == "no"] == [
        line[:3] for line in lines[: len([line for line in lines if line[2] == "no"])]
    ]
    by_question = {tuple(line[:2]): line[2:] for line in lines}
    assert by_question["pendulum", "says ok and is wrong"] == ["no", "none", "jax-gauss"]
    assert by_question["linear", "says ok and is wrong"] == ["yes", "none", "none"]
    assert "alpha has measured 2 problems; beta has measured 2 problems." in part.sentences


def claim(number, **figures):
    name = f"claim {number}"
    about = {"problem": name, "number": number, "study": "claims", "status": "ok"}
    return about | {"figures": figures}


def test_verdicts_on_claims_are_held_beside_each_other(tmp_path):
    found = tables(tmp_path, alpha=[claim("4")], beta=[claim("4")])
    (part,) = machines_parts(found.rows, found.claims)
    (line,) = part.table.lines
    assert [cell.text for cell in line][2:] == ["yes", "not measured here", "not measured here"]


def test_two_commits_on_other_machines_of_a_cluster_are_compared_without_times(tmp_path):
    for commit, (name, other) in (("a", ("alpha", "beta")), ("b", ("alpha", "gamma"))):
        for machine, problem in ((name, "linear"), (other, "pendulum")):
            write_rows(
                tmp_path / f"{commit}-{machine}.jsonl",
                ladder(problem, *METHODS),
                machine=machine,
                commit=commit * 40,
                date=f"2026-11-2{'ab'.index(commit)}T12:00:00+0000",
            )
    comparison, sentences = compare_results([tmp_path], "aaaa")
    lines = comparison.table.set_index("problem")
    assert lines.loc["linear", "time"].notna().all()
    assert set(lines.loc["linear", "machine"]) == {"alpha"}
    assert lines.loc["pendulum", "time"].isna().all()
    assert lines.loc["pendulum", "error"].notna().all()
    assert "3 lines of different machines: their times are not compared." in sentences


def test_of_one_machine_there_is_no_such_part(tmp_path):
    found = tables(tmp_path, alpha=[*ladder("linear", *METHODS), claim("4")])
    assert machines_parts(found.rows, found.claims, found.rows) == []


def test_nothing_of_one_machine_has_changed(tmp_path):
    found = tables(tmp_path, alpha=ladder("linear", *METHODS)).rows
    pd.testing.assert_frame_equal(newest(found, by="problem"), found)


def test_the_page_is_of_all_that_measured(tmp_path):
    shared = ladder("linear", *METHODS)
    rows = {"alpha": shared, "beta": shared + ladder("pendulum", *METHODS)}
    tables(tmp_path / "results", **rows)
    build_report([tmp_path / "results"], tmp_path / "out", say=pytest.fail)
    report = (tmp_path / "out" / "report.md").read_text()
    assert "measured on alpha, beta, commit aaaaaaaa" in report
    assert "## pendulum" in report
    assert "Where machines agree" in report
    assert "within one machine only" in (tmp_path / "out" / "index.html").read_text()
