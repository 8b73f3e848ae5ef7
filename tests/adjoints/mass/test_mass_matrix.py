"""Mass matrices taken apart, and the formulas for their algebraic equations, in NumPy."""

import numpy as np
import pytest
from mass_equations import MASS, RATE, exact, jacobian, rhs, time_slope

from adjointbench.adjoints.mass.algebraic import (
    constraint_matrix,
    is_regular,
    newton_update,
    slope_system,
)
from adjointbench.adjoints.mass.matrix import MassMatrix
from adjointbench.adjoints.mass.solvers import mass_of

ROTATED = MassMatrix(MASS)


@pytest.mark.parametrize(
    ("matrix", "algebraic"),
    [
        (np.diag([1.0, 2.0]), 0),
        (np.diag([1.0, 1e-30]), 0),
        (np.array([[1.0, 1.0], [1e-20, 2e-20]]), 0),
        (np.array([[1.0, 2.0], [0.5, 1.0]]), 1),
        (np.array([[1.0, 2.0], [0.5, 1.0 + 1e-12]]), 0),
        (np.array([[1.0, 2.0], [0.5, 1.0 + 1e-5]], np.float32), 0),
        (np.array([[1.0, 1 / 3], [3.0, 1.0]], np.float32), 1),
        (np.diag([0.0, 1.0, 0.0]), 2),
        (MASS, 1),
    ],
)
def test_the_rank_is_known_to_rounding_whatever_the_units_of_equations(matrix, algebraic):
    mass = MassMatrix(matrix)
    size = np.abs(matrix).max()
    assert mass.algebraic == algebraic
    assert mass.left.shape == mass.right.shape == (len(matrix), algebraic)
    eps = 10 * np.finfo(matrix.dtype).eps * size
    np.testing.assert_allclose(mass.left.T @ matrix, 0, atol=eps)
    np.testing.assert_allclose(matrix @ mass.right, 0, atol=eps)
    for basis in (mass.left, mass.right):
        np.testing.assert_allclose(basis.T @ basis, np.eye(algebraic), atol=1e-12)


def test_the_pseudoinverse_is_that_of_the_part_that_is_not_algebraic():
    np.testing.assert_allclose(MASS @ ROTATED.inverse @ MASS, MASS, atol=1e-14)
    np.testing.assert_allclose(MassMatrix(np.diag([4.0, 0.0])).inverse, np.diag([0.25, 0.0]))


def test_products_are_those_of_flat_states_one_by_one():
    rng = np.random.default_rng(0)
    mass = MassMatrix(rng.normal(size=(6, 6)))
    states = rng.normal(size=(4, 2, 3))
    for of, matrix in ((mass.times, mass.matrix), (mass.transposed_times, mass.matrix.T)):
        expected = [(matrix @ state.ravel()).reshape(2, 3) for state in states]
        np.testing.assert_allclose(of(states, lead=1), expected, rtol=1e-12)


def test_the_slope_is_the_derivative_of_the_solution():
    t, p = 0.6, {"k": RATE}
    at = exact(t)
    system = slope_system(
        ROTATED, rhs(np.asarray(t), at, p), jacobian(t, at, p), time_slope(t, at, p)
    )
    slope = np.linalg.solve(*system)
    expected = (exact(t + 1e-5) - exact(t - 1e-5)) / 2e-5
    np.testing.assert_allclose(slope, expected, rtol=1e-8)


def test_newton_goes_to_the_consistent_values_with_the_same_differential_part():
    t, p = 0.6, {"k": RATE}
    u = exact(t) + 0.2 * ROTATED.right[:, 0]
    for _ in range(7):
        at = rhs(np.asarray(t), u, p), jacobian(t, u, p)
        u = u - newton_update(ROTATED, u, *at, np.linalg.inv).change
    np.testing.assert_allclose(u, exact(t), rtol=1e-13)


def test_the_index_is_seen_whatever_the_units():
    at = exact(0.6)
    assert is_regular(constraint_matrix(ROTATED, jacobian(0.6, at, {"k": RATE})))
    assert is_regular(np.diag([1e-20, 1e15]))
    assert not is_regular(np.array([[1.0, 1.0], [1e-9, 1e-9]]))
    assert not is_regular(np.array([[0.0, 0.0], [1.0, 1.0]]))
    assert not is_regular(np.array([[np.nan]]))


def test_the_identity_is_no_mass_matrix():
    assert mass_of(np.eye(3), 3, np.float32) is None
    assert mass_of(None, 3, np.float64) is None
    found = mass_of([[1, 0], [0, 0]], 2, np.float32)
    assert found == MassMatrix(np.array([[1, 0], [0, 0]], np.float32))
    assert hash(found) != hash(MassMatrix(np.diag([1.0, 0.0])))
