"""Coefficients of explicit Runge-Kutta methods, with their sources; shared by every backend."""

from __future__ import annotations

import numpy as np

from .tableau import Tableau, lower


def _tsit5() -> Tableau:
    b = [
        0.09646076681806523,
        0.01,
        0.4798896504144996,
        1.379008574103742,
        -3.290069515436081,
        2.324710524099774,
    ]
    a = lower(
        [
            [],
            [0.161],
            [-0.008480655492356989, 0.335480655492357],
            [2.8971530571054935, -6.359448489975075, 4.3622954328695815],
            [5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525],
            [
                5.86145544294642,
                -12.92096931784711,
                8.159367898576159,
                -0.071584973281401,
                -0.028269050394068383,
            ],
            b,
        ]
    )
    dense = np.array(
        [
            [1.0, -2.763706197274826, 2.9132554618219126, -1.0530884977290216],
            [0.0, 0.13169999999999998, -0.2234, 0.1017],
            [0.0, 3.9302962368947516, -5.941033872131505, 2.490627285651253],
            [0.0, -12.411077166933676, 30.33818863028232, -16.548102889244902],
            [0.0, 37.50931341651104, -88.1789048947664, 47.37952196281928],
            [0.0, -27.896526289197286, 65.09189467479366, -34.87065786149661],
            [0.0, 1.5, -4.0, 2.5],
        ]
    )
    error = np.array(
        [
            -0.00178001105222577714,
            -0.0008164344596567469,
            0.007880878010261995,
            -0.1447110071732629,
            0.5823571654525552,
            -0.45808210592918697,
            0.015151515151515152,
        ]
    )
    return Tableau(
        name="tsit5",
        order=5,
        error_order=4,
        c=np.array([0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0]),
        a=a,
        steps=6,
        error=error,
        dense=dense,
        stiffness_stages=(5, 6),
        source="Ch. Tsitouras, Comput. Math. Appl. 62 (2011) 770-775",
    )


def _dopri5() -> Tableau:
    b = [35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84]
    a = lower(
        [
            [],
            [1 / 5],
            [3 / 40, 9 / 40],
            [44 / 45, -56 / 15, 32 / 9],
            [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
            [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
            b,
        ]
    )
    error = np.array([71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])
    # Shampine's quartic through the free mid-point (Math. Comp. 46 (1986) 135-150).
    dense = np.array(
        [
            [
                1.0,
                -8048581381 / 2820520608,
                8663915743 / 2820520608,
                -12715105075 / 11282082432,
            ],
            [0.0, 0.0, 0.0, 0.0],
            [
                0.0,
                131558114200 / 32700410799,
                -68118460800 / 10900136933,
                87487479700 / 32700410799,
            ],
            [
                0.0,
                -1754552775 / 470086768,
                14199869525 / 1410260304,
                -10690763975 / 1880347072,
            ],
            [
                0.0,
                127303824393 / 49829197408,
                -318862633887 / 49829197408,
                701980252875 / 199316789632,
            ],
            [0.0, -282668133 / 205662961, 2019193451 / 616988883, -1453857185 / 822651844],
            [0.0, 40617522 / 29380423, -110615467 / 29380423, 69997945 / 29380423],
        ]
    )
    return Tableau(
        name="dopri5",
        order=5,
        error_order=4,
        c=np.array([0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0]),
        a=a,
        steps=6,
        error=error,
        dense=dense,
        stiffness_stages=(5, 6),
        source="J. R. Dormand, P. J. Prince, J. Comput. Appl. Math. 6 (1980) 19-26",
    )


def _dop853() -> Tableau:
    """Order 8 with estimates of orders 5 and 3 and dense output of order 7, from SciPy."""
    from scipy.integrate import DOP853

    stages, steps = 16, 12
    a = np.zeros((stages, stages))
    a[:steps, :steps] = DOP853.A
    a[steps, :steps] = DOP853.B
    a[steps + 1 :, :] = DOP853.A_EXTRA
    error, error_low = np.zeros(stages), np.zeros(stages)
    error[: steps + 1], error_low[: steps + 1] = DOP853.E5, DOP853.E3
    return Tableau(
        name="dop853",
        order=8,
        error_order=7,
        c=np.concatenate([DOP853.C[:steps], [1.0], DOP853.C_EXTRA]),
        a=a,
        steps=steps,
        error=error,
        error_low=error_low,
        dense=_dop853_dense(a[steps], DOP853.D),
        stiffness_stages=(11, 12),
        source="E. Hairer, S. P. Norsett, G. Wanner, Solving ODEs I, 2nd ed. (1993), II.10",
    )


def _dop853_dense(b: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Hairer's nested form ``x (F0 + (1-x) (F1 + x (F2 + ...)))`` in powers of ``x``."""
    first, last = np.eye(len(b))[0], np.eye(len(b))[12]
    nested = [b, first - b, 2 * b - (first + last), *d]
    x, one_minus_x = np.polynomial.Polynomial([0, 1]), np.polynomial.Polynomial([1, -1])
    powers = np.zeros((len(b), 7))
    basis = np.polynomial.Polynomial([1])
    for i, weights in enumerate(nested):
        basis = basis * (x if i % 2 == 0 else one_minus_x)
        powers[:, : len(basis.coef) - 1] += weights[:, None] * np.asarray(basis.coef[1:])
    return powers


def _rk4() -> Tableau:
    b = np.array([1 / 6, 1 / 3, 1 / 3, 1 / 6, 0.0])
    a = lower([[], [0.5], [0.0, 0.5], [0.0, 0.0, 1.0], list(b[:4])])
    # Cubic Hermite interpolation between the two ends of the step.
    dense = b[:, None] * np.array([0.0, 3.0, -2.0])
    dense[0] += [1.0, -2.0, 1.0]
    dense[4] += [0.0, -1.0, 1.0]
    return Tableau(
        name="rk4",
        order=4,
        error_order=0,
        c=np.array([0.0, 0.5, 0.5, 1.0, 1.0]),
        a=a,
        steps=4,
        error=None,
        dense=dense,
        stiffness_stages=(1, 2),
        source="W. Kutta, Z. Math. Phys. 46 (1901) 435-453",
    )


def _euler() -> Tableau:
    return Tableau(
        name="euler",
        order=1,
        error_order=0,
        c=np.array([0.0, 1.0]),
        a=lower([[], [1.0]]),
        steps=1,
        error=None,
        dense=np.array([[1.0], [0.0]]),
        source="L. Euler, Institutiones calculi integralis I (1768)",
    )


EXPLICIT = {
    "tsit5": _tsit5,
    "dopri5": _dopri5,
    "dop853": _dop853,
    "rk4": _rk4,
    "euler": _euler,
}
