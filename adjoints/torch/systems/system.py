"""``System``: how the linear systems of implicit steps are formed and solved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from ..derivatives import Derivatives, Function
from ..linear import Factors, factorize, solve_with


class Formed(NamedTuple):
    """A Jacobian as its system keeps it, and whether that is all of it where that is a question."""

    matrix: torch.Tensor
    is_whole: torch.Tensor | None = None


class System(Protocol):
    """The linear systems of a solve, on flat vectors.

    Systems are compared by value and hashed, so that equal ones need no other program.
    """

    @property
    def name(self) -> str:
        """In words."""
        ...

    def jacobian(self, derivatives: Derivatives, function: Function, y: torch.Tensor) -> Formed:
        """The Jacobian of `function` at `y`."""
        ...

    def of_matrix(self, jacobian: torch.Tensor) -> Formed:
        """A Jacobian of which all entries are given, shape ``(n, n)``."""
        ...

    def shifted(self, jacobian: torch.Tensor, diagonal: float, scale: Any) -> torch.Tensor:
        """``diagonal I + scale J``."""
        ...

    def entries(self, matrix: np.ndarray) -> np.ndarray:
        """Those of a known matrix, as the system keeps them."""
        ...

    def factorize(self, matrix: torch.Tensor) -> Factors:
        """What solves with a matrix, and carries no derivative; ``info`` is not 0 if singular."""
        ...

    def solve(
        self, factors: Factors, right: torch.Tensor, *, transposed: bool = False
    ) -> torch.Tensor:
        """The solution for one right-hand side of any shape, differentiable by that."""
        ...


@dataclass(frozen=True)
class Dense:
    """Matrices with all their entries."""

    name: str = "dense"

    def jacobian(self, derivatives: Derivatives, function: Function, y: torch.Tensor) -> Formed:
        """All columns."""
        return Formed(derivatives.jacobian(function, y))

    def of_matrix(self, jacobian: torch.Tensor) -> Formed:
        """As it is."""
        return Formed(jacobian)

    def shifted(self, jacobian: torch.Tensor, diagonal: float, scale: Any) -> torch.Tensor:
        """A matrix of the same size."""
        identity = torch.eye(len(jacobian), dtype=jacobian.dtype, device=jacobian.device)
        return diagonal * identity + scale * jacobian

    def entries(self, matrix: np.ndarray) -> np.ndarray:
        """All."""
        return matrix

    def factorize(self, matrix: torch.Tensor) -> Factors:
        """See :func:`~adjointbench.adjoints.torch.linear.factorize`."""
        return factorize(matrix)

    def solve(
        self, factors: Factors, right: torch.Tensor, *, transposed: bool = False
    ) -> torch.Tensor:
        """See :func:`~adjointbench.adjoints.torch.linear.solve_with`."""
        return solve_with(factors, right, transposed=transposed)


#: What serves where nothing is known of the matrix.
DENSE = Dense()
