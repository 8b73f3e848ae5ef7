"""The benchmarks of the scaling study, on rows made up here."""

import importlib
import math
import sys
from pathlib import Path

import pytest

from adjointbench.suite.measuring.row import Row
from adjointbench.suite.measuring.rows import RowFile
from adjointbench.suite.measuring.studies import scaling

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def benchmarks():
    """The module of the suite, which is not installed."""
    sys.path.insert(0, str(ROOT / "suite"))
    yield importlib.import_module("benchmarks.scaling")
    sys.path.remove(str(ROOT / "suite"))


def point(method, n, seconds, **changes):
    about = {"study": scaling.STUDY, "status": "ok"} | changes
    where = {"problem": scaling.problem_of(n), "method": method, "rtol": scaling.RTOL}
    return Row(**where, seconds=seconds, **about)


def file(*made):
    return RowFile(Path("rows.jsonl"), rows=list(made))


POWERS = {"jax-forward": (1e-6, 2.0), "jax-discrete": (30e-6, 1.0), "jax-gauss": (100e-6, 1.0)}


def rows(powers=POWERS):
    return file(
        *(
            point(method, n, factor * (6 * n**2) ** power)
            for method, (factor, power) in powers.items()
            for n in (2, 3, 5)
        )
    )


def test_seconds_are_those_of_the_row(benchmarks):
    benchmark, made = benchmarks.Brusselator(), rows()
    benchmark.setup(made, "jax-gauss", 3)
    assert benchmark.track_gradient_seconds(made, "jax-gauss", 3) == pytest.approx(5.4e-3)


def test_a_point_that_failed_has_no_time_and_one_that_was_refused_is_skipped(benchmarks):
    benchmark = benchmarks.Brusselator()
    made = file(
        point("jax-gauss", 2, None, status="timeout"),
        point("jax-forward", 2, None, status="skipped", message="it cannot"),
    )
    benchmark.setup(made, "jax-gauss", 2)
    assert math.isnan(benchmark.track_gradient_seconds(made, "jax-gauss", 2))
    with pytest.raises(NotImplementedError, match="it cannot"):
        benchmark.setup(made, "jax-forward", 2)
    with pytest.raises(NotImplementedError, match="not measured"):
        benchmark.setup(made, "jax-forward", 3)


def test_exponents_and_crossovers(benchmarks):
    made = rows()
    exponent = benchmarks.Exponent()
    exponent.setup(made, "jax-forward")
    assert exponent.track_exponent(made, "jax-forward") == pytest.approx(2.0)
    assert math.isnan(exponent.track_exponent(made, "jax-quadrature"))
    crossing = benchmarks.Crossover()
    crossing.setup(made)
    assert crossing.track_crossover(made) == pytest.approx(30.0)
    assert crossing.track_crossover_with_continuous_adjoints(made) == pytest.approx(100.0)


def test_a_crossover_below_the_sizes_measured_is_the_smallest(benchmarks):
    made = rows({"jax-forward": (1e-5, 2.0), "jax-gauss": POWERS["jax-gauss"]})
    crossing = benchmarks.Crossover()
    crossing.setup(made)
    assert crossing.track_crossover(made) == 24


def test_rows_of_the_ladder_are_no_points(benchmarks):
    ladder = file(point("jax-gauss", 2, 1.0, study=None))
    with pytest.raises(NotImplementedError, match="not measured"):
        benchmarks.Exponent().setup(ladder, "jax-gauss")
