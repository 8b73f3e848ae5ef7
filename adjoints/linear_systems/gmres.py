"""GMRES with incomplete factors, both by SciPy: for matrices whose factors fill up.

Incomplete factors are kept as complete ones are, and solve as those do: for as many right-hand
sides as there are, with the matrix or its transpose.

References
----------
Y. Saad, M. H. Schultz, SIAM J. Sci. Stat. Comput. 7 (1986) 856-869 (GMRES).
X. S. Li, M. Shao, ACM Trans. Math. Softw. 37 (2011) 43 (the incomplete factors of SuperLU).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .pattern import Pattern
from .superlu import DIAGONAL_PIVOT, Order

#: Entries below this share of the largest of their column are dropped from the factors. How many
#: that leaves is all but unbounded: where SuperLU has to drop more to keep to a bound, iterations
#: are several times as many.
DROPPED, FILL_FACTOR = 1e-2, 50.0

#: The residual as a share of the right-hand side: gradients lie within 1e-10 of those of complete
#: factors then. A thousand times as much would take off a sixth of the time.
RESIDUAL = 1e-11

#: How many times what rounding alone makes of it the residual may be, where that is more.
ROUNDING = 4.0

#: Vectors before a restart, and how often it may restart.
RESTART, CYCLES = 50, 4


@dataclass(frozen=True)
class Preconditioned:
    """A matrix and its incomplete factors, in the place of a factor of SuperLU.

    Parameters
    ----------
    matrix : csc_matrix
    factors : SuperLU
        Their product is near to the matrix.
    """

    matrix: Any
    factors: Any

    @property
    def nnz(self) -> int:
        """Entries of both."""
        return self.matrix.nnz + self.factors.nnz

    def solve(self, right: np.ndarray, trans: str) -> np.ndarray:
        """The solution for each column of `right`; NaN where GMRES has not converged."""
        return np.stack([self._solve(column, trans) for column in right.T], axis=1)

    def _solve(self, right: np.ndarray, trans: str) -> np.ndarray:
        from scipy.sparse.linalg import LinearOperator, gmres

        matrix = self.matrix.T if trans == "T" else self.matrix
        sizes, eps = abs(matrix), np.finfo(right.dtype).eps

        def enough(found: np.ndarray) -> float:
            """The residual that a solution may have: less could not be told from rounding."""
            noise = ROUNDING * eps * np.linalg.norm(sizes @ abs(found))
            return float(np.maximum(RESIDUAL * np.linalg.norm(right), noise))

        def product(right: np.ndarray) -> np.ndarray:
            return self.factors.solve(right, trans)

        near = product(right)
        stop = {"rtol": 0.0, "atol": enough(near), "restart": RESTART, "maxiter": CYCLES}
        if not np.isfinite(stop["atol"]):
            return np.full_like(right, np.nan)
        inverse = LinearOperator(matrix.shape, product, dtype=right.dtype)  # type: ignore[call-arg]
        found, _ = gmres(matrix, right, x0=near, M=inverse, **stop)
        # Not as SciPy says: all that it has been told of the solution's size is the first guess.
        converged = np.linalg.norm(right - matrix @ found) <= 2 * enough(found)
        return found if converged else np.full_like(right, np.nan)


def order_of_bandwidth(pattern: Pattern, values: np.ndarray) -> Order:
    """The order in which incomplete factors are close with few entries: all near the diagonal."""
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    # Values of its own, as entries that add up to zero with those across the diagonal are lost.
    columns = reverse_cuthill_mckee(pattern.matrix(np.ones_like(values)))
    return Order(pattern, columns, symmetric=True, factorize=_incomplete)


def _incomplete(matrix: Any, *, symmetric: bool) -> Preconditioned | None:
    from scipy.sparse.linalg import spilu

    try:
        factors = spilu(
            matrix,
            drop_tol=DROPPED,
            fill_factor=FILL_FACTOR,
            permc_spec="NATURAL",
            diag_pivot_thresh=DIAGONAL_PIVOT,
            options={"SymmetricMode": symmetric},
        )
    except RuntimeError:  # an exactly singular factor
        return None
    return Preconditioned(matrix, factors)
