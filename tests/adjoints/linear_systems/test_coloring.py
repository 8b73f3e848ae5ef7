"""Columns of one color have no row in common, and colors are few."""

import warnings

import asdex
import numpy as np
import pytest

from adjointbench.adjoints.linear_systems.coloring import colored_columns
from adjointbench.adjoints.linear_systems.pattern import Pattern


def tridiagonal(n: int) -> Pattern:
    every = np.arange(n)
    rows = np.concatenate([every[1:], every[:-1]])
    return Pattern(n, rows, np.concatenate([every[:-1], every[1:]]))


def scattered(n: int, entries: int) -> Pattern:
    rng = np.random.default_rng(n)
    return Pattern(n, rng.integers(0, n, entries), rng.integers(0, n, entries))


def grid(n: int) -> Pattern:
    """The five-point differences on a square that goes on at its other side."""
    cells = np.arange(n * n).reshape(n, n)
    moved = [np.roll(cells, shift, axis).ravel() for axis in (0, 1) for shift in (1, -1)]
    return Pattern(n * n, np.tile(cells.ravel(), 4), np.concatenate(moved))


PATTERNS = {
    "diagonal": Pattern(7, [], []),
    "full": Pattern(6, *np.nonzero(np.ones((6, 6)))),
    "tridiagonal": tridiagonal(30),
    "grid": grid(10),
    "scattered": scattered(200, 700),
    "one full row": Pattern(9, np.zeros(9, int), np.arange(9)),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_columns_of_one_color_have_no_row_in_common(name):
    pattern = PATTERNS[name]
    colors = colored_columns(pattern)
    assert colors.shape == (pattern.size,)
    assert set(colors) == set(range(colors.max() + 1))
    met = colors[pattern.columns] * pattern.size + pattern.rows
    assert len(np.unique(met)) == pattern.entries


@pytest.mark.parametrize("name", PATTERNS)
def test_no_more_colors_than_asdex_needs(name):
    pattern = PATTERNS[name]
    shape = (pattern.size, pattern.size)
    places = asdex.SparsityPattern.from_coo(pattern.rows, pattern.columns, shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", asdex.DenseColoringWarning)
        theirs, _ = asdex.color_cols(places)
    assert colored_columns(pattern).max() <= np.max(theirs)


def test_numbers_of_colors_that_are_known():
    counts = {name: int(colored_columns(p).max()) + 1 for name, p in PATTERNS.items()}
    known = {"diagonal": 1, "full": 6, "tridiagonal": 3, "one full row": 9}
    assert {name: counts[name] for name in known} == known
