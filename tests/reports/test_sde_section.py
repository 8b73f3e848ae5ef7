"""The section about stochastic equations, on rows made up here."""

import pandas as pd
import pytest
from synthetic import measured, sde_rows

from adjointbench.reports.sections.sde import findings, sde_lines, sde_parts
from adjointbench.reports.tables.frames import row_frame

ORIGIN = {"machine": "m", "commit": "c", "code": "c", "date": "d"}


def frame(rows):
    return row_frame([(row, ORIGIN) for row in measured(rows)])


def test_orders_by_regression_and_time_at_equal_error():
    lines = sde_lines(frame(sde_rows())).set_index("method")
    ours, back = (
        lines.loc[name] for name in ("jax-discrete(solver=sriw1)", "diffrax-backsolve(solver=heun)")
    )
    assert ours["gradient_order"] == pytest.approx(1.5)
    assert ours["solution_order"] == pytest.approx(1.5)
    assert back["gradient_order"] == pytest.approx(1.0)
    # h^1.5 = 0.01 and h = 0.01, with a tenth of a second over h.
    assert ours["at_error"] == pytest.approx(1e-1 * 0.01 ** (-1 / 1.5), rel=1e-6)
    assert back["at_error"] == pytest.approx(10.0, rel=1e-6)
    assert ours["adaptive_at_error"] == pytest.approx(1.0)
    assert back["status"] == "timeout"
    assert findings(lines.reset_index()) == [
        "geometric_brownian_motion: jax-discrete(solver=sriw1) takes the least to a gradient error "
        "of 1 % (1 s); diffrax-backsolve(solver=heun) takes 10 times as long."
    ]


def test_the_part_has_its_figure_with_its_numbers_and_command(tmp_path):
    (tmp_path / "figures").mkdir()
    (part,) = sde_parts(frame(sde_rows()), tmp_path)
    assert part.table is not None
    (figure,) = part.figures
    assert "ADJOINTBENCH_SDE=1" in figure.command
    none = [each | {"status": "failed", "error": None, "seconds": None} for each in sde_rows()]
    (part,) = sde_parts(frame(none), tmp_path)
    assert (part.sentences, part.figures) == ((), ())
    assert sde_parts(pd.DataFrame(), tmp_path) == []
