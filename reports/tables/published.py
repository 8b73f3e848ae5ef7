"""Published figures to compare with: measured by others, elsewhere, in other languages.

Only ratios and slopes can be compared with what is measured here, never times.
"""

from __future__ import annotations

SOURCE = (
    "Y. Ma, V. Dixit, M. Innes, X. Guo, C. Rackauckas, A comparison of automatic differentiation "
    "and continuous sensitivity analysis for derivatives of differential equation solutions, "
    "HPEC 2021, arXiv:1812.01892"
)
LATER_SOURCE = "SciMLBenchmarks.jl, Brusselator, August 2026"

FORWARD, TAPE = "forward-mode AD", "tape reverse AD"
INTERPOLATING, QUADRATURE = "interpolating", "quadrature"
BACKSOLVE, DIFFERENCES = "backsolve", "finite differences"

#: The problems of the published table, by their names here.
TABLE_PROBLEMS = ("lotka_volterra", "brusselator", "pollu", "pkpd")

#: Seconds a gradient at abstol 1e-5, reltol 1e-7, on :data:`TABLE_PROBLEMS`; words where there
#: was none. Lotka-Volterra, Brusselator with N = 5, POLLU, PKPD, of :data:`SOURCE`.
TABLE: dict[str, tuple[float | str, ...]] = {
    FORWARD: (2.79e-4, 1.80, 0.0102, 0.00581),
    TAPE: (5.67e-3, 19.1, 0.194, 0.133),
    INTERPOLATING: (5.17e-4, 1.59, 2.12, 0.00213),
    QUADRATURE: (7.07e-4, 0.461, 1.30, 0.00294),
    BACKSOLVE: (7.60e-4, "unstable", "unstable", "–"),
    DIFFERENCES: (8.11e-4, 2.48, 0.0445, 0.0208),
}

#: Seconds a gradient of the Brusselator to t = 1 by the points along a side, of :data:`SOURCE`;
#: interpolating and quadrature with vector-Jacobian products.
SCALING: dict[str, dict[int, float]] = {
    FORWARD: {2: 0.0015, 3: 0.0165, 5: 0.506, 10: 84.0, 15: 2342.0},
    TAPE: {2: 0.090, 3: 0.396, 5: 5.24, 10: 2854.0},
    INTERPOLATING: {2: 0.0044, 3: 0.0222, 5: 0.164, 10: 1.46, 15: 7.60},
    QUADRATURE: {2: 0.0024, 3: 0.0123, 5: 0.0500, 10: 0.448, 15: 2.01},
}

#: The same measured again years later with 15 points, of :data:`LATER_SOURCE`.
LATER_SCALING: dict[str, dict[int, float]] = {
    FORWARD: {15: 116.0},
    INTERPOLATING: {15: 4.18},
    QUADRATURE: {15: 1.12},
    "Gauss": {15: 1.33},
    "CVODES, GMRES": {15: 0.190},
}

TRAINING_SOURCE = (
    "A. Pal, Y. Ma, V. Shah, C. Rackauckas, Opening the black box: accelerating neural "
    "differential equations by regularizing internal solver heuristics, ICML 2021, "
    "arXiv:2105.03918"
)

#: MNIST, ratios to training with nothing added, of :data:`TRAINING_SOURCE`: train time, predict
#: time, evaluations, and points of test accuracy. Taylor's was trained with another integrator.
TRAINING: dict[str, tuple[float, float, float, float]] = {
    "error": (0.84, 0.64, 0.70, -0.62),
    "stiffness": (1.27, 1.00, 1.02, 0.14),
    "error+stiffness": (1.40, 0.86, 0.87, -0.17),
    "taylor": (1.21, 0.84, 0.32, -0.05),
    "steer": (1.34, 0.98, 1.05, 0.0),
}

LOCAL_SOURCE = (
    "A. Pal, A. Edelman, C. Rackauckas, Locally regularized neural differential equations, "
    "ICML 2023, arXiv:2303.02262"
)

#: The same of :data:`LOCAL_SOURCE`, without accuracies.
LOCAL_TRAINING: dict[str, tuple[float, float, float]] = {
    "local": (0.91, 0.52, 0.62),
    "local, biased": (2.07, 0.50, 0.60),
}
