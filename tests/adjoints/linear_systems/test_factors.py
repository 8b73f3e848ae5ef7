"""Patterns of matrices, and their sparse factors on the host."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from adjointbench.adjoints.linear_systems import superlu
from adjointbench.adjoints.linear_systems.pattern import Pattern
from adjointbench.adjoints.linear_systems.superlu import Factorizations

SIZE = 40


def _matrix(*, diagonal: float, seed: int = 0) -> tuple[Pattern, np.ndarray]:
    """A pattern, and a matrix of it; regular with a diagonal of any size."""
    rng = np.random.default_rng(seed)
    cycle = sparse.csc_array(
        (np.full(SIZE, 2.0), (np.arange(SIZE), (np.arange(SIZE) + 1) % SIZE)), shape=(SIZE, SIZE)
    )
    others = sparse.random_array((SIZE, SIZE), density=0.03, rng=rng)
    found = (others + cycle + diagonal * sparse.eye_array(SIZE)).tocoo()
    return Pattern(SIZE, found.row, found.col), found.toarray()


def _entries(pattern: Pattern, matrix: np.ndarray) -> np.ndarray:
    return matrix[pattern.rows, pattern.columns]


def test_a_pattern_has_each_place_once_by_columns_with_the_diagonal():
    pattern = Pattern(3, [2, 0, 2], [0, 1, 0])
    assert list(zip(pattern.rows.tolist(), pattern.columns.tolist(), strict=True)) == [
        (0, 0),
        (2, 0),
        (0, 1),
        (1, 1),
        (2, 2),
    ]
    assert pattern.starts.tolist() == [0, 2, 4, 5]
    assert pattern.bands == (2, 1)
    assert pattern == Pattern(3, [0, 2], [1, 0])
    assert hash(pattern) == hash(Pattern(3, [0, 2], [1, 0]))
    assert pattern != Pattern(3, [0, 2], [1, 1])
    assert pattern != Pattern(4, [0, 2], [1, 0])


@pytest.mark.parametrize("diagonal", [5.0, 1e-6], ids=["dominant", "to be pivoted"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_solutions_are_those_of_the_matrix_and_its_transpose(diagonal, dtype):
    pattern, matrix = _matrix(diagonal=diagonal)
    known, values = Factorizations(pattern), _entries(pattern, matrix).astype(dtype)
    number = known.factorize(values)
    right = np.random.default_rng(1).normal(size=(3, SIZE)).astype(dtype)
    exact = 1e-10 if dtype == np.float64 else 1e-3
    for transposed, of in ((False, matrix), (True, matrix.T)):
        found = known.solve(number, values, right, transposed=transposed)
        assert found.dtype == dtype
        np.testing.assert_allclose(found @ of.T, right, atol=exact)
        one = known.solve(number, values, right[1], transposed=transposed)
        np.testing.assert_allclose(one, found[1], rtol=1e3 * exact)


def test_a_factor_is_found_again_for_the_same_matrix_but_for_rounding():
    pattern, matrix = _matrix(diagonal=5.0)
    values, known = _entries(pattern, matrix), Factorizations(pattern)
    first = known.factorize(values)
    other = known.factorize(values * (1 + 1e-8))
    assert other != first
    assert known.factorize(values * (1 + 1e-15)) == first
    # One entry alone, which is none of those that are compared first.
    changed = values.copy()
    changed[3] += 1e-6
    assert known.factorize(changed) not in (first, other)


def test_a_factor_that_was_dropped_is_made_again(monkeypatch):
    monkeypatch.setattr(superlu, "MOST_BYTES", 1)
    pattern, matrix = _matrix(diagonal=5.0)
    values, known = _entries(pattern, matrix), Factorizations(pattern)
    first = known.factorize(values)
    known.factorize(2 * values)
    found = known.solve(first, values, np.ones(SIZE), transposed=False)
    np.testing.assert_allclose(matrix @ found, 1.0)


@pytest.mark.parametrize("change", ["singular", "nan"])
def test_a_matrix_without_factors_has_no_number_and_no_solutions(change):
    pattern, matrix = _matrix(diagonal=5.0)
    values = _entries(pattern, matrix)
    values[pattern.columns == 3] = 0.0 if change == "singular" else np.nan
    known = Factorizations(pattern)
    assert known.factorize(values) == 0
    assert np.isnan(known.solve(0, values, np.ones(SIZE), transposed=False)).all()
