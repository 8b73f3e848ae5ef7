"""The estimated error of a gradient against its true one."""

import dataclasses

import numpy as np
import pytest

import adjointbench as ab
from adjointbench.adjoints.error_bars.pieces import joined
from adjointbench.suite.measuring.errors import errors_against

REPLAYED = ("jax-discrete", "jax-forward", "jax-gauss")
ON_TORCH = ("torch-discrete", "torch-tape", "torch-forward", "torch-interpolating")


def assert_honest(result, problem, low, high):
    """Both estimates lie within a band around the truth."""
    true = errors_against(problem.reference, result, problem.params)
    error = result.gradient_error
    assert low < error.dparams / true["error"] < high
    assert low < error.dy0 / true["dy0_error"] < high


@pytest.mark.parametrize("method", [*REPLAYED, *ON_TORCH])
def test_halved_steps_tell_the_error_of_every_open_method(method):
    problem = ab.problems.get("lotka_volterra")
    result = ab.gradient(problem, method, rtol=1e-5, atol=1e-8, error_bar=True)
    assert result.status == "ok"
    assert result.gradient_error.reliable
    assert result.gradient_error.how.startswith("halved steps")
    assert_honest(result, problem, 0.8, 1.25)
    refined = errors_against(problem.reference, result.refined, problem.params)
    own = errors_against(problem.reference, result, problem.params)
    assert refined["error"] < own["error"] / 4


@pytest.mark.parametrize(
    ("name", "solver"),
    [
        ("robertson", "rodas5p"),
        ("pkpd", "tsit5"),
        *(
            pytest.param(*pair, marks=pytest.mark.long)
            for pair in (
                ("robertson", "kvaerno5"),
                ("van_der_pol", "rodas4p"),
                ("pendulum", "dopri5"),
                ("pendulum", "dop853"),
            )
        ),
    ],
)
def test_every_kind_of_solver_with_stops_and_saves_between_steps(name, solver):
    problem = ab.problems.get(name)
    result = ab.gradient(
        problem, "jax-discrete", solver=solver, rtol=1e-5, atol=1e-9, error_bar=True
    )
    assert_honest(result, problem, 0.4, 2.5)


@pytest.mark.parametrize("solver", ["euler", "rk4"])
def test_steps_of_one_size_have_an_estimate_by_the_order_of_their_solver(solver):
    problem = ab.problems.get("pendulum")
    result = ab.gradient(problem, "jax-discrete", solver=solver, first_step=1e-3, error_bar=True)
    assert_honest(result, problem, 0.6, 1.6)


def test_each_entry_has_an_error_of_its_own():
    problem = ab.problems.get("lotka_volterra")
    result = ab.gradient(problem, "jax-discrete", rtol=1e-5, atol=1e-8, error_bar=True)
    error = result.gradient_error
    true = np.abs(result.dparams["p"] - problem.reference.dparams["p"])
    np.testing.assert_allclose(error.by_param["p"], true, rtol=0.2)
    np.testing.assert_allclose(error.by_y0, np.abs(result.dy0 - problem.reference.dy0), rtol=0.2)


@pytest.mark.parametrize("method", ["jax-discrete", "torch-discrete"])
def test_the_adaptive_trap_says_so_itself(method):
    problem = ab.problems.get("adaptive_ad_trap")
    result = ab.gradient(problem, method, rtol=1e-9, atol=1e-12, error_bar=True)
    assert result.status == "inaccurate"
    assert not result.gradient_error.reliable
    assert "tighten rtol, or ask for gradient_rtol" in result.message
    assert np.isfinite(result.dparams["a"]).all()


def test_a_stiff_gradient_that_is_off_by_a_factor_says_so_itself():
    problem = ab.problems.get("van_der_pol")
    loose = {"rtol": 1e-3, "atol": 1e-6}
    assert ab.gradient(problem, "jax-discrete", **loose).status == "ok"
    assert ab.gradient(problem, "jax-discrete", **loose, error_bar=True).status == "inaccurate"


