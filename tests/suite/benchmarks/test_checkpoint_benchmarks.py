"""The benchmark of memory against checkpoints, on rows made up here."""

import math

import pytest

from adjointbench.suite.measuring.row import Row
from adjointbench.suite.measuring.studies import checkpoints


@pytest.fixture
def benchmark(suite):
    return suite("memory").Checkpoints()


def row(number, **changes):
    where = {"study": checkpoints.STUDY, "problem": checkpoints.PROBLEM, "rtol": checkpoints.RTOL}
    return Row(method=checkpoints.method_of("jax-discrete", number), **where, **changes)


def test_bytes_by_the_number_of_checkpoints(benchmark, keep):
    file = keep(row(2, status="ok", saved_bytes=16000), row(16, status="timeout"))
    benchmark.setup(file, "jax-discrete", 2)
    assert benchmark.track_saved_bytes(file, "jax-discrete", 2) == 16e3
    benchmark.setup(file, "jax-discrete", 16)
    assert math.isnan(benchmark.track_saved_bytes(file, "jax-discrete", 16))


def test_what_was_refused_or_not_asked_for_is_skipped(benchmark, keep):
    file = keep(row(2, status="skipped", message="cannot"))
    with pytest.raises(NotImplementedError, match="cannot"):
        benchmark.setup(file, "jax-discrete", 2)
    with pytest.raises(NotImplementedError, match="ADJOINTBENCH_CHECKPOINTS"):
        benchmark.setup(file, "jax-discrete", 17)
