import pandas as pd
import pytest
from synthetic import broken, row, write_rows

from adjointbench.reports.compare import (
    commits,
    compare_benchmarks,
    compare_commits,
    compare_machines,
)
from adjointbench.reports.read import read_measurements
from adjointbench.reports.tables import summary

OLD, NEW = "1" * 40, "2" * 40


def measured(tmp_path, changes, machines=("a",)):
    """Three methods at commit OLD, and at NEW with changes."""
    methods = ("jax-discrete", "jax-forward", "jax-gauss")
    paths = []
    for machine in machines:
        for commit in (OLD, NEW):
            rows = [row("linear", m, r) for m in methods for r in (1e-3, 1e-6, 1e-9)]
            for r in rows:
                if commit == NEW and r["method"] in changes:
                    r |= changes[r["method"]](r)
            path = tmp_path / machine / f"{commit[:8]}-rows.jsonl"
            paths.append(write_rows(path, rows, commit=commit, machine=machine))
    return read_measurements(paths).rows


def test_what_changed_comes_first_and_in_words(tmp_path):
    rows = measured(
        tmp_path,
        {
            "jax-gauss": lambda r: {"seconds": 2 * r["seconds"], "error": 10 * r["error"]},
            "jax-forward": lambda r: broken("max_steps", "too many") if r["rtol"] < 1e-8 else {},
        },
    )
    assert commits(rows) == ["1" * 8, "2" * 8]
    table = compare_commits(rows, "1" * 8, "2" * 8).set_index("method")
    assert table.loc["jax-gauss", "verdict"] == "less accurate, slower"
    assert table.loc["jax-gauss", "time"] == pytest.approx(2.0)
    assert table.loc["jax-gauss", "error"] == pytest.approx(10.0)
    assert table.loc["jax-forward", "verdict"] == "breaks down more often"
    assert table.loc["jax-discrete", "verdict"] == "same"
    assert table.index[-1] == "jax-discrete"


def test_machines_stand_side_by_side(tmp_path):
    rows = measured(tmp_path, {}, machines=("a", "b"))
    wide = compare_machines(summary(rows[rows["commit"].eq("2" * 8)]))
    assert list(wide.columns) == ["problem", "method", "device", "a", "b"]
    assert len(wide) == 3


def test_benchmarks_that_changed_most_come_first():
    def table(commit, values):
        return pd.DataFrame(
            {
                "benchmark": ["steps", "time"],
                "parameters": [("x",), ("x",)],
                "value": values,
                "status": "ok",
                "machine": "a",
                "commit": commit,
            }
        )

    asv = pd.concat([table("1", [10.0, 1.0]), table("2", [11.0, 3.0])])
    found = compare_benchmarks(asv, "1", "2")
    assert list(found["benchmark"]) == ["time", "steps"]
    assert list(found["change"]) == [2.0, 1.0]
