"""Which linear solver of CasADi serves CVODES best on a problem, and in which order of the states.

Of the direct solvers that CasADi 3.8.2 brings, ``qr``, its default, orders by itself, ``csparse``
takes the states in the order given and ``tridiag`` only tridiagonal matrices. Milliseconds a
factorisation of the Newton matrix, Brusselator and Fisher-KPP with n points a side:

================  ====  =======  ==========  =====
problem           qr    csparse  csparse,    mumps
                                 by AMD
================  ====  =======  ==========  =====
Brusselator 5     0.02  0.03     0.01        0.04
Brusselator 10    0.36  1.1      0.13        0.15
Brusselator 15    1.8   10       0.55        0.51
Brusselator 32    34    --       8.6         2.9
Fisher-KPP 12     0.02  0.04     0.02        0.07
Fisher-KPP 48     2.2   --       1.3         2.3
================  ====  =======  ==========  =====

Burgers with 1000 points takes 0.001 ms by ``tridiag``, 0.02 by ``qr``. MUMPS, the best of all where
factors are full, writes lines to the console that no option prevents, and so is not taken unasked:
``solver="cvodes-mumps"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import casadi as ca
import numpy as np

#: Operations of a QR factorisation, a state, from which on an LU factorisation is faster.
LU_FROM = 500
#: States from which on ``tridiag``, which does not pivot, is faster in the whole.
TRIDIAGONAL_FROM = 100


class LinearSystem(NamedTuple):
    """A linear solver by its name in CasADi, and the states in the order in which it gets them."""

    solver: str
    order: Sequence[int]


def linear_system(rhs: ca.Function) -> LinearSystem:
    """The best for the equations ``rhs(t, y, theta)``, by the pattern of their Jacobian."""
    pattern = rhs.jac_sparsity(0, 1) + ca.Sparsity.diag(rhs.size1_in(1))
    natural = range(pattern.size1())
    tridiagonal = max(pattern.bw_lower(), pattern.bw_upper()) <= 1
    if tridiagonal and len(natural) >= TRIDIAGONAL_FROM:
        return LinearSystem("tridiag", natural)
    if _qr_operations(pattern) < LU_FROM * len(natural):
        return LinearSystem("qr", natural)
    return LinearSystem("csparse", (pattern + pattern.T).amd())


def _qr_operations(pattern: ca.Sparsity) -> float:
    """Multiplications and additions of a sparse QR factorisation by Householder vectors."""
    vectors, triangle, *_ = pattern.qr_sparse()
    below = np.diff(vectors.colind())[: pattern.size2()]
    beside = np.diff(triangle.T.colind())[: pattern.size2()]
    return 4.0 * float(below.astype(np.float64) @ beside)
