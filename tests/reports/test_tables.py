import math

import pytest
from synthetic import write_rows

from adjointbench.reports.sections.verdicts import verdicts
from adjointbench.reports.tables.ladders import Ladders
from adjointbench.reports.tables.read import read_measurements
from adjointbench.reports.tables.summary import failures, skips, summary, wrong_answers


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl")
    return read_measurements([path]).rows


def line(table, problem, method):
    return table[table["problem"].eq(problem) & table["method"].eq(method)].iloc[0]


def test_summary_of_a_method_that_works(rows):
    found = line(summary(rows), "lotka_volterra", "jax-gauss")
    assert found["share"] == 1.0
    assert found["order"] == pytest.approx(0.9)
    assert found["error"] == pytest.approx(2e-3 * 1e-3**0.9)
    assert found["best_error"] == pytest.approx(2e-3 * 1e-7**0.9)
    assert found["seconds"] == pytest.approx(5e-4)
    assert found["statuses"] == "8 ok"


def test_summary_of_one_that_breaks_down(rows):
    found = line(summary(rows), "lotka_volterra", "jax-backsolve")
    assert found["share"] == 6 / 8
    assert found["statuses"] == "6 ok, 2 max_steps"
    assert found["best_error"] == pytest.approx(1e-8)


def test_a_skipped_method_has_no_share(rows):
    found = line(summary(rows), "robertson", "jax-discrete")
    assert math.isnan(found["share"])
    assert "implicit" in found["skipped"]


def test_ok_and_wrong_is_flagged(rows):
    table = wrong_answers(rows)
    trap = table[table["problem"].eq("adaptive_ad_trap") & table["method"].eq("jax-discrete")]
    assert list(trap["worst_error"]) == [28.2]
    assert list(trap["at rtol"]) == ["1e-3 … 1e-10"]
    assert "jax-gauss" not in set(table["method"])


def test_without_a_reference_nothing_is_called_wrong(rows):
    unknown = rows.assign(referenced=False, error=math.nan)
    assert wrong_answers(unknown).empty


def test_failures_say_status_phase_and_where(rows):
    (found,) = failures(rows).to_dict("records")
    assert (found["method"], found["status"], found["phase"]) == (
        "jax-backsolve",
        "max_steps",
        "reverse",
    )
    assert found["at rtol"] == "1e-9, 1e-10"


def test_skips_say_why_once(rows):
    table = skips(rows)
    assert len(table) == 5
    assert all("implicit" in message for message in table["message"])


def test_the_race_is_run_at_equal_error(rows):
    found = Ladders(rows).ranking("adaptive_ad_trap", 1e-6)
    assert list(found.seconds) == ["jax-backsolve", "jax-gauss", "diffrax-backsolve"]
    assert found.best == pytest.approx(4e-4)


def test_verdicts_name_the_right_methods(rows):
    found = {v.problem: v for v in verdicts(Ladders(rows))}
    trap = found["adaptive_ad_trap"]
    assert trap.accurate == "jax-backsolve"
    assert trap.fast == "jax-backsolve"
    assert trap.fast_at == "1 ms at error 1e-8"
    assert trap.stable == "jax-backsolve, jax-gauss, diffrax-backsolve"
    assert set(trap.wrong) == {"jax-discrete", "jax-forward", "finite-difference"}
    assert found["lotka_volterra"].broken == ("jax-backsolve",)
    assert len(found["robertson"].skipped) == 5
