"""The benchmarks of the scaling study, on rows made up here."""

import math
from dataclasses import replace

import pytest

from adjointbench.suite.measuring.row import Row
from adjointbench.suite.measuring.studies import scaling


@pytest.fixture
def benchmarks(suite, monkeypatch):
    """The module, where two sizes and some methods were asked for."""
    found = suite("scaling")
    few = replace(found.CHOSEN, sizes=(2, 3, 5), scaling_methods=tuple(POWERS))
    monkeypatch.setattr(found, "CHOSEN", few)
    return found


def point(method, n, seconds, **changes):
    about = {"study": scaling.STUDY, "status": "ok"} | changes
    where = {"problem": scaling.problem_of(n), "method": method, "rtol": scaling.RTOL}
    return Row(**where, seconds=seconds, **about)


POWERS = {"jax-forward": (1e-6, 2.0), "jax-discrete": (30e-6, 1.0), "jax-gauss": (100e-6, 1.0)}


def rows(powers=POWERS):
    return [
        point(method, n, factor * (6 * n**2) ** power)
        for method, (factor, power) in powers.items()
        for n in (2, 3, 5)
    ]


def test_seconds_are_those_of_the_row(benchmarks, keep):
    benchmark, file = benchmarks.Brusselator(), keep(*rows())
    benchmark.setup(file, "jax-gauss", 3)
    assert benchmark.track_gradient_seconds(file, "jax-gauss", 3) == pytest.approx(5.4e-3)


def test_a_point_that_failed_has_no_time_and_one_that_was_refused_is_skipped(benchmarks, keep):
    benchmark = benchmarks.Brusselator()
    file = keep(
        point("jax-gauss", 2, None, status="timeout"),
        point("jax-forward", 2, None, status="skipped", message="it cannot"),
    )
    benchmark.setup(file, "jax-gauss", 2)
    assert math.isnan(benchmark.track_gradient_seconds(file, "jax-gauss", 2))
    with pytest.raises(NotImplementedError, match="it cannot"):
        benchmark.setup(file, "jax-forward", 2)
    with pytest.raises(NotImplementedError, match="ADJOINTBENCH_SCALING"):
        benchmark.setup(file, "jax-forward", 10)
    with pytest.raises(NotImplementedError, match="ADJOINTBENCH_METHODS"):
        benchmark.setup(file, "cvodes-adjoint", 2)


def test_exponents_and_crossovers(benchmarks, keep):
    file = keep(*rows())
    exponent = benchmarks.Exponent()
    exponent.setup(file, "jax-forward")
    assert exponent.track_exponent(file, "jax-forward") == pytest.approx(2.0)
    with pytest.raises(NotImplementedError):
        exponent.setup(file, "jax-quadrature")
    crossing = benchmarks.Crossover()
    crossing.setup(file)
    assert crossing.track_crossover(file) == pytest.approx(30.0)
    assert crossing.track_crossover_with_continuous_adjoints(file) == pytest.approx(100.0)


def test_a_crossover_below_the_sizes_measured_is_the_smallest(benchmarks, keep, monkeypatch):
    made = rows({"jax-forward": (1e-5, 2.0), "jax-gauss": POWERS["jax-gauss"]})
    few = replace(benchmarks.CHOSEN, scaling_methods=("jax-forward", "jax-gauss"))
    monkeypatch.setattr(benchmarks, "CHOSEN", few)
    crossing = benchmarks.Crossover()
    crossing.setup(keep(*made))
    assert crossing.track_crossover(None) == 24


def test_rows_of_the_ladder_are_no_points(benchmarks, keep, suite, monkeypatch):
    asked = []

    def measured(file, task):
        asked.append(task)
        return [point(task.method, 2, 1.0)]

    monkeypatch.setattr(suite("_rows"), "_measured", measured)
    file = keep(point("jax-gauss", 2, 5.0, study=None))
    benchmark = benchmarks.Brusselator()
    benchmark.setup(file, "jax-gauss", 2)
    assert benchmark.row.seconds == 1.0
    assert [task.study for task in asked] == [scaling.STUDY]
