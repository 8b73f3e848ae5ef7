"""Sparse Jacobians for Radau and BDF: the dense ones' entries, and the same numbers."""

import numpy as np
import pytest

import adjointbench as ab
from adjointbench.adjoints.linear_systems import choice
from adjointbench.adjoints.scipy import continuous
from adjointbench.adjoints.scipy.found_sparsity import sparsity_of

PROBLEM = ab.problems.get("burgers", n=110)


@pytest.mark.parametrize("solver", ["radau", "bdf"])
def test_gradients_are_those_of_dense_matrices(solver, monkeypatch):
    options = {"rtol": 1e-4, "atol": 1e-6, "solver": solver}
    found = ab.gradient(PROBLEM, "scipy-adjoint", **options)
    monkeypatch.setattr(continuous, "sparsity_of", lambda problem: None)
    dense = ab.gradient(PROBLEM, "scipy-adjoint", **options)
    assert found.stats.steps == dense.stats.steps
    assert found.stats.reverse_steps == dense.stats.reverse_steps
    np.testing.assert_allclose(found.loss, dense.loss, rtol=1e-10)
    np.testing.assert_allclose(found.dy0, dense.dy0, rtol=1e-8, atol=1e-12)
    for name, value in dense.dparams.items():
        np.testing.assert_allclose(found.dparams[name], value, rtol=1e-8, atol=1e-12)


def test_the_matrices_have_the_entries_of_dense_ones(monkeypatch):
    seen = {}
    new = continuous.solve_adjoint

    def watched(point, plan, trajectory, *others):
        y, t = trajectory.y0, 0.3
        seen["state"] = (point.jacobian_for_solver(t, y), y)
        seen["whole"] = point.whole_jacobian(t, y)
        return new(point, plan, trajectory, *others)

    monkeypatch.setattr(continuous, "solve_adjoint", watched)
    ab.gradient(PROBLEM, "scipy-adjoint", rtol=1e-2, atol=1e-2, solver="bdf")
    matrix, y = seen["state"]
    whole, n, m = seen["whole"], y.size, PROBLEM.n_params
    assert matrix.shape == (n, n)
    assert matrix.nnz == 3 * n - 2
    assert whole.shape == (n + m, n + m)

    def rhs(y: np.ndarray, speed: np.ndarray) -> np.ndarray:
        return PROBLEM.rhs(0.3, y, {**PROBLEM.params, "speed": speed})

    speed, step = PROBLEM.params["speed"], 1e-200j
    units = step * np.eye(n)
    by_state = np.stack([rhs(y + unit, speed).imag for unit in units], axis=1) / 1e-200
    by_speed = np.stack([rhs(y, speed + unit).imag for unit in units], axis=1) / 1e-200
    near = 1e-12 * np.abs(by_state).max()
    np.testing.assert_allclose(matrix.toarray(), by_state, atol=near)
    first = n if next(iter(PROBLEM.params)) == "speed" else n + 1
    dense = whole.toarray()
    np.testing.assert_allclose(dense[:n, :n], by_state, atol=near)
    np.testing.assert_allclose(dense[:n, first : first + n], by_speed, atol=near)
    assert not dense[n:].any()


def test_factors_that_fill_up_are_better_than_full_matrices(monkeypatch):
    monkeypatch.setattr(choice, "MOST_FILL", 0)
    found = sparsity_of(ab.problems.get("burgers", n=111))
    assert found is not None
    assert found.whole is not None


def test_small_and_dense_systems_and_own_jacobians_stay_as_they_are():
    assert sparsity_of(ab.problems.get("burgers", n=40)) is None
    assert sparsity_of(ab.problems.get("robertson")) is None
    n = 110
    parts = {"y0": np.ones(n), "params": {"k": np.array(1.0)}, "t_span": (0.0, 0.1)}
    parts["loss"] = lambda ys, p: (ys**2).sum()
    full = ab.Problem(name="full", rhs=lambda t, y, p: p["k"] * (y.sum() - y), **parts)
    assert sparsity_of(full) is None
    own = {"rhs": lambda t, y, p: -p["k"] * y, "jacobian": lambda t, y, p: -p["k"] * np.eye(n)}
    assert sparsity_of(ab.Problem(name="own", **own, **parts)) is None
