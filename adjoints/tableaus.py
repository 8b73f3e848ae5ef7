"""Runge-Kutta coefficients, with their sources; shared by every backend.

A step from ``(t, y)`` over ``h`` evaluates the stages

    k_i = f(t + c_i h, y + h sum_j a_ij k_j)

of which the first ``steps`` make the new state ``y1 = y + h sum_i b_i k_i``. The next stage is
``f(t + h, y1)``, the first stage of the following step. Stages after that serve dense output
only, ``y(t + x h) = y + h sum_i k_i sum_m dense[i, m] x^(m+1)``. Implicit methods, whose stages
are defined otherwise and combined in the same way, are in
:mod:`~adjointbench.adjoints.implicit_tableaus`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from .methods import check_name


@dataclass(frozen=True, eq=False)
class Tableau:
    """A one-step method with embedded error and dense output.

    Attributes
    ----------
    name, order : str, int
        Its name, and the order of the solution that is carried on.
    error_order : int
        Order of the embedded solution; the error estimate shrinks as ``h**(error_order+1)``.
    c : ndarray, shape (stages,)
    a : ndarray, shape (stages, stages)
        Strictly lower triangular; with a diagonal for a diagonally implicit method.
    steps : int
        Stages that make the new state; stage number ``steps`` is ``f(t + h, y1)``.
    error : ndarray, shape (stages,), or None
        Weights of the error estimate; ``None`` for a fixed-step method.
    error_low : ndarray or None
        Weights of a second estimate that damps the first (DOP853).
    dense : ndarray, shape (stages, degree)
        Dense output in powers of the fraction of the step.
    stiffness_stages : pair of int, or None
        Two stages at the same time, whose difference estimates the stiffness (Shampine 1977);
        of an implicit method the first, the second being the new state.
    source : str
    kind : {"explicit", "rosenbrock", "dirk", "auto"}
        How the stages are defined.
    weights : ndarray or None
        Weights of the new state where they are not the row ``a[steps]``.
    gamma : float
        The coefficient of the Jacobian in the matrix of an implicit step.
    coupling, time_weights : ndarray or None
        Of a Rosenbrock method: how earlier stages and the time derivative enter a stage.
    """

    name: str
    order: int
    error_order: int
    c: np.ndarray
    a: np.ndarray
    steps: int
    error: np.ndarray | None
    dense: np.ndarray
    source: str
    error_low: np.ndarray | None = None
    stiffness_stages: tuple[int, int] | None = None
    kind: str = "explicit"
    weights: np.ndarray | None = None
    gamma: float = 0.0
    coupling: np.ndarray | None = None
    time_weights: np.ndarray | None = None

    @property
    def b(self) -> np.ndarray:
        """Weights of the new state: by default the row of the stage ``f(t + h, y1)``."""
        return self.a[self.steps] if self.weights is None else self.weights

    @property
    def implicit(self) -> bool:
        """Whether a step solves linear systems."""
        return self.kind != "explicit"

    @property
    def stiffly_accurate(self) -> bool:
        """Whether the last stage of a diagonally implicit method is taken at the new state."""
        return self.kind == "dirk" and np.array_equal(self.b[: self.steps], self.a[self.steps - 1])

    @property
    def stages(self) -> int:
        """Stages in all, those for dense output included."""
        return len(self.c)

    @property
    def adaptive(self) -> bool:
        """Whether it has an error estimate."""
        return self.error is not None


@cache
def tableau(name: str) -> Tableau:
    """The coefficients of the method called `name`; ``ValueError`` for an unknown name."""
    from .implicit_tableaus import IMPLICIT

    makers = {
        "tsit5": _tsit5,
        "dopri5": _dopri5,
        "dop853": _dop853,
        "rk4": _rk4,
        "euler": _euler,
        **IMPLICIT,
    }
    check_name("solver", name, tuple(makers))
    return makers[name]()


def lower(rows: list[list[float]]) -> np.ndarray:
    """A square array from the rows of a lower triangle."""
    square = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        square[i, : len(row)] = row
    return square


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
