"""Our scaling study beside a published one: ratios within each side, errors where they are told."""

import pytest
from synthetic import scaling_row, write_rows

from adjointbench.reports.sections.published_scaling import (
    YARDSTICKS,
    published_scaling_parts,
    ratios,
)
from adjointbench.reports.sections.scaling import scaling_table
from adjointbench.reports.tables import published
from adjointbench.reports.tables.read import read_measurements

FORWARD, GMRES = YARDSTICKS


def table_of(tmp_path, made):
    return scaling_table(read_measurements([write_rows(tmp_path / "rows.jsonl", made)]).scaling)


@pytest.fixture
def table(tmp_path):
    made = [
        scaling_row("jax-forward", 2, 1e-3, referenced=True, error=2e-6),
        scaling_row("jax-forward", 3, 5e-3),
        scaling_row("jax-gauss", 2, 4e-3, referenced=True, error=3e-5),
        scaling_row("jax-gauss", 5, None, status="timeout"),
        scaling_row("jax-discrete", 5, 7e-3),
    ]
    return table_of(tmp_path, made)


def cell(lines, method, where, n):
    (line,) = lines[lines["method"].eq(method) & lines["where"].eq(where)].to_dict("records")
    return line[str(n)]


def test_each_side_is_divided_by_its_own_yardstick(table):
    lines = ratios(table, FORWARD)
    assert cell(lines, "jax-gauss", "here", 2) == "4 (3.0e-5)"
    assert cell(lines, "jax-forward", "here", 2) == "1 (2.0e-6)"
    # 0.00245 s over 0.00146 s, and 1.33 s over 116 s; no forward mode with 17 points.
    assert cell(lines, "Gauss", "published", 2) == "1.68 (3.0e-9)"
    assert cell(lines, "Gauss", "published", 15) == "0.0115 (2.9e-6)"
    assert cell(lines, "Gauss", "published", 17) == "–"
    assert cell(lines, "interpolating", "published", 5) == "0.262"


def test_what_was_not_done_and_what_has_no_yardstick_is_no_ratio(table):
    lines = ratios(table, FORWARD)
    assert cell(lines, "jax-gauss", "here", 5) == "not done"
    assert cell(lines, "jax-discrete", "here", 5) == "–"
    assert ratios(table, GMRES).empty
    assert len(published_scaling_parts(table)) == 1


def test_the_note_says_what_gmres_is_not(tmp_path):
    made = [scaling_row(GMRES.here, 5, 5e-2), scaling_row("jax-discrete", 5, 7e-3)]
    (part,) = published_scaling_parts(table_of(tmp_path, made))
    assert "CasADi's, which is not SUNDIALS' best" in part.note
    assert FORWARD.caveat == ""


def test_without_a_published_size_there_is_no_part(tmp_path):
    table = table_of(tmp_path, [scaling_row("jax-forward", 3, 5e-3)])
    assert published_scaling_parts(table) == []


def test_the_noise_of_the_published_figures_and_the_tolerances_are_said(table):
    (part,) = published_scaling_parts(table)
    assert "up to 25% faster in the same cells" in part.note
    assert "equal tolerance, not equal error" in part.note
    assert published.LATER_SOURCE in part.note


def test_every_published_error_belongs_to_a_time():
    for name, errors in published.LATER_ERRORS.items():
        assert errors.keys() == published.LATER_SCALING[name].keys()
