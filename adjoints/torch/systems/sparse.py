"""Systems whose matrix is known where it is not zero, banded or not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ...linear_systems.colored_pattern import ColoredPattern
from ...linear_systems.factorizations import Factorizations, factorizations_of
from ...linear_systems.pattern import Pattern
from ..derivatives import Derivatives, Function
from ..linear import Factors
from .on_host import factorized, solved
from .system import Formed


@dataclass(frozen=True)
class Sparse:
    """Matrices with the entries of a pattern, in its order; factorised by SuperLU on the host.

    Parameters
    ----------
    colored : ColoredPattern
    incomplete : bool
        Whether the factors are, and GMRES solves with them.
    """

    colored: ColoredPattern
    incomplete: bool = False

    @property
    def name(self) -> str:
        """With what fills it."""
        return self.colored.name_of("gmres" if self.incomplete else "sparse")

    @property
    def pattern(self) -> Pattern:
        """Where entries may be."""
        return self.colored.pattern

    @property
    def factorizations(self) -> Factorizations:
        """The factors on the host."""
        return factorizations_of(self.pattern, incomplete=self.incomplete)

    def jacobian(self, derivatives: Derivatives, function: Function, y: torch.Tensor) -> Formed:
        """The entries, from one product for each color; one more tells if there are others."""
        found = derivatives.products(function, y, self._directions.to(y.dtype))
        matrix = found[:-1].reshape(-1)[self._taken]
        return Formed(matrix, self._is_whole(matrix, found[-1]))

    def of_matrix(self, jacobian: torch.Tensor) -> Formed:
        """The entries of the pattern."""
        matrix = jacobian[self._rows, self._columns]
        return Formed(matrix, self._is_whole(matrix, jacobian @ self._numbers.to(jacobian.dtype)))

    def shifted(self, jacobian: torch.Tensor, diagonal: float, scale: Any) -> torch.Tensor:
        """Entries, those of the diagonal among them."""
        return scale * jacobian + diagonal * self._on_diagonal.to(jacobian.dtype)

    def entries(self, matrix: np.ndarray) -> np.ndarray:
        """Those of the pattern."""
        return matrix[self.pattern.rows, self.pattern.columns]

    def factorize(self, matrix: torch.Tensor) -> Factors:
        """The number of a factor, and what it is of."""
        matrix = matrix.detach()
        (number,) = factorized(self, matrix)
        return Factors(matrix, number, ((number == 0) & matrix.isfinite().all())[0])

    def solve(
        self, factors: Factors, right: torch.Tensor, *, transposed: bool = False
    ) -> torch.Tensor:
        """By the factors, on the host."""
        assert factors.pivots is not None
        given = (factors.matrix, factors.pivots, right.reshape(-1))
        return solved(self, *given, transposed=transposed).reshape(right.shape)

    def factorize_on_host(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """The number of the factor of a matrix; 0 if there is none."""
        return (np.array([self.factorizations.factorize(values)]),)

    def solve_on_host(
        self, values: np.ndarray, number: np.ndarray, right: np.ndarray, *, transposed: bool
    ) -> np.ndarray:
        """The solutions for right-hand sides in the last axis, or of the transposed system."""
        return self.factorizations.solve(int(number[0]), values, right, transposed=transposed)

    def _is_whole(self, matrix: torch.Tensor, product: torch.Tensor) -> torch.Tensor:
        """Whether the entries alone give the product with random numbers."""
        terms = matrix * self._numbers.to(matrix.dtype)[self._columns]
        none = torch.zeros_like(product)
        own, size = (none.index_add(0, self._rows, x) for x in (terms, terms.abs()))
        near = float(np.sqrt(torch.finfo(matrix.dtype).eps))
        return ((product - own).abs() <= near * size).all() | ~matrix.isfinite().all()

    @cached_property
    def _rows(self) -> torch.Tensor:
        return torch.from_numpy(self.pattern.rows.astype(np.int64))

    @cached_property
    def _columns(self) -> torch.Tensor:
        return torch.from_numpy(self.pattern.columns.astype(np.int64))

    @cached_property
    def _on_diagonal(self) -> torch.Tensor:
        return torch.from_numpy(self.colored.on_diagonal)

    @cached_property
    def _numbers(self) -> torch.Tensor:
        return torch.from_numpy(self.colored.numbers)

    @cached_property
    def _directions(self) -> torch.Tensor:
        """The columns of each color, and random numbers."""
        units = torch.from_numpy(self.colored.units).to(torch.float64)
        return torch.cat([units, self._numbers[None]])

    @cached_property
    def _taken(self) -> torch.Tensor:
        """Where each entry is among the products."""
        return torch.from_numpy(self.colored.taken)


@dataclass(frozen=True)
class Banded(Sparse):
    """The same, all entries near the diagonal; factorised by LAPACK."""

    @property
    def name(self) -> str:
        """With its bands."""
        return self.colored.banded_name

    def factorize(self, matrix: torch.Tensor) -> Factors:
        """The factors in LAPACK's storage, and the pivots."""
        matrix = matrix.detach()
        factors, pivots, info = factorized(self, matrix)
        return Factors(factors, pivots, ((info != 0) & matrix.isfinite().all())[0])

    def factorize_on_host(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Factors, pivots, and 0 unless it is singular."""
        (below, above), kind = self.pattern.bands, values.dtype.char
        leading = self.colored.leading
        stored = np.zeros(self.pattern.size * leading, values.dtype)
        stored[self.colored.stored] = values
        stored = stored.reshape(-1, leading).T
        factors, pivots, info = _lapack("gbtrf", kind)(stored, below, above, overwrite_ab=True)
        return factors.T.reshape(-1), pivots, np.array([info])

    def solve_on_host(
        self, values: np.ndarray, number: np.ndarray, right: np.ndarray, *, transposed: bool
    ) -> np.ndarray:
        """By the factors that stand in for the entries, and the pivots."""
        below, above = self.pattern.bands
        columns = right.reshape(-1, right.shape[-1]).T
        solve = _lapack("gbtrs", right.dtype.char)
        stored = values.reshape(-1, self.colored.leading).T
        found, _ = solve(stored, below, above, columns, number, trans=int(transposed))
        return found.T.reshape(right.shape)


def _lapack(name: str, kind: str) -> Any:
    """A function of LAPACK, for numbers of a kind."""
    from scipy.linalg import lapack

    return getattr(lapack, {"f": "s", "d": "d"}[kind] + name)
