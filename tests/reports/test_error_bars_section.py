import pytest
from synthetic import row, rows, write_rows

from adjointbench.reports.sections.error_bars import error_bars_parts
from adjointbench.reports.tables.error_bars import by_method, estimates, misses
from adjointbench.reports.tables.ladders import Ladders
from adjointbench.reports.tables.read import read_measurements
from adjointbench.reports.tables.summary import wrong_answers


def estimated(problem, rtol, error, ratio, status="ok", method="jax-discrete"):
    bar = {"estimated_error": ratio * error, "error_reliable": True, "error_bar_status": status}
    return row(problem, method, rtol, error=error, dy0_error=error, **bar)


#: A lie, a trap that says so, a false alarm, and estimates that hit, one of them of two methods.
MADE = [
    estimated("robertson", 1e-3, 0.5, 0.01),
    estimated("adaptive_ad_trap", 1e-6, 29.0, 0.4, "inaccurate"),
    estimated("lotka_volterra", 1e-3, 0.02, 7.0, "inaccurate"),
    estimated("lotka_volterra", 1e-3, 0.02, 6.9, "inaccurate", "jax-forward"),
    estimated("lotka_volterra", 1e-6, 1e-5, 1.1),
    estimated("lotka_volterra", 1e-9, 1e-8, 0.9),
]


@pytest.fixture
def table(tmp_path):
    path = write_rows(tmp_path / "vm" / "abc-rows.jsonl", MADE)
    return read_measurements([path]).rows


def test_each_method_has_its_shares_and_what_ok_is_worth_with_them(table):
    lines = by_method(table).set_index("method")
    found = lines.loc["jax-discrete"]
    assert found["number"] == 3
    assert found["close"] == found["near"] == pytest.approx(2 / 3)
    assert (found["before"], found["after"], found["alarms"]) == (2, 1, 1)
    assert lines.loc["jax-forward", "alarms"] == 1


def test_every_miss_is_named_and_those_of_one_place_share_a_number(table):
    missed = misses(estimates(table))
    named = list(zip(missed["miss"], missed["problem"], missed["method"], strict=True))
    assert named == [
        (1, "lotka_volterra", "jax-discrete"),
        (1, "lotka_volterra", "jax-forward"),
        (2, "robertson", "jax-discrete"),
    ]
    assert list(missed["said"]) == ["inaccurate", "inaccurate", "ok"]


def test_what_is_wrong_and_says_so_is_told_apart_from_a_lie(table):
    told = wrong_answers(table).set_index("problem")["error_bar"]
    assert told["adaptive_ad_trap"] == "says so itself"
    assert told["robertson"] == "ok"


def test_the_section_has_sentences_a_figure_with_its_numbers_and_two_tables(table, tmp_path):
    (tmp_path / "figures").mkdir()
    section, missed = error_bars_parts(Ladders(table), tmp_path)
    assert section.sentences[0].startswith(
        "Of 6 gradients that ended ok 2 were off by more than 10 %. With an error bar 1 of them "
        "say so themselves, 1 still say ok, and 2 gradients that were right to 3 % raised a false "
        "alarm"
    )
    assert (tmp_path / "figures" / "error-bars.csv").exists()
    assert len(section.table.lines) == 2
    assert len(missed.table.lines) == 3


def test_old_rows_have_no_section_and_are_not_called_asked(tmp_path):
    path = write_rows(tmp_path / "vm" / "abc-rows.jsonl", rows())
    old = read_measurements([path]).rows
    assert error_bars_parts(Ladders(old), tmp_path) == []
    assert set(wrong_answers(old)["error_bar"]) == {"not asked"}
