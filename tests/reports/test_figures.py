import xml.etree.ElementTree as ET

import pytest
from synthetic import write_rows

from adjointbench.reports.figures.canvas import in_page, log_ticks, new_axes, to_svg
from adjointbench.reports.figures.ladders import dots, stability, work_precision
from adjointbench.reports.figures.style import COLOURS, looks
from adjointbench.reports.tables.read import read_measurements
from adjointbench.reports.tables.summary import summary


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl")
    return read_measurements([path]).rows


def texts(svg):
    return [node.text for node in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_line_for_each_method_and_a_point_for_each_tolerance(rows):
    figure = work_precision(rows[rows["problem"].eq("lotka_volterra")])
    lines = figure.axes[0].get_lines()
    assert [len(line.get_xdata()) for line in lines] == [8, 8, 6, 8, 8, 8]
    assert {line.get_color() for line in lines} == set(COLOURS.values())


def test_the_legend_is_outside_of_the_axes(rows):
    figure = work_precision(rows[rows["problem"].eq("lotka_volterra")])
    figure.canvas.draw()
    axes = figure.axes[0]
    assert axes.get_legend().get_window_extent().x0 > axes.get_window_extent().x1


def test_status_stands_in_the_cell_where_there_is_no_gradient(rows):
    cells = [
        text.get_text() for text in stability(rows.query("problem == 'robertson'")).axes[0].texts
    ]
    assert cells.count("–") == 5 * 8
    broken = stability(rows.query("problem == 'lotka_volterra'"))
    assert [text.get_text() for text in broken.axes[0].texts].count("steps") == 2


def test_what_is_ok_and_wrong_is_orange(rows):
    figure = stability(rows.query("problem == 'adaptive_ad_trap'"))
    faces = [patch.get_facecolor() for patch in figure.axes[0].patches]
    orange = tuple(int(COLOURS["continuous"][i : i + 2], 16) / 255 for i in (1, 3, 5))
    assert sum(face[:3] == pytest.approx(orange) for face in faces) == 2 * 8 + 3


def test_figures_are_svg_with_real_text(rows):
    svg = to_svg(dots(summary(rows), "ratio", "gradient over primal"))
    assert "gradient over primal" in texts(svg)
    assert "jax-discrete" in texts(svg)


def test_inline_figures_take_the_colours_of_the_page(rows):
    file = to_svg(work_precision(rows))
    assert 'fill="#ffffff"' in file
    svg = in_page(file, "figure")
    assert 'fill="#ffffff"' not in svg
    assert svg.startswith("<svg")
    assert "currentColor" in svg
    assert "var(--discrete)" in svg
    assert "#0072b2" not in svg


def test_numbers_on_a_page_keep_their_decimals():
    figure, axes = new_axes(4, 3)
    axes.set_xlabel("0.0625 is not 0.06")
    assert "0.0625 is not 0.06" in in_page(to_svg(figure), "figure")


def test_nothing_to_draw_says_so(rows):
    figure = work_precision(rows[rows["status"].eq("skipped")])
    assert "no method gave a gradient here" in texts(to_svg(figure))


def test_looks_do_not_depend_on_the_order_and_tell_methods_apart(rows):
    pairs = list(zip(rows["method"], rows["family"], strict=True))
    found = looks(pairs)
    assert found == looks(reversed(pairs))
    assert len({(look.colour, look.marker) for look in found.values()}) == len(found)


@pytest.mark.parametrize(("low", "high"), [(2e-4, 3e-4), (1e-4, 5e-3), (1e-12, 1e-1)])
def test_a_logarithmic_axis_has_labels_whatever_its_range(low, high):
    figure, axes = new_axes(4, 3)
    axes.plot([low, high], [low, high])
    log_ticks(axes)
    figure.canvas.draw()
    bottom, top = axes.get_ylim()
    labelled = [
        label
        for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
        if bottom <= place <= top and label.get_text()
    ]
    assert 1 <= len(labelled) <= 9
