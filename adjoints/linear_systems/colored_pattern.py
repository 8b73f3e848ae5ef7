"""``ColoredPattern``: a pattern, and the few products with vectors that give all its entries."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from .coloring import colored_columns
from .pattern import Pattern


@dataclass(frozen=True)
class ColoredPattern:
    """Where a matrix may have entries, and how they are got.

    Two are equal where their patterns are.

    Attributes
    ----------
    pattern : Pattern
    colors : ndarray of int
        One for each column; columns of one color have no row in common, and one Jacobian-vector
        product gives all their entries.
    """

    pattern: Pattern
    colors: np.ndarray = field(compare=False)

    @property
    def products(self) -> int:
        """Jacobian-vector products that give all entries."""
        return int(self.colors.max()) + 1

    def name_of(self, kind: str) -> str:
        """In words, a matrix of this pattern in systems of that kind."""
        return f"{kind} ({self.pattern.entries} entries, {self.products} products)"

    @property
    def banded_name(self) -> str:
        """In words, a banded one."""
        below, above = self.pattern.bands
        return f"banded ({below} below, {above} above, {self.products} products)"

    @cached_property
    def units(self) -> np.ndarray:
        """The vectors of the products, shape ``(products, size)``: the columns of each color."""
        return self.colors[None, :] == np.arange(self.products)[:, None]

    @cached_property
    def taken(self) -> np.ndarray:
        """Where each entry is among the products, one after the other."""
        pattern = self.pattern
        return self.colors[pattern.columns].astype(np.int64) * pattern.size + pattern.rows

    @cached_property
    def on_diagonal(self) -> np.ndarray:
        """Which entries are on the diagonal."""
        return self.pattern.rows == self.pattern.columns

    @cached_property
    def numbers(self) -> np.ndarray:
        """A vector of random numbers: the product with it tells if there are other entries."""
        return np.random.default_rng(0).uniform(1.0, 2.0, self.pattern.size)

    @property
    def leading(self) -> int:
        """Rows of LAPACK's storage of a band and its factors."""
        below, above = self.pattern.bands
        return 2 * below + above + 1

    @cached_property
    def stored(self) -> np.ndarray:
        """Where each entry is in that storage, column by column."""
        below, above = self.pattern.bands
        rows, columns = (a.astype(np.int64) for a in (self.pattern.rows, self.pattern.columns))
        return columns * self.leading + below + above + rows - columns


@lru_cache(maxsize=64)
def colored(pattern: Pattern) -> ColoredPattern:
    """A pattern with its colors; the same one at each call."""
    return ColoredPattern(pattern, colored_columns(pattern))
