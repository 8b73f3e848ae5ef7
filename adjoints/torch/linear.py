"""The linear systems of implicit steps: factorised once, solved often, differentiable."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

Matvec = Callable[[torch.Tensor], torch.Tensor]

#: Up to this size the inverse is formed: a product is one kernel, a triangular solve a call to
#: LAPACK, which costs more than the arithmetic.
INVERTED = 10


class Factors(NamedTuple):
    """The inverse of a small matrix, or LU factors with the order of the rows."""

    matrix: torch.Tensor
    pivots: torch.Tensor | None
    info: torch.Tensor


def factorize(matrix: torch.Tensor) -> Factors:
    """Factors of a square matrix, which carry no derivative; ``info`` is not 0 if singular."""
    matrix = matrix.detach()
    if matrix.shape[-1] <= INVERTED:
        inverse, info = torch.linalg.inv_ex(matrix)
        return Factors(inverse, None, info)
    lu, pivots, info = torch.linalg.lu_factor_ex(matrix)
    return Factors(lu, pivots, info)


def solve_with(factors: Factors, right: torch.Tensor, *, transposed: bool = False) -> torch.Tensor:
    """The solution of the system, or the transposed one, for one right-hand side of any shape."""
    flat = right.reshape(-1)
    if factors.pivots is None:
        inverse = factors.matrix.T if transposed else factors.matrix
        return (inverse @ flat).reshape(right.shape)
    found = torch.linalg.lu_solve(factors.matrix, factors.pivots, flat[:, None], adjoint=transposed)
    return found[:, 0].reshape(right.shape)


def linear_solver(matvec: Matvec, solve_once: Matvec, order: int) -> Matvec:
    """``solve(right)`` for tensors of any shape, differentiable through `matvec`.

    With the solution x at hand, ``x + M^-1 (right - matvec(x))`` has its value (it is one step of
    iterative refinement) and, x and the factors held fixed, its derivative: that of the rule for
    linear systems, with nothing differentiating the elimination. Each further step of refinement
    makes one more derivative right.

    Parameters
    ----------
    matvec : callable
        The product with the matrix. Derivatives of a solution flow to what it closes over.
    solve_once : callable
        Solves with factors of the same matrix.
    order : int
        How often the solution will be differentiated.
    """

    def solve(right: torch.Tensor) -> torch.Tensor:
        found = solve_once(right.detach()).detach()
        for _ in range(order):
            found = found + solve_once(right - matvec(found))
        return found

    return solve
