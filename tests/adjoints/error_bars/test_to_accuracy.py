"""Gradients to the accuracy that was asked for."""

import pytest

import adjointbench as ab
from adjointbench.suite.measuring.errors import errors_against


def worst_error(problem, result):
    """Of both gradients, against the certified one."""
    true = errors_against(problem.reference, result, problem.params)
    return max(true["error"], true["dy0_error"])


@pytest.mark.parametrize("asked", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("name", ["lotka_volterra", "adaptive_ad_trap"])
def test_what_was_asked_for_is_reached(name, asked):
    problem = ab.problems.get(name)
    result = ab.gradient(problem, "jax-discrete", gradient_rtol=asked)
    assert result.status == "ok"
    assert result.gradient_error.largest <= asked
    assert worst_error(problem, result) <= 2 * asked


@pytest.mark.parametrize("name", ["lotka_volterra", "adaptive_ad_trap"])
def test_the_same_on_torch(name):
    problem = ab.problems.get(name)
    result = ab.gradient(problem, "torch-discrete", gradient_rtol=1e-4)
    assert result.status == "ok"
    assert worst_error(problem, result) <= 2e-4


def test_a_method_whose_steps_cannot_be_taken_again_tightens_its_tolerance():
    problem = ab.problems.get("lotka_volterra")
    result = ab.gradient(problem, "scipy-adjoint", gradient_rtol=1e-6)
    assert result.status == "ok"
    assert worst_error(problem, result) <= 2e-6


def test_more_digits_than_rounding_leaves_are_refused_with_the_best_that_there_is():
    problem = ab.problems.get("lotka_volterra")
    result = ab.gradient(problem, "jax-discrete", gradient_rtol=1e-15)
    assert result.status == "inaccurate"
    assert "gradient_rtol=1e-15 was not reached" in result.message
    assert worst_error(problem, result) < 1e-9


def test_an_accuracy_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="gradient_rtol=-1"):
        ab.gradient(ab.problems.get("linear"), "jax-discrete", gradient_rtol=-1)
