"""Coefficients of diagonally implicit Runge-Kutta methods, with their sources.

They solve ``k_i = f(t + c_i h, y + h sum_(j<=i) a_ij k_j)`` by Newton's method, stage by stage; the
first stage is explicit. Shared by every backend.
"""

from __future__ import annotations

import numpy as np

from .tableau import Tableau, lower

_KVAERNO5_GAMMA = 0.26
_KVAERNO5_EMBEDDED = [
    0.13855640231268224,
    0.0,
    -0.04245337201752043,
    0.02446657898003141,
    0.61943039072480676,
    _KVAERNO5_GAMMA,
    0.0,
]
_KVAERNO5_B = [
    0.13659751177640291,
    0.0,
    -0.05496908796538376,
    -0.04118626728321046,
    0.62993304899016403,
    0.06962479448202728,
    _KVAERNO5_GAMMA,
]
_KVAERNO5_A = lower(
    [
        [],
        [_KVAERNO5_GAMMA, _KVAERNO5_GAMMA],
        [0.13, 0.84033320996790809, _KVAERNO5_GAMMA],
        [0.22371961478320505, 0.47675532319799699, -0.06470895363112615, _KVAERNO5_GAMMA],
        [
            0.16648564323248321,
            0.10450018841591720,
            0.03631482272098715,
            -0.13090704451073998,
            _KVAERNO5_GAMMA,
        ],
        _KVAERNO5_EMBEDDED[:6],
        _KVAERNO5_B,
    ]
)


def _kvaerno5() -> Tableau:
    a, weights = _KVAERNO5_A, np.array(_KVAERNO5_B)
    return Tableau(
        name="kvaerno5",
        order=5,
        error_order=4,
        c=a.sum(axis=1),
        a=a,
        steps=7,
        error=weights - np.array(_KVAERNO5_EMBEDDED),
        dense=continuous_extension(a, weights),
        stiffness_stages=(5, 6),
        source="A. Kvaerno, BIT Numer. Math. 44 (2004) 489-502",
        kind="dirk",
        weights=weights,
        gamma=_KVAERNO5_GAMMA,
    )


def continuous_extension(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Dense output of order 4 for a method of stage order 2 whose first and last are slopes.

    The weights ``b_i(x)``, polynomials of degree 4, fulfil the order conditions

        sum b_i c_i^(q-1) = x^q / q  (q = 1 ... 4),    sum b_i a_ij c_j^2 = x^4 / 12

    (the other condition of order 4 follows from stage order 2), agree with the step at ``x = 1``,
    and have the slopes of the solution at both ends; of all such weights, the smallest.

    References
    ----------
    E. Hairer, S. P. Norsett, G. Wanner, Solving ODEs I, 2nd ed. (1993), II.6.
    """
    stages, degree = len(b), 4
    c = a.sum(axis=1)
    conditions = [(c**q, q, 1.0 / (q + 1)) for q in range(degree)] + [(a @ c**2, 3, 1.0 / 12.0)]
    unit = np.eye(degree)
    rows, values = [], []
    for weight, power, total in conditions:
        for m in range(degree):
            rows.append(np.kron(weight, unit[m]))
            values.append(total if m == power else 0.0)
    slopes = np.arange(1.0, degree + 1)
    for i in range(stages):
        here = np.eye(stages)[i]
        rows += [np.kron(here, np.ones(degree)), np.kron(here, unit[0]), np.kron(here, slopes)]
        values += [b[i], float(i == 0), float(i == stages - 1)]
    solution = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    return solution.reshape(stages, degree)


def _implicit_midpoint() -> Tableau:
    # Cubic Hermite interpolation between the two ends of the step.
    b = np.array([0.0, 1.0, 0.0])
    dense = b[:, None] * np.array([0.0, 3.0, -2.0])
    dense[0] += [1.0, -2.0, 1.0]
    dense[2] += [0.0, -1.0, 1.0]
    return Tableau(
        name="implicit_midpoint",
        order=2,
        error_order=0,
        c=np.array([0.0, 0.5, 1.0]),
        a=lower([[], [0.0, 0.5], [0.0, 1.0]]),
        steps=2,
        error=None,
        dense=dense,
        stiffness_stages=None,
        source="E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration (2006), II.1",
        kind="dirk",
        gamma=0.5,
    )


DIAGONALLY_IMPLICIT = {"kvaerno5": _kvaerno5, "implicit_midpoint": _implicit_midpoint}
