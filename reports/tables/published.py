"""Published figures to compare with: measured by others, elsewhere, in other languages.

Only ratios and slopes can be compared with what is measured here, never times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SOURCE = (
    "Y. Ma, V. Dixit, M. Innes, X. Guo, C. Rackauckas, A comparison of automatic differentiation "
    "and continuous sensitivity analysis for derivatives of differential equation solutions, "
    "HPEC 2021, arXiv:1812.01892"
)
LATER_SOURCE = "SciMLBenchmarks.jl, BrussScaling, as stored in July 2026"

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

GAUSS, GMRES = "Gauss", "CVODES, GMRES"

#: The same measured again years later, and to 17 points, of :data:`LATER_SOURCE`.
LATER_SCALING: dict[str, dict[int, float]] = {
    FORWARD: {2: 0.00146, 5: 0.182, 10: 9.47, 15: 116.0},
    INTERPOLATING: {2: 0.00353, 5: 0.0476, 10: 0.806, 15: 4.18, 17: 6.78},
    QUADRATURE: {2: 0.00276, 5: 0.0196, 10: 0.193, 15: 1.12, 17: 1.78},
    GAUSS: {2: 0.00245, 5: 0.0201, 10: 0.249, 15: 1.33, 17: 2.50},
    "Gauss-Kronrod": {2: 0.00292, 5: 0.0235, 10: 0.266, 15: 1.43, 17: 2.33},
    "CVODES, dense": {2: 0.00184, 5: 0.0128, 10: 0.141, 15: 1.04, 17: 1.89},
    GMRES: {2: 0.00263, 5: 0.0111, 10: 0.0556, 15: 0.190, 17: 0.246},
    "CVODE, GMRES, with Gauss": {2: 0.0035, 5: 0.0134, 10: 0.0474, 15: 0.186, 17: 0.232},
    "FBDF, GMRES, with Gauss": {2: 0.0091, 5: 0.055, 10: 0.242, 15: 0.668, 17: 0.971},
}

#: Relative errors of dG/dp in the 2-norm that stand with them, where any do.
LATER_ERRORS: dict[str, dict[int, float]] = {
    GAUSS: {2: 3e-9, 5: 1.1e-5, 10: 2.8e-6, 15: 2.9e-6, 17: 3.9e-6},
    GMRES: {2: 1.1e-5, 5: 1.4e-4, 10: 8.9e-5, 15: 9.8e-5, 17: 1.1e-4},
    "CVODE, GMRES, with Gauss": {2: 1.9e-5, 5: 1.6e-5, 10: 3.1e-5, 15: 4.3e-5, 17: 7.3e-5},
    "FBDF, GMRES, with Gauss": {2: 2.4e-5, 5: 8e-4, 10: 4.8e-4, 15: 4.4e-4, 17: 4.2e-4},
}

#: By how much another stored run of theirs is faster in the same cells, at most.
LATER_SPREAD = 0.25

TRAINING_SOURCE = (
    "A. Pal, Y. Ma, V. Shah, C. Rackauckas, Opening the black box: accelerating neural "
    "differential equations by regularizing internal solver heuristics, ICML 2021, "
    "arXiv:2105.03918"
)

LOCAL_SOURCE = (
    "A. Pal, A. Edelman, C. Rackauckas, Locally regularized neural differential equations, "
    "ICML 2023, arXiv:2303.02262"
)


@dataclass(frozen=True)
class Trained:
    """One line of a published table of trainings: NaN where it tells nothing.

    Attributes
    ----------
    train, predict, evaluations : float
        Times in the table's own units, and evaluations of a solve.
    accuracy : float
        Of the test samples, in percent.
    loss : float
        The mean squared error of the spiral.
    """

    train: float
    predict: float
    evaluations: float
    accuracy: float = math.nan
    loss: float = math.nan

    def over(self, plain: Trained) -> dict[str, float]:
        """Ratios to training with nothing added, and points of accuracy, by columns of ours."""
        return {
            "train_seconds ratio": self.train / plain.train,
            "predict_seconds ratio": self.predict / plain.predict,
            "nfe ratio": self.evaluations / plain.evaluations,
            "points": self.accuracy - plain.accuracy,
            "test_loss ratio": self.loss / plain.loss,
        }


MNIST, PHYSIONET = "MNIST neural ODE", "latent ODE"
SPIRAL_SDE, MNIST_SDE = "spiral neural SDE", "MNIST neural SDE"

#: The experiments of :data:`TRAINING_SOURCE`, by our regularisers. Taylor's was trained with
#: another integrator. Of MNIST as a neural SDE no figures are known to us.
TRAININGS: dict[str, dict[str, Trained]] = {
    MNIST: {
        "none": Trained(0.98, 0.094, 253, 97.94),
        "error": Trained(0.82, 0.060, 177, 97.32),
        "stiffness": Trained(1.24, 0.094, 259, 98.08),
        "error+stiffness": Trained(1.37, 0.081, 221, 97.77),
        "taylor": Trained(1.19, 0.079, 80.3, 97.89),
        "steer": Trained(1.31, 0.092, 265, 97.94),
    },
    PHYSIONET: {
        "none": Trained(1.75, 0.53, 733),
        "error": Trained(0.94, 0.21, 287),
        "stiffness": Trained(0.87, 0.20, 273),
        "taylor": Trained(12.3, 0.22, 167),
    },
    SPIRAL_SDE: {
        "none": Trained(178.95, math.nan, 528.7, loss=0.0217),
        "error": Trained(173.43, math.nan, 502, loss=0.0227),
        "stiffness": Trained(166.42, math.nan, 502, loss=0.0204),
    },
    MNIST_SDE: {},
}

#: MNIST of :data:`LOCAL_SOURCE`, which has a table and so a training with nothing of its own.
LOCAL: dict[str, Trained] = {
    "none": Trained(0.54, 0.088, 303.6),
    "local": Trained(0.49, 0.046, 188.0),
    "local-biased": Trained(1.12, 0.044, 182.8),
}

#: Which experiment a task of ours makes again, or stands in for.
EXPERIMENTS = {
    "mnist-published-float64": MNIST,
    "mnist": MNIST,
    "mnist-published": MNIST,
    "digits-float64": MNIST,
    "digits": MNIST,
    "latent_ode-physionet": PHYSIONET,
    "latent_ode": PHYSIONET,
    "spiral_sde": SPIRAL_SDE,
    "mnist_sde": MNIST_SDE,
}


def published_training(task: str, regularizer: str) -> dict[str, float]:
    """Published ratios beside those of a task and a regulariser of ours; none where there are none.

    What stands behind a name, as a tolerance or coefficients, does not matter.
    """
    experiment, name = EXPERIMENTS.get(task.split(" ")[0], ""), regularizer.split(" ")[0]
    for table in (TRAININGS.get(experiment, {}), LOCAL if experiment == MNIST else {}):
        if name in table:
            return table[name].over(table["none"])
    return {}
