"""Patterns of matrices, and their sparse factors on the host."""

from __future__ import annotations

import numpy as np
import pytest
from grids import grid
from scipy import sparse
from scipy.sparse.linalg import splu

from adjointbench.adjoints.linear_systems import factorizations, gmres
from adjointbench.adjoints.linear_systems.factorizations import Factorizations
from adjointbench.adjoints.linear_systems.fill import fills_up
from adjointbench.adjoints.linear_systems.pattern import Pattern

SIZE = 40

#: Complete factors, and incomplete ones with GMRES.
KINDS = ("sparse", "gmres")


def _factors(pattern: Pattern, kind: str = "sparse") -> Factorizations:
    direct = Factorizations(pattern)
    if kind == "sparse":
        return direct
    return Factorizations(pattern, 1, gmres.order_of_bandwidth, direct)


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
@pytest.mark.parametrize("kind", KINDS)
def test_solutions_are_those_of_the_matrix_and_its_transpose(diagonal, dtype, kind):
    pattern, matrix = _matrix(diagonal=diagonal)
    known, values = _factors(pattern, kind), _entries(pattern, matrix).astype(dtype)
    number = known.factorize(values)
    right = np.random.default_rng(1).normal(size=(3, SIZE)).astype(dtype)
    exact = 1e-10 if dtype == np.float64 else 1e-3
    for transposed, of in ((False, matrix), (True, matrix.T)):
        found = known.solve(number, values, right, transposed=transposed)
        assert found.dtype == dtype
        np.testing.assert_allclose(found @ of.T, right, atol=exact)
        one = known.solve(number, values, right[1], transposed=transposed)
        np.testing.assert_allclose(one, found[1], rtol=1e3 * exact)


@pytest.mark.parametrize("kind", KINDS)
def test_a_factor_is_found_again_for_the_same_matrix_but_for_rounding(kind):
    pattern, matrix = _matrix(diagonal=5.0)
    values, known = _entries(pattern, matrix), _factors(pattern, kind)
    first = known.factorize(values)
    other = known.factorize(values * (1 + 1e-8))
    assert other != first
    assert known.factorize(values * (1 + 1e-15)) == first
    # One entry alone, which is none of those that are compared first.
    changed = values.copy()
    changed[3] += 1e-6
    assert known.factorize(changed) not in (first, other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_factor_that_was_dropped_is_made_again(monkeypatch, kind):
    monkeypatch.setattr(factorizations, "MOST_BYTES", 1)
    pattern, matrix = _matrix(diagonal=5.0)
    values, known = _entries(pattern, matrix), _factors(pattern, kind)
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


@pytest.mark.parametrize("change", ["singular", "nan"])
def test_gmres_has_no_solutions_where_there_are_none(change):
    """Its incomplete factors may exist all the same, and a first guess of any size."""
    pattern, matrix = _matrix(diagonal=5.0)
    values = _entries(pattern, matrix)
    values[pattern.columns == 3] = 0.0 if change == "singular" else np.nan
    known = _factors(pattern, "gmres")
    number = known.factorize(values)
    for transposed in (False, True):
        assert np.isnan(known.solve(number, values, np.ones(SIZE), transposed=transposed)).all()
    good = _entries(pattern, matrix)
    right = np.full((2, SIZE), np.nan)
    right[1] = 1.0
    found = known.solve(known.factorize(good), good, right, transposed=False)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(matrix @ found[1], 1.0)


def test_what_does_not_converge_is_no_solution_and_complete_factors_solve_backwards(monkeypatch):
    monkeypatch.setattr(gmres, "RESTART", 1)
    monkeypatch.setattr(gmres, "CYCLES", 1)
    pattern, matrix = _matrix(diagonal=0.1)
    values, known = _entries(pattern, matrix), _factors(pattern, "gmres")
    number, right = known.factorize(values), np.ones((3, SIZE))
    assert number
    assert np.isnan(known.solve(number, values, right, transposed=False)).all()
    found = known.solve(number, values, right, transposed=True)
    np.testing.assert_allclose(found @ matrix, right)


@pytest.mark.parametrize("pattern", [grid(8, 3), grid(30, 2)], ids=["space", "plane"])
def test_the_fill_is_that_of_the_factors(pattern):
    matrix = pattern.matrix(np.where(pattern.rows == pattern.columns, 1e3, 1.0))
    options = {"SymmetricMode": True}
    factors = splu(matrix, "MMD_AT_PLUS_A", diag_pivot_thresh=0.1, options=options)
    times = factors.nnz / pattern.entries
    assert fills_up(pattern, 0.9 * times)
    assert not fills_up(pattern, 1.1 * times)


def test_nothing_fills_in_a_tree_though_no_band_is_narrow():
    before = np.random.default_rng(0).integers(0, np.maximum(np.arange(500), 1))
    tree = Pattern(500, np.arange(500), before).joined(before, np.arange(500))
    assert fills_up(tree, 0.999)
    assert not fills_up(tree, 1.0)
