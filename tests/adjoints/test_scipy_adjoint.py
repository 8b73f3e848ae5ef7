"""The continuous adjoint on SciPy: accuracy, its own solver and tolerances, stiffness."""

import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab
from adjointbench.adjoints.scipy import continuous


def test_nine_digits_at_a_tight_tolerance():
    problem = ab.problems.get("linear")
    loss, dparams, dy0 = problem.exact(problem.params, problem.y0)
    result = ab.gradient(problem, "scipy-adjoint", rtol=1e-12, atol=1e-14)
    assert result.loss == pytest.approx(loss, rel=1e-10)
    assert tiny.log_error(result, dparams, problem.params) < 1e-9
    np.testing.assert_allclose(result.dy0, dy0, rtol=1e-9)


@pytest.mark.parametrize("solver", ["radau", "bdf", "lsoda"])
def test_robertson_to_seven_digits(solver):
    problem = ab.problems.get("robertson")
    result = ab.gradient(problem, "scipy-adjoint", solver=solver, rtol=1e-9, atol=1e-12)
    found = np.concatenate([np.ravel(v) for v in result.dparams.values()])
    np.testing.assert_allclose(found, tiny.ROBERTSON_DK, rtol=1e-7)


@pytest.mark.parametrize("solver", ["rk45", "dop853", "radau", "bdf", "lsoda"])
def test_the_error_follows_the_tolerance(solver):
    problem = ab.problems.get("linear")
    _, dparams, _ = problem.exact(problem.params, problem.y0)
    rtols = np.array([1e-4, 1e-6, 1e-8])
    errors = [
        tiny.log_error(
            ab.gradient(problem, "scipy-adjoint", solver=solver, rtol=r, atol=1e-3 * r),
            dparams,
            problem.params,
        )
        for r in rtols
    ]
    slope = np.polyfit(np.log(rtols), np.log(errors), 1)[0]
    assert 0.7 < slope < 1.4


def test_the_adjoint_has_its_own_tolerance():
    problem = ab.problems.get("lotka_volterra")
    tight = {"rtol": 1e-10, "atol": 1e-12}
    both = ab.gradient(problem, "scipy-adjoint", **tight)
    loose = ab.gradient(problem, "scipy-adjoint", **tight, adjoint_rtol=1e-3, adjoint_atol=1e-3)
    assert loose.loss == both.loss
    assert loose.stats.steps == both.stats.steps
    assert loose.stats.reverse_steps < both.stats.reverse_steps / 2
    error = tiny.log_error(loose, both.dparams, problem.params)
    assert 1e-7 < error < 1e-1


def test_the_adjoint_has_its_own_solver():
    problem = ab.problems.get("van_der_pol", mu=10.0)
    explicit = ab.gradient(problem, "scipy-adjoint", solver="dop853")
    mixed = ab.gradient(problem, "scipy-adjoint", solver="dop853", adjoint_solver="radau")
    assert mixed.stats.steps == explicit.stats.steps
    assert explicit.stats.jacobian_evals == 0
    assert mixed.stats.jacobian_evals > 0
    assert tiny.log_error(mixed, explicit.dparams, problem.params) < 1e-4


@pytest.mark.parametrize("solver", ["radau", "bdf"])
def test_the_sparse_jacobian_changes_no_number(solver, monkeypatch):
    problem = tiny.oscillators()
    dense = ab.gradient(problem, "scipy-adjoint", solver=solver)
    monkeypatch.setattr(continuous, "DENSE_LIMIT", 0)
    sparse = ab.gradient(problem, "scipy-adjoint", solver=solver)
    assert sparse.stats.reverse_steps == dense.stats.reverse_steps
    assert tiny.log_error(sparse, dense.dparams, problem.params) < 1e-7


def test_a_breakdown_of_the_reverse_solve_says_so():
    problem = ab.problems.get("lotka_volterra")
    # Enough steps for the way there, not for a way back at a far tighter tolerance.
    result = ab.gradient(
        problem, "scipy-adjoint", max_steps=200, adjoint_rtol=1e-13, adjoint_atol=1e-15,
        solver="rk45", rtol=1e-4, atol=1e-6,
    )  # fmt: skip
    assert (result.status, result.phase) == ("max_steps", "reverse")
    assert np.isnan(result.dparams["p"]).all()


def test_bytes_kept_grow_with_the_steps():
    problem = ab.problems.get("lotka_volterra")
    kept = [
        ab.gradient(problem, "scipy-adjoint", solver="rk45", rtol=r, atol=r * 1e-3).stats
        for r in (1e-4, 1e-8)
    ]
    # An RK45 interpolant keeps a state and its four polynomial coefficients: 80 bytes.
    for stats in kept:
        assert stats.saved_bytes == pytest.approx(80 * stats.steps, rel=0.05)
    assert kept[1].saved_bytes > 4 * kept[0].saved_bytes


def test_a_save_at_the_start_counts():
    problem = tiny.decay(
        save_at=np.array([0.0, 2.0]), loss=lambda ys, p: (ys**2).sum() + p["k"].sum()
    )
    result = ab.gradient(problem, "scipy-adjoint", rtol=1e-10, atol=1e-12)
    loss, dk, dy0 = tiny.decay_gradient(times=(0.0, 2.0))
    found = [result.loss, *result.dparams["k"], *result.dy0]
    np.testing.assert_allclose(found, [loss, dk, dy0], rtol=1e-8)
