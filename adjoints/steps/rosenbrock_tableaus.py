"""Coefficients of Rosenbrock methods, with their sources; shared by every backend.

They solve one linear system a stage, all with the same matrix. With ``J`` the Jacobian and ``f_t``
the time derivative at ``(t, y)``,

    (I / gamma - h J) U_i = f(t + c_i h, y + h sum_j a_ij U_j) + sum_j coupling_ij U_j
                            + h time_weights_i f_t

(Hairer, Wanner, Solving ODEs II, 2nd ed. (1996), IV.7, there with ``u_i = h U_i``); new state,
error and dense output combine the ``U_i`` as an explicit method combines its ``k_i``.
"""

from __future__ import annotations

import numpy as np

from .tableau import Tableau, lower

_RODAS5P_GAMMA = 0.21193756319429014
# The rows of the last three stages repeat this one, as the method is stiffly accurate.
_RODAS5P_LAST = [
    -7.502846399306121,
    2.561846144803919,
    -11.627539656261098,
    -0.18268767659942256,
    0.030198172008377946,
]
_RODAS5P_A = [
    [],
    [3.0],
    [2.849394379747939, 0.45842242204463923],
    [-6.954028509809101, 2.489845061869568, -10.358996098473584],
    [2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641],
    _RODAS5P_LAST,
    [*_RODAS5P_LAST, 1.0],
    [*_RODAS5P_LAST, 1.0, 1.0],
]
_RODAS5P_COUPLING = [
    [],
    [-14.155112264123755],
    [-17.97296035885952, -2.859693295451294],
    [147.12150275711716, -1.41221402718213, 71.68940251302358],
    [165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306],
    [
        24.854864614690072,
        -3.0009227002832186,
        47.4931110020768,
        5.5814197821558125,
        -0.6610691825249471,
    ],
    [
        30.91273214028599,
        -3.1208243349937974,
        77.79954646070892,
        34.28646028294783,
        -19.097331116725623,
        -28.087943162872662,
    ],
    [
        37.80277123390563,
        -3.2571969029072276,
        112.26918849496327,
        66.9347231244047,
        -40.06618937091002,
        -54.66780262877968,
        -9.48861652309627,
    ],
]
_RODAS5P_INNER = [
    [
        25.948786856663858,
        -2.5579724845846235,
        10.433815404888879,
        -2.3679251022685204,
        0.524948541321073,
        1.1241088310450404,
        0.4272876194431874,
        -0.17202221070155493,
    ],
    [
        -9.91568850695171,
        -0.9689944594115154,
        3.0438037242978453,
        -24.495224566215796,
        20.176138334709044,
        15.98066361424651,
        -6.789040303419874,
        -6.710236069923372,
    ],
    [
        11.419903575922262,
        2.8879645146136994,
        72.92137995996029,
        80.12511834622643,
        -52.072871366152654,
        -59.78993625266729,
        -0.15582684282751913,
        4.883087185713722,
    ],
]


def _rodas5p() -> Tableau:
    return _rosenbrock(
        "rodas5p",
        order=5,
        gamma=_RODAS5P_GAMMA,
        c=[0.0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716, 0.4288403609558664],
        a=_RODAS5P_A,
        coupling=_RODAS5P_COUPLING,
        time_weights=[
            _RODAS5P_GAMMA,
            -0.42387512638858027,
            -0.3384627126235924,
            1.8046452872882734,
            2.325825639765069,
        ],
        inner=_RODAS5P_INNER,
        source="G. Steinebach, BIT Numer. Math. 63 (2023) 27 (Rodas5P)",
    )


_RODAS4P_LAST = [-7.170454962423024, -4.741636671481785, -16.31002631330971, -1.062004044111401]
_RODAS4P_A = [
    [],
    [3.0],
    [1.831036793486759, 0.4955183967433795],
    [2.304376582692669, -0.05249275245743001, -1.176798761832782],
    _RODAS4P_LAST,
    [*_RODAS4P_LAST, 1.0],
]
_RODAS4P_COUPLING = [
    [],
    [-12.0],
    [-8.791795173947035, -2.207865586973518],
    [10.81793056857153, 6.780270611428266, 19.53485944642410],
    [34.19095006749676, 15.49671153725963, 54.74760875964130, 14.16005392148534],
    [
        34.62605830930532,
        15.30084976114473,
        56.99955578662667,
        18.40807009793095,
        -5.714285714285717,
    ],
]
_RODAS4P_INNER = [
    [25.09876703708589, 11.62013104361867, 28.49148307714626, -5.664021568594133, 0.0, 0.0],
    [
        1.638054557396973,
        -0.7373619806678748,
        8.477918219238990,
        15.99253148779520,
        -1.882352941176471,
        0.0,
    ],
]


def _rodas4p() -> Tableau:
    return _rosenbrock(
        "rodas4p",
        order=4,
        gamma=0.25,
        c=[0.0, 0.75, 0.21, 0.63],
        a=_RODAS4P_A,
        coupling=_RODAS4P_COUPLING,
        time_weights=[0.25, -0.5, -0.0235040, -0.0362],
        inner=_RODAS4P_INNER,
        source="G. Steinebach, preprint 1741, TH Darmstadt (1995) (Rodas4P)",
    )


def _rosenbrock(
    name: str,
    *,
    order: int,
    gamma: float,
    c: list[float],
    a: list[list[float]],
    coupling: list[list[float]],
    time_weights: list[float],
    inner: list[list[float]],
    source: str,
) -> Tableau:
    """A stiffly accurate Rosenbrock method whose last stage is its error estimate."""
    stages = len(a)
    weights = np.array([*a[-1], 1.0])
    error = np.eye(stages)[-1]
    return Tableau(
        name=name,
        order=order,
        error_order=order - 1,
        c=np.array([*c, *[1.0] * (stages - len(c))]),
        a=lower(a),
        steps=stages,
        error=error,
        # The first stage at the end of the step is far enough from the new state.
        stiffness_stages=(len(c), stages),
        dense=_rosenbrock_dense(weights, np.array(inner)),
        source=source,
        kind="rosenbrock",
        weights=weights,
        gamma=gamma,
        coupling=lower(coupling),
        time_weights=np.array([*time_weights, *[0.0] * (stages - len(time_weights))]),
    )


def _rosenbrock_dense(weights: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The form ``(1-x) y + x (y1 + (1-x) (D_1 + x (D_2 + ...)))`` in powers of ``x``."""
    bubble = np.polynomial.Polynomial([0.0, 1.0, -1.0])
    powers = np.zeros((len(weights), len(inner) + 1))
    powers[:, 0] = weights
    for i, row in enumerate(inner):
        term = bubble * np.polynomial.Polynomial([*[0.0] * i, 1.0])
        powers[:, : len(term.coef) - 1] += row[:, None] * term.coef[1:]
    return powers


ROSENBROCK = {"rodas5p": _rodas5p, "rodas4p": _rodas4p}
