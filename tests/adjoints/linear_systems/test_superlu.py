"""Factors of sparse matrices are found again and then forgotten, and rounding does not matter."""

import numpy as np
import pytest

from adjointbench.adjoints.linear_systems import factorizations
from adjointbench.adjoints.linear_systems.factorizations import Factorizations
from adjointbench.adjoints.linear_systems.pattern import Pattern

N = 12
PATTERN = Pattern(N, [*range(1, N), *range(N - 1)], [*range(N - 1), *range(1, N)])


def entries(seed: int, dtype: str = "float64") -> np.ndarray:
    values = np.random.default_rng(seed).uniform(-1.0, 1.0, PATTERN.entries)
    return (values + 4.0 * (PATTERN.rows == PATTERN.columns)).astype(dtype)


def dense(values: np.ndarray) -> np.ndarray:
    matrix = np.zeros((N, N))
    matrix[PATTERN.rows, PATTERN.columns] = values
    return matrix


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_reverse_pass_finds_the_factors_of_the_forward_pass(dtype):
    known = Factorizations(PATTERN)
    matrices = [entries(seed, dtype) for seed in range(200)]
    numbers = [known.factorize(values) for values in matrices]
    assert len(set(numbers)) == len(matrices)
    rng = np.random.default_rng(0)
    for values, number in zip(reversed(matrices), reversed(numbers), strict=True):
        off = 1 + 8 * np.finfo(dtype).eps * rng.uniform(-1, 1, len(values))
        assert known.factorize((values * off).astype(dtype)) == number
    assert len(known._kept) == 1
    known.factorize(entries(1000, dtype))
    assert len(known._kept) == len(known._by_size) == 1
    assert known._bytes == next(iter(known._kept.values())).bytes


def test_other_matrices_have_factors_of_their_own_and_singular_ones_none():
    known, values = Factorizations(PATTERN), entries(0)
    right = np.arange(1.0, N + 1)
    number = known.factorize(values)
    for other in (values * (1 + 1e-9), values * np.where(PATTERN.rows == 3, 1 + 1e-6, 1.0)):
        own = known.factorize(other)
        assert own not in (0, number)
        for transposed, matrix in ((False, dense(other)), (True, dense(other).T)):
            found = known.solve(own, other, right, transposed=transposed)
            np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-10)
    assert known.factorize(0.0 * values) == 0
    assert known.factorize(np.nan * values) == 0
    assert np.isnan(known.solve(0, values, right, transposed=False)).all()


def test_the_oldest_factors_make_room_and_are_made_again(monkeypatch):
    known = Factorizations(PATTERN)
    monkeypatch.setattr(factorizations, "MOST_BYTES", 3000)
    matrices = [entries(seed) for seed in range(10)]
    numbers = [known.factorize(values) for values in matrices]
    assert known._bytes <= 3000
    assert numbers[0] not in known._kept
    right = np.ones(N)
    found = known.solve(numbers[0], matrices[0], right, transposed=False)
    np.testing.assert_allclose(found, np.linalg.solve(dense(matrices[0]), right), rtol=1e-10)
