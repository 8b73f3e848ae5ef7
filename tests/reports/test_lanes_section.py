"""The section about ensembles, on rows made up here."""

import pandas as pd
from synthetic import lane_rows

from adjointbench.reports.sections.lanes import findings, lane_lines, lanes_parts


def test_lines_and_findings_by_the_number_of_lanes():
    lines = lane_lines(pd.DataFrame(lane_rows()))
    assert list(lines["lanes"]) == [1, 256] * 3
    assert lines["a_lane"].dropna().min() == 64e-3 / 256
    assert findings(lines) == [
        "With 1 lane jax-discrete and torch-discrete take the least (1 ms a lane); "
        "torchode-autodiff 1e+02 times as long.",
        "With 256 lanes jax-discrete takes the least (250 µs a lane); "
        "torch-discrete 4 times as long.",
    ]


def test_the_part_has_its_figure_with_its_numbers_and_command(tmp_path):
    (tmp_path / "figures").mkdir()
    (part,) = lanes_parts(pd.DataFrame(lane_rows()), tmp_path)
    assert part.table is not None
    (figure,) = part.figures
    assert "ADJOINTBENCH_LANES=1" in figure.command
    none = [row | {"status": "failed", "seconds": None} for row in lane_rows()]
    (part,) = lanes_parts(pd.DataFrame(none), tmp_path)
    assert (part.sentences, part.figures) == ((), ())
    assert lanes_parts(pd.DataFrame(), tmp_path) == []