@pytest.mark.parametrize("method", ["scipy-adjoint", "finite-difference", "torchdiffeq-backprop"])
def test_methods_whose_steps_cannot_be_taken_again_are_compared_with_an_open_one(method):
    problem = ab.problems.get("lotka_volterra")
    result = ab.gradient(problem, method, rtol=1e-4, atol=1e-7, error_bar=True)
    assert result.gradient_error.how == "jax-discrete at 1/32 of the tolerance"
    assert result.refined is not None
    true = errors_against(problem.reference, result, problem.params)
    assert 0.8 < result.gradient_error.dparams / true["error"] < 1.25


def test_a_peer_in_the_trap_is_found_out_by_an_open_method():
    problem = ab.problems.get("adaptive_ad_trap")
    result = ab.gradient(problem, "torchdiffeq-backprop", rtol=1e-6, atol=1e-9, error_bar=True)
    assert result.status == "inaccurate"


def test_where_the_finer_solve_breaks_down_the_gradient_is_not_called_ok():
    problem = ab.problems.get("van_der_pol")
    loose = {"rtol": 1e-3, "atol": 1e-6}
    result = ab.gradient(problem, "jax-backsolve", **loose, error_bar=True)
    true = errors_against(problem.reference, result, problem.params)
    assert true["error"] > 0.1
    assert result.status == "inaccurate"
    assert "cannot be told" in result.message
    assert np.isnan(result.gradient_error.dparams)


@pytest.mark.parametrize("method", ["jax-discrete", "torch-discrete", "native-discrete"])
def test_joined_steps_flag_at_less_cost_and_have_no_better_gradient(method):
    problem = ab.problems.get("lotka_volterra")
    result = ab.gradient(problem, method, rtol=1e-5, atol=1e-8, error_bar="joined")
    assert result.status == "ok"
    assert result.refined is None
    assert result.gradient_error.how == "pairs of steps joined"
    assert_honest(result, problem, 0.1, 10)


def test_joined_steps_find_the_trap():
    problem = ab.problems.get("adaptive_ad_trap")
    result = ab.gradient(problem, "torch-discrete", rtol=1e-6, atol=1e-9, error_bar="joined")
    assert result.status == "inaccurate"


def test_steps_on_two_sides_of_a_stop_are_not_joined():
    t, h = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 0.0]), np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    starts, sizes = joined(t, h, np.array([3.0, 5.0]))
    np.testing.assert_array_equal(sizes, [2.0, 1.0, 2.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(starts[:3], [0.0, 2.0, 3.0])


def test_an_error_bar_of_no_known_kind_is_refused():
    with pytest.raises(ValueError, match="error_bar='halved' must be True"):
        ab.gradient(ab.problems.get("linear"), "jax-discrete", error_bar="halved")


def test_a_breakdown_has_no_error_bar():
    problem = ab.problems.get("lotka_volterra")
    result = ab.gradient(problem, "jax-discrete", max_steps=10, error_bar=True)
    assert result.status == "max_steps"
    assert result.gradient_error is None
    assert result.refined is None


def test_without_the_question_there_is_no_answer():
    result = ab.gradient(ab.problems.get("linear"), "jax-discrete")
    assert result.gradient_error is None


def test_a_penalty_along_the_path_has_an_error_bar_and_one_of_the_steps_is_refused():
    problem = ab.problems.get("linear")
    result = ab.gradient(
        problem, "jax-discrete", regularizer="kinetic", coefficient=0.1, error_bar=True
    )
    assert result.refined.dy0.shape == problem.y0.shape
    assert result.gradient_error.by_y0.shape == problem.y0.shape
    with pytest.raises(ValueError, match="regularizer='error' is made of the solver's own steps"):
        ab.gradient(problem, "jax-discrete", regularizer="error", coefficient=0.1, error_bar=True)


def test_a_prepared_gradient_estimates_at_every_call():
    problem = ab.problems.get("lotka_volterra")
    run = ab.prepare(problem, "jax-discrete", rtol=1e-4, atol=1e-7, error_bar=True)
    other = run(params={"p": problem.params["p"] * 1.1})
    assert other.gradient_error.dparams != run().gradient_error.dparams
    assert dataclasses.replace(other, refined=None).gradient_error.reliable
