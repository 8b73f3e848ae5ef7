import math

import pytest
from synthetic import write_rows

from adjointbench.reports.sections.verdicts import verdicts
from adjointbench.reports.tables.ladders import Ladders
from adjointbench.reports.tables.read import read_measurements
from adjointbench.reports.tables.summary import (
    failures,
    skips,
    summary,
    unfinished,
    wrong_answers,
)
from adjointbench.suite.measuring.formats import certified_error, leading_number


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
    assert trap.fast == "jax-gauss"
    assert trap.fast_at.endswith("error 1e-8; as fast or faster, not recommended: jax-backsolve")
    assert trap.stable == "jax-backsolve, jax-gauss, diffrax-backsolve"
    assert set(trap.wrong) == {"jax-discrete", "jax-forward", "finite-difference"}
    assert found["lotka_volterra"].broken == ("jax-backsolve",)
    assert len(found["robertson"].skipped) == 5


LATE = ("jax-gauss", 1e-10)


def with_late(rows):
    """The same rows, of which one was not done in its time."""
    mine = rows["method"].eq(LATE[0]) & rows["rtol"].eq(LATE[1])
    return rows.assign(
        status=rows["status"].mask(mine, "timeout"),
        error=rows["error"].mask(mine),
        seconds=rows["seconds"].mask(mine),
        message=rows["message"].mask(mine, "not done after 240 s"),
    )


def test_a_timeout_is_no_breakdown(rows):
    late = with_late(rows)
    assert len(failures(late)) == len(failures(rows))
    found = unfinished(late)
    assert set(found["method"]) == {"jax-gauss"}
    assert set(found["at rtol"]) == {"1e-10"}
    verdict = {v.problem: v for v in verdicts(Ladders(late))}["adaptive_ad_trap"]
    assert verdict.unfinished == ("jax-gauss",)
    assert "jax-gauss" not in verdict.broken
    # Of what was done all was right; at every tolerance it was not.
    mine = line(summary(late), "adaptive_ad_trap", "jax-gauss")
    assert (mine["share"], mine["unfinished"]) == (1.0, 1)
    assert mine["statuses"] == "7 ok, 1 not done"
    assert "jax-gauss" not in verdict.stable


def test_one_that_was_never_done_is_right_nowhere_and_wrong_nowhere(rows):
    mine = rows["method"].eq("jax-gauss")
    late = rows.assign(status=rows["status"].mask(mine, "timeout"), error=rows["error"].mask(mine))
    assert math.isnan(line(summary(late), "lotka_volterra", "jax-gauss")["share"])


def test_errors_below_what_the_reference_is_certified_to_are_equal(rows):
    certified = rows.assign(agreement=2e-9)
    trap = next(v for v in verdicts(Ladders(certified)) if v.problem == "adaptive_ad_trap")
    # The best errors of the two are 1e-10 and 2e-10, of the third 1e-9.
    assert trap.accurate == "jax-backsolve, jax-gauss, diffrax-backsolve"
    assert trap.accurate_at == "error ≤ 2.0e-9"
    assert Ladders(certified).race("adaptive_ad_trap")[0] == 1e-8
    assert not len(Ladders(certified).ranking("adaptive_ad_trap", 1e-9))


def test_an_error_below_the_certificate_is_written_as_its_bound():
    assert certified_error(1e-12, 2.1e-11) == "≤ 2.1e-11"
    assert certified_error(1e-10, 2.1e-11) == "1.0e-10"
    assert certified_error(1e-10, None) == certified_error(1e-10, math.nan) == "1.0e-10"
    assert leading_number("≤ 2.1e-11") == 2.1e-11
