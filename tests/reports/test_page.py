"""What parts of a report look like on the page: cells, links, figures with their numbers."""

import re
from urllib.parse import unquote

import pandas as pd
import pytest

from adjointbench.reports.figures.canvas import new_axes
from adjointbench.reports.figures.shown_figure import save_figure
from adjointbench.reports.page import render
from adjointbench.reports.sections.content import Content, Part
from adjointbench.reports.tables.shown_table import Cell, Column, Link, as_table
from adjointbench.suite.measuring import formats


@pytest.fixture
def content():
    return Content(title="A report", date="today")


def test_a_cell_knows_the_number_behind_its_text():
    frame = pd.DataFrame({"name": ["a"], "seconds": [2.1e-4]})
    columns = (Column("name", "name"), Column("seconds", "time", formats.seconds))
    shown = as_table(frame, columns)
    assert [cell.text for cell in shown.lines[0]] == ["a", "210 µs"]
    assert [cell.sort for cell in shown.lines[0]] == [None, "0.00021"]
    assert shown.lines[0][0].value == "a"


def test_a_dash_sorts_as_nothing():
    shown = as_table(pd.DataFrame({"x": [float("nan")]}), (Column("x", "x", formats.amount),))
    assert shown.lines[0][0] == Cell("–", sort="")


def test_a_column_of_texts_with_numbers_sorts_by_them():
    texts = ["0.21 ms, wrong", "timeout", "3 s", "12k", "–"]
    shown = as_table(pd.DataFrame({"x": texts}), (Column("x", "x"),))
    assert [line[0].sort for line in shown.lines] == ["0.00021", "", "3.0", "12000.0", ""]
    shown = as_table(pd.DataFrame({"x": ["ok", "3 s", "no", "–"]}), (Column("x", "x"),))
    assert [line[0].sort for line in shown.lines] == [None, None, None, ""]


@pytest.mark.parametrize(
    ("write", "value"),
    [
        (formats.seconds, 2.1e-4),
        (formats.seconds, 3.4),
        (formats.size, 4100.0),
        (formats.size, 820.0),
        (formats.amount, 3.4e6),
        (formats.error, 3.1e-7),
        (formats.percent, 0.75),
        (formats.slope, -0.25),
    ],
)
def test_numbers_are_read_as_they_are_written(write, value):
    assert formats.leading_number(write(value)) == pytest.approx(value)


@pytest.mark.parametrize("text", ["jax-discrete", "", "–", "1.5x", "3of"])
def test_a_text_without_a_number_in_front_has_none(text):
    assert formats.leading_number(text) is None


def test_cells_lead_somewhere_and_carry_their_word(content):
    frame = pd.DataFrame({"claim": [Link("claim 7", "#claim-7")], "verdict": ["holds in part"]})
    columns = (Column("claim", "claim"), Column("verdict", "verdict"))
    content.claims = [Part("Claims", table=as_table(frame, columns), anchor="claims")]
    text = render(content, "page.html")
    assert '<a href="#claim-7">claim 7</a>' in text
    assert re.search(r'<td class="verdict"[^>]* data-value="holds in part">', text)
    assert text.count('id="claims"') == 1
    assert "| claim 7 | holds in part |" in render(content, "report.md")


def test_a_figure_brings_its_numbers_and_its_command(tmp_path, content):
    (tmp_path / "figures").mkdir()
    figure, axes = new_axes(2, 2)
    axes.plot([1, 2])
    data = pd.DataFrame({"x": [1, 2], "who": ["a, b", 'c "d" 100 % & #']})
    shown = save_figure(
        figure, "x y", tmp_path, "A line. It rises.", data=data, command="make it", label="Rises."
    )
    stored = tmp_path / "figures" / "x-y.csv"
    assert pd.read_csv(stored).equals(data)
    content.stiff = [Part("Part", figures=(shown, shown))]
    text = render(content, "page.html")
    links = re.findall(r'<a download="x-y.csv" href="data:text/csv;charset=utf-8,([^"]*)"', text)
    assert len(links) == 2
    assert unquote(links[0]) == stored.read_text()
    assert "#" not in links[0]
    assert "<code>make it</code>" in text
    assert 'aria-label="Rises."' in text


def test_a_figure_without_numbers_or_command_says_nothing_of_them(tmp_path, content):
    (tmp_path / "figures").mkdir()
    shown = save_figure(new_axes(2, 2)[0], "x", tmp_path, "A line.")
    content.stiff = [Part("Part", figures=(shown,))]
    text = render(content, "page.html")
    assert "<figure>" in text
    assert "(CSV)" not in text
    assert "made by" not in text
