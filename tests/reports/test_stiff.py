import csv
import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from synthetic import row, rows, scaling_row, scaling_rows, stiff_rows, write_rows

from adjointbench.reports import build_report
from adjointbench.reports.figures.canvas import to_svg
from adjointbench.reports.figures.scaling import scaling_figure
from adjointbench.reports.sections.published_times import published_table
from adjointbench.reports.sections.scaling import crossing_sentence, scaling_lines, scaling_table
from adjointbench.reports.sections.stiff import _costs, breakages, costs, reasons
from adjointbench.reports.tables import published
from adjointbench.reports.tables.frames import rows_of
from adjointbench.reports.tables.kinds import KINDS
from adjointbench.reports.tables.ladders import Ladders
from adjointbench.reports.tables.read import read_measurements
from adjointbench.suite.measuring.studies import scaling


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    return read_measurements([write_rows(path, rows() + stiff_rows() + scaling_rows())])


@pytest.fixture(scope="module")
def stiff(found):
    return Ladders(found.rows).stiff


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    write_rows(root / "rows.jsonl", rows() + stiff_rows() + scaling_rows())
    build_report([root], root / "out", say=pytest.fail)
    return root / "out"


def lines_of(points):
    return scaling_lines(scaling_table(points), scaling.times(rows_of(points)))


def line(table, method):
    return table[table["method"].eq(method)].iloc[0]


def test_the_study_is_kept_apart_from_the_ladders(found):
    assert set(found.scaling["study"]) == {"scaling"}
    assert len(found.scaling) == 12
    assert not found.rows["problem"].str.startswith("brusselator").any()


def test_skipped_and_smooth_problems_are_not_stiff_rows(stiff):
    assert set(stiff["problem"]) == {"van_der_pol(mu=1000.0)", "pollu"}
    assert "finite-difference" not in set(stiff["method"])


def test_a_timeout_that_does_not_know_the_problem_is_stiff_all_the_same(tmp_path):
    made = [
        row("pollu", "jax-gauss", 1e-3, stiff=True),
        row("pollu", "jax-forward", 1e-3, status="timeout"),
    ]
    table = read_measurements([write_rows(tmp_path / "rows.jsonl", made)]).rows
    assert set(Ladders(table).stiff["method"]) == {"jax-gauss", "jax-forward"}


def test_scaling_lines_hold_times_statuses_and_exponents(found):
    lines = lines_of(found.scaling)
    assert list(lines["method"][:2]) == ["jax-discrete", "jax-forward"]
    forward = line(lines, "jax-forward")
    assert forward["exponent"] == pytest.approx(2.5)
    assert forward["24"] == "200 µs"
    gmres = line(lines, "cvodes-adjoint(solver=cvodes-gmres)")
    assert gmres["150"] == "not done"
    assert gmres["exponent"] == pytest.approx(2.0)


def test_a_point_that_is_wrong_says_so(tmp_path):
    made = [scaling_row("jax-gauss", n, 1.0, referenced=True, error=e) for n, e in ((2, 9), (3, 0))]
    table = read_measurements([write_rows(tmp_path / "rows.jsonl", made)]).scaling
    only = line(lines_of(table), "jax-gauss")
    assert (only["24"], only["54"]) == ("1 s, wrong", "1 s")


def test_scaling_table_has_sizes(found):
    table = scaling_table(found.scaling)
    assert list(table["unknowns"][:3]) == [24, 54, 150]
    assert list(table["n"][:3]) == [2, 3, 5]


def test_times_stand_beside_their_published_counterparts(found):
    table, problems = published_table(Ladders(found.rows))
    assert problems == [("lotka_volterra", 1e-7), ("pollu", 1e-7)]
    forward = line(table, "jax-forward")
    assert forward["counterpart"] == published.FORWARD
    assert forward["published pollu"] == "10.2 ms"
    assert forward["pollu"] == "238 µs"
    assert line(table, "diffrax-backsolve")["pollu"] == "step_too_small"
    assert line(table, "diffrax-backsolve")["published pollu"] == "unstable"
    assert line(table, "jax-gauss")["counterpart"] == "–"
    assert line(table, "finite-difference")["pollu"] == "–"


def test_a_wrong_gradient_in_the_table_of_times_says_so(tmp_path):
    made = [row("pollu", "jax-backsolve", 1e-6, error=3.0, seconds=0.5)]
    rows = read_measurements([write_rows(tmp_path / "rows.jsonl", made)]).rows
    table, problems = published_table(Ladders(rows))
    assert problems == [("pollu", 1e-6)]
    assert line(table, "jax-backsolve")["pollu"] == "500 ms, wrong"


def test_published_figures_are_complete():
    assert all(len(line) == len(published.TABLE_PROBLEMS) for line in published.TABLE.values())
    assert {kind.published for kind in KINDS.values()} - {""} <= set(published.TABLE)
    assert set(published.SCALING) <= set(published.TABLE)


def test_what_breaks_is_said_with_tolerances_and_status(stiff):
    told = dict(breakages(stiff))
    assert set(told) == {"van_der_pol(mu=1000.0)", "pollu"}
    lies, broke = told["pollu"]
    assert lies == (
        "jax-backsolve said ok at 1e-3 … 1e-5 and was wrong by more than 10 %: "
        "its error came to 4.0e5."
    )
    assert broke == (
        "diffrax-backsolve ended with step_too_small in the reverse pass at 1e-3 … 1e-10: "
        "the step became too small."
    )
    (good,) = dict(breakages(stiff[stiff["family"].eq("discrete")]))["pollu"]
    assert good == "All 2 methods were right throughout."


