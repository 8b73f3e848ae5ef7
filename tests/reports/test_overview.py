"""The map of all methods on all problems, labels in words, and the study of checkpoints."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from synthetic import broken, checkpoint_rows, measured, row
from test_findings import frame

from adjointbench.reports.figures.canvas import DARK, in_page, ink_on, luminance, new_axes, to_svg
from adjointbench.reports.figures.labels import (
    dots_label,
    map_label,
    stability_label,
    work_precision_label,
)
from adjointbench.reports.figures.map import map_figure
from adjointbench.reports.sections.checkpoints import checkpoint_lines, findings
from adjointbench.reports.sections.map import map_cells
from adjointbench.reports.tables.ladders import Ladders
from adjointbench.reports.tables.summary import summary
from adjointbench.suite.measuring.formats import listed
from adjointbench.suite.measuring.studies import checkpoints
from adjointbench.suite.selection import selection

LOST = ({"method": "jax-backsolve", "rtol": 1e-9}, broken("nonfinite", "not finite"))
LIE = ({"method": "jax-discrete", "problem": "pollu", "rtol": 1e-3}, {"error": 2.0})


def test_cells_count_what_was_right_wrong_broken_and_not_tried():
    skip = ({"method": "diffrax-backsolve"}, broken("skipped", "cannot"))
    cells = map_cells(Ladders(frame(LOST, LIE, skip))).set_index(["problem", "method"])
    counts = ["tried", "right", "wrong", "broken", "unfinished"]
    assert list(cells.loc[("pollu", "jax-discrete"), counts]) == [3, 2, 1, 0, 0]
    assert list(cells.loc[("pollu", "jax-backsolve"), counts]) == [3, 2, 0, 1, 0]
    assert list(cells.loc[("linear", "diffrax-backsolve"), counts]) == [0, 0, 0, 0, 0]
    assert map_cells(Ladders(frame().assign(referenced=False))).empty


def test_the_map_tells_wrong_and_broken_without_colour():
    drawn = map_figure(map_cells(Ladders(frame(LOST, LIE))))
    texts = [text.get_text() for text in drawn.axes[0].texts]
    assert texts.count("67 !") == 1
    assert texts.count("67 ×") == 2
    assert texts.count("100") == 3
    assert any(patch.get_hatch() for patch in drawn.axes[0].patches)


def test_the_map_tells_a_timeout_from_a_breakdown():
    part = ({"method": "jax-backsolve", "rtol": 1e-9}, broken("timeout", "not done after 9 s"))
    whole = ({"method": "jax-discrete"}, broken("timeout", "not done after 9 s"))
    cells = map_cells(Ladders(frame(part, whole)))
    drawn = map_figure(cells)
    texts = [text.get_text() for text in drawn.axes[0].texts]
    assert texts.count("100 …") == 2
    assert texts.count("…") == 2
    assert not any(patch.get_hatch() for patch in drawn.axes[0].patches)
    said = map_label(cells)
    assert "Right everywhere they were tried: diffrax-backsolve. Lowest overall: none." in said
    said = stability_label(frame(part).query("problem == 'pollu'"))
    assert "Not done in their time somewhere: jax-backsolve." in said
    assert "broke down" not in said
    assert "Wrong" not in said


def test_labels_say_who_is_lowest():
    rows = frame(LOST, LIE)
    mine = rows[rows["problem"].eq("pollu")]
    said = work_precision_label(mine, *Ladders(mine).race("pollu"))
    assert "the fastest, is jax-discrete" in said
    assert "Furthest to the left: diffrax-backsolve, error 2.0e-9." in said
    certified = mine.assign(agreement=2.5e-9)
    said_of = work_precision_label(certified, *Ladders(certified).race("pollu"))
    assert "Furthest to the left: diffrax-backsolve, error ≤ 2.5e-9." in said_of
    assert "Wrong by over 10 % somewhere, and ok: jax-discrete." in said
    said = stability_label(mine)
    assert said.startswith("1 of 3 methods right at every tolerance: diffrax-backsolve.")
    assert "broke down: jax-backsolve." in said
    assert "Right everywhere they were tried: diffrax-backsolve." in map_label(
        map_cells(Ladders(rows))
    )
    said = dots_label(summary(rows), "ratio", "time over time")
    assert "the lowest is jax-discrete with 4, the highest diffrax-backsolve with 20" in said


def test_many_names_are_counted():
    assert listed(["a", "b", "c", "d"]) == "a, b, c, d"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


@pytest.mark.parametrize("share", np.linspace(0, 1, 11))
def test_ink_stands_out_on_every_blue(share):
    face = mpl.colormaps["Blues"](share)
    light, dark = sorted((luminance(face), luminance(ink_on(face))), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_ink_is_dark_on_white():
    assert ink_on("white") == DARK
    assert luminance("white") == pytest.approx(1.0)


def test_names_within_two_figures_differ_and_still_lead_to_each_other():
    texts = []
    for prefix in ("a", "b"):
        figure, axes = new_axes(2, 2)
        axes.plot([1, 2], marker="o")
        texts.append(in_page(to_svg(figure), prefix))
    assert "<!--" not in texts[0]
    assert 'id="a-0"' in texts[0]
    assert 'id="a-' not in texts[1]
    for text, prefix in zip(texts, "ab", strict=True):
        names = set(pd.Series(text.split('id="')[1:]).str.partition('"')[0])
        used = set(pd.Series(text.split("#")[1:]).str.extract(r"^([\w-]+)")[0])
        assert {name for name in used if name.startswith(f"{prefix}-")} == names


def test_checkpoints_are_chosen_with_their_methods(monkeypatch):
    monkeypatch.setenv("ADJOINTBENCH_QUICK", "1")
    quick = selection().checkpointed
    assert [checkpoints.number_of(name) for name in quick] == list(checkpoints.QUICK_NUMBERS)
    monkeypatch.setenv("ADJOINTBENCH_METHODS", "jax-gauss")
    assert selection().checkpointed == ()
    monkeypatch.delenv("ADJOINTBENCH_METHODS")
    monkeypatch.setenv("ADJOINTBENCH_CHECKPOINTS", "0")
    assert selection().checkpointed == ()


def test_what_is_least_and_what_is_fastest_by_checkpoints():
    lines = checkpoint_lines(pd.DataFrame(checkpoint_rows()))
    assert list(lines["checkpoints"]) == [2, 16, 128] * 2
    said = findings(lines)
    assert said == [
        "diffrax-backsolve is fastest with 2 checkpoints (2 ms).",
        "jax-discrete is fastest with 128 checkpoints (1 ms), and keeps the least with 16 "
        "(5 kB, 3 times the time).",
    ]


def test_a_row_of_the_study_is_found():
    rows = measured([row("lotka_volterra", "jax-discrete", 1e-3), *checkpoint_rows()])
    assert checkpoints.pick(rows, "jax-discrete", 16).saved_bytes == 5e3
    assert checkpoints.pick(rows, "jax-discrete", 4) is None
