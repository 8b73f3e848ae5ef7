"""The benchmark of memory against checkpoints, on rows made up here."""

import importlib
import math
from pathlib import Path

import pytest

from adjointbench.suite.measuring.row import Row
from adjointbench.suite.measuring.rows import RowFile
from adjointbench.suite.measuring.studies import checkpoints

ROOT = Path(__file__).parents[3]


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "suite"))
    return importlib.import_module("benchmarks.memory").Checkpoints()


def row(number, **changes):
    where = {"study": checkpoints.STUDY, "problem": checkpoints.PROBLEM, "rtol": checkpoints.RTOL}
    return Row(method=checkpoints.method_of("jax-discrete", number), **where, **changes)


def test_bytes_by_the_number_of_checkpoints(benchmark):
    made = [row(2, status="ok", saved_bytes=16000), row(16, status="timeout")]
    rows = RowFile(Path("rows.jsonl"), rows=made)
    benchmark.setup(rows, "jax-discrete", 2)
    assert benchmark.track_saved_bytes(rows, "jax-discrete", 2) == 16e3
    benchmark.setup(rows, "jax-discrete", 16)
    assert math.isnan(benchmark.track_saved_bytes(rows, "jax-discrete", 16))


def test_what_was_not_measured_or_was_refused_is_skipped(benchmark):
    made = [row(2, status="skipped", message="cannot")]
    rows = RowFile(Path("rows.jsonl"), rows=made)
    with pytest.raises(NotImplementedError, match="cannot"):
        benchmark.setup(rows, "jax-discrete", 2)
    with pytest.raises(NotImplementedError, match="not measured"):
        benchmark.setup(rows, "jax-discrete", 16)
