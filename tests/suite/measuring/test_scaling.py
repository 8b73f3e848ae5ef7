import math
from contextlib import nullcontext

import pytest
from synthetic import measured, scaling_row

from adjointbench.reports.tables import published
from adjointbench.suite.measuring import timing
from adjointbench.suite.measuring.studies import scaling
from adjointbench.suite.measuring.studies.scaling import Crossover, crossover, exponent
from adjointbench.suite.selection import scaling_job


def power_law(factor, power, sizes=(24, 54, 150)):
    return {float(size): factor * size**power for size in sizes}


def test_the_problem_of_a_size_and_back():
    for n in scaling.SIZES:
        name = scaling.problem_of(n)
        assert scaling.points_of(name) == n
    problem = scaling.get_problem(scaling.problem_of(3))
    assert problem.t_span == (0.0, 1.0)
    assert problem.n_states + problem.n_params == scaling.unknowns(3)


def test_the_exponent_of_a_power_law_is_its_power():
    assert exponent(power_law(2e-5, 1.7)) == pytest.approx(1.7)
    assert exponent({24.0: 1.0}) is None


def test_the_crossover_of_power_laws_is_where_they_are_equal():
    forward, adjoint = power_law(1e-6, 2.0), power_law(1e-6 * 40, 1.0)
    slower = power_law(1.0, 1.0)
    found = crossover(forward, {"slow": slower, "good": adjoint})
    assert found.at == pytest.approx(40.0)
    assert (found.low, found.high, found.best) == (24.0, 54.0, "good")


def test_a_crossover_outside_of_what_was_measured_is_not_made_up():
    forward = power_law(1e-6, 2.0)
    assert crossover(forward, {"a": power_law(1e-9, 2.0)}) == Crossover(None, 0.0, 24.0, "a")
    assert crossover(forward, {"a": power_law(1.0, 2.0)}) == Crossover(None, 150.0, math.inf, "a")
    assert crossover(forward, {"a": {600.0: 1.0}}) is None
    assert crossover({}, {"a": forward}) is None


def test_a_single_slow_point_among_fast_ones_is_no_crossover():
    forward = {24.0: 1.0, 54.0: 3.0, 150.0: 1.0, 600.0: 9.0}
    found = crossover(forward, {"a": dict.fromkeys(forward, 2.0)})
    assert (found.low, found.high) == (150.0, 600.0)


def test_the_published_crossover_lies_where_it_is_said_to_lie():
    figures = scaling.by_unknowns(published.SCALING)
    found = crossover(figures.pop(published.FORWARD), figures)
    assert (found.low, found.high) == (24.0, 54.0)
    assert found.best == published.QUADRATURE
    assert 24 < found.at < 54


def test_times_are_those_of_rows_with_a_gradient():
    rows = [
        scaling_row("jax-gauss", 2, 1.0),
        scaling_row("jax-gauss", 5, None, status="timeout"),
        scaling_row("jax-forward", 3, 0.5),
    ]
    assert scaling.times(measured(rows)) == {"jax-gauss": {24: 1.0}, "jax-forward": {54: 0.5}}


def test_methods_are_chosen_by_their_bare_names():
    assert scaling.selected(("cvodes-adjoint", "finite-difference")) == scaling.PEERS[:2]
    assert scaling.selected(("jax-forward(solver=kvaerno5)",)) == ("jax-forward",)


def test_the_study_times_gradients_and_leaves_the_primal_solve_uncompiled(monkeypatch):
    monkeypatch.setattr(timing, "timed_primal", lambda run: pytest.fail("it made a primal solve"))
    (row,) = scaling_job(2, "cvodes-adjoint", quick=True).rows(nullcontext)
    assert row.status == "ok"
    assert row.seconds is not None
    assert row.seconds > 0
    assert row.primal_seconds is None
    assert row.ratio is None