def test_without_a_reference_nobody_is_called_right(stiff):
    unknown = stiff[stiff["family"].eq("discrete")].assign(referenced=False, error=math.nan)
    (said,) = dict(breakages(unknown))["pollu"]
    assert said.startswith("All 2 methods ended ok; without a certified reference nothing says")


def test_reasons_are_given_for_what_broke_and_counted(stiff):
    (said,) = reasons(stiff)
    assert said.startswith(
        "diffrax-backsolve, jax-backsolve: of 32 stiff solves 10 were right, 6 said ok and were "
        "wrong, 16 broke down."
    )
    assert reasons(stiff[stiff["family"].eq("discrete")]) == []


def test_costs_are_counted_beside_what_is_attributed(stiff):
    table = costs(stiff)
    discrete = line(table, "jax-discrete")
    assert (discrete["cost"], discrete["pollu"], discrete["right"]) == ("O(n³ + p)", "12 / 90", 1)
    assert line(table, "jax-backsolve")["right"] == 5 / 8
    assert line(table, "diffrax-backsolve")["pollu"] == "step_too_small"


def test_a_method_that_nothing_could_judge_has_no_share_in_the_table(stiff):
    mine = stiff["method"].eq("jax-discrete")
    unjudged = stiff.assign(referenced=stiff["referenced"] & ~mine)
    assert np.isnan(line(costs(unjudged), "jax-discrete")["right"])
    assert "–" in str(_costs(unjudged).table)


def test_crossings_in_words():
    between = scaling.Crossover(40.2, 24.0, 54.0, "a")
    assert "at about 40 states and parameters (interpolated between 24 and 54)" in (
        crossing_sentence("Forward mode", between, "adjoint")
    )
    above = crossing_sentence("Forward mode", scaling.Crossover(None, 150, math.inf, "a"), "b")
    assert "is faster than a, the best b, at all measured sizes, up to 150" in above
    below = crossing_sentence("Forward mode", scaling.Crossover(None, 0, 24, "a"), "b")
    assert "already at 24" in below


def test_the_figure_shows_measured_and_published_lines(found):
    measured = scaling.times(rows_of(found.scaling))
    families = dict(zip(found.scaling["method"], found.scaling["family"], strict=True))
    figure = scaling_figure(measured, families)
    axes = figure.axes[0]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    drawn = {str(each.get_label()): len(each.get_xdata()) for each in axes.get_lines()}
    assert drawn["jax-forward"] == 3
    assert drawn["cvodes-adjoint(solver=cvodes-gmres)"] == 2
    assert drawn[f"{published.FORWARD}, 2021"] == 5
    text = [t.text for t in ET.fromstring(to_svg(figure)).iter("{http://www.w3.org/2000/svg}text")]
    assert "PUBLISHED, OTHER HARDWARE" in text


def test_names_at_the_right_end_stay_inside_of_the_axes(found):
    measured = scaling.times(rows_of(found.scaling))
    figure = scaling_figure(measured, dict.fromkeys(measured, "discrete"))
    figure.canvas.draw()
    axes = figure.axes[0]
    right = max(text.get_window_extent().x1 for text in axes.texts)
    assert right <= axes.get_window_extent().x1


def test_the_section_is_on_the_page_and_in_the_markdown(report):
    for name in ("index.html", "report.md"):
        text = (report / name).read_text()
        assert "How time grows with a stiff problem" in text
        assert "Beside published times" in text
        assert "jax-backsolve said ok at 1e-3" in text
        assert "Attributed costs, and what was counted" in text
        assert "interpolated between 24 and 54" in text
        assert "2.50" in text
    page = (report / "index.html").read_text()
    assert 'href="#stiff"' in page
    assert 'id="van_der_pol-mu-1000.0"' in page
    assert page.count('href="#van_der_pol-mu-1000.0"') == 2


def test_the_data_of_the_section_is_written(report):
    table = list(csv.DictReader((report / "scaling.csv").read_text().splitlines()))
    assert len(table) == 12
    assert {"method", "n", "unknowns", "seconds", "status"} <= set(table[0])
    names = re.findall(r"!\[.*?\]\((.*?)\)", (report / "report.md").read_text())
    assert "figures/scaling.svg" in names
    for name in names:
        assert (report / name).read_text().startswith("<?xml")


def test_without_stiff_problems_there_is_no_section(tmp_path):
    write_rows(tmp_path / "rows.jsonl", rows())
    page = build_report([tmp_path], tmp_path / "out", say=pytest.fail).read_text()
    assert 'id="stiff"' not in page
    assert not (tmp_path / "out" / "scaling.csv").exists()


def test_the_study_of_another_commit_is_not_shown_as_of_this_one(tmp_path):
    write_rows(tmp_path / "old.jsonl", scaling_rows(), commit="1" * 40)
    newer = write_rows(tmp_path / "new.jsonl", rows(), commit="2" * 40)
    newer.write_text(newer.read_text().replace("2026-11-20", "2026-11-21"))
    page = build_report([tmp_path], tmp_path / "out", say=pytest.fail).read_text()
    assert "commit 22222222" in page
    assert "How time grows" not in page


def test_the_study_alone_makes_a_report(tmp_path):
    write_rows(tmp_path / "rows.jsonl", [scaling_row("jax-gauss", 2, None, status="timeout")])
    page = build_report([tmp_path], tmp_path / "out", say=pytest.fail).read_text()
    assert "How time grows" in page
    assert "not done" in page
    assert not (tmp_path / "out" / "figures" / "scaling.svg").exists()
