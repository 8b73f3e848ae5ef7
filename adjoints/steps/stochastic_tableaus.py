"""Coefficients of Roessler's stochastic Runge-Kutta methods, for Ito equations.

Of ``dy = f(t, y) dt + g(t, y) dW``, with one Brownian motion a component, a step takes the stages

    H0_i = y + h sum_j a0_ij f_j + chi2 sum_j b0_ij g_j,    f_i = f(t + c0_i h, H0_i)
    H1_i = y + h sum_j a1_ij f_j + sqrt(h) sum_j b1_ij g_j, g_i = g(t + c1_i h, H1_i)

    y1 = y + h sum_i alpha_i f_i
           + sum_i (beta1_i dW + beta2_i chi1 + beta3_i chi2 + beta4_i chi3) g_i

with ``chi1 = I_(1,1) / sqrt(h)``, ``chi2 = I_(1,0) / h`` and ``chi3 = I_(1,1,1) / h``.

References
----------
A. Roessler, "Runge-Kutta methods for the strong approximation of solutions of stochastic
differential equations", SIAM J. Numer. Anal. 48 (2010) 922-952: the classes SRI and SRA.
C. Rackauckas, Q. Nie, "Adaptive methods for stochastic differential equations via natural
embeddings and rejection sampling with memory", Discrete Contin. Dyn. Syst. B 22 (2017) 2731-2761.
C. Rackauckas, Q. Nie, "Stability-optimized high order methods and stiffness detection for
pathwise stiff stochastic differential equations", arXiv:1804.04344 (2018): SOSRI2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .tableau import lower


@dataclass(frozen=True, eq=False)
class StochasticTableau:
    """A stochastic Runge-Kutta method with the natural embedding of strong order 1.

    Attributes
    ----------
    name, order : str, float
        Its name, and its strong order where component i of the diffusion depends on component i
        of the state alone.
    c0, a0, b0 : ndarray
        Of the stages of the drift.
    c1, a1, b1 : ndarray
        Of the stages of the diffusion.
    alpha, beta1, beta2, beta3, beta4 : ndarray
    additive : bool
        Whether the diffusion may depend on time alone.
    source : str
    stiffness_stages : pair of int, or None
        Two stages of the drift at the same time, whose difference estimates the stiffness.
    """

    name: str
    order: float
    c0: np.ndarray
    a0: np.ndarray
    b0: np.ndarray
    c1: np.ndarray
    a1: np.ndarray
    b1: np.ndarray
    alpha: np.ndarray
    beta1: np.ndarray
    beta2: np.ndarray
    beta3: np.ndarray
    beta4: np.ndarray
    additive: bool
    source: str
    stiffness_stages: tuple[int, int] | None = None

    @property
    def stages(self) -> int:
        """Stages, as far as one of them is used."""
        return len(self.c0)

    @property
    def error_order(self) -> float:
        """The embedded error shrinks as ``h**(error_order + 1)``."""
        return 0.5

    @property
    def error_drift(self) -> np.ndarray:
        """Weights of the drift in the embedded error: the difference from Euler's drift."""
        euler = np.zeros(self.stages)
        euler[0] = 1.0
        return self.alpha - euler

    @property
    def drift_stages(self) -> tuple[int, ...]:
        """The stages of the drift that are evaluated."""
        later = np.abs(self.a0).sum(0) + np.abs(self.a1).sum(0)
        return _used(self.alpha, later)

    @property
    def diffusion_stages(self) -> tuple[int, ...]:
        """The stages of the diffusion that are evaluated."""
        later = np.abs(self.b0).sum(0) + np.abs(self.b1).sum(0)
        return _used(self.beta1, self.beta2, self.beta3, self.beta4, later)


def _used(*weights: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.flatnonzero(sum(np.abs(w) for w in weights)))


# Roessler's a1_43 = 1/4 weighs f_3 = f(t, y), which is f_1: a1_41 in its place saves f_3.
SRIW1 = StochasticTableau(
    name="sriw1",
    order=1.5,
    c0=np.array([0, 3 / 4, 0, 0]),
    a0=lower([[0], [3 / 4], [0], [0]]),
    b0=lower([[0], [3 / 2], [0], [0]]),
    c1=np.array([0, 1 / 4, 1, 1 / 4]),
    a1=lower([[0], [1 / 4], [1], [1 / 4]]),
    b1=lower([[0], [1 / 2], [-1], [-5, 3, 1 / 2]]),
    alpha=np.array([1 / 3, 2 / 3, 0, 0]),
    beta1=np.array([-1, 4 / 3, 2 / 3, 0]),
    beta2=np.array([-1, 4 / 3, -1 / 3, 0]),
    beta3=np.array([2, -4 / 3, -2 / 3, 0]),
    beta4=np.array([-2, 5 / 3, -2 / 3, 1]),
    additive=False,
    source="Roessler 2010",
)

SRA1 = StochasticTableau(
    name="sra1",
    order=1.5,
    c0=np.array([0, 3 / 4]),
    a0=lower([[0], [3 / 4]]),
    b0=lower([[0], [3 / 2]]),
    c1=np.array([1.0, 0]),
    a1=np.zeros((2, 2)),
    b1=np.zeros((2, 2)),
    alpha=np.array([1 / 3, 2 / 3]),
    beta1=np.array([1.0, 0]),
    beta2=np.zeros(2),
    beta3=np.array([-1.0, 1]),
    beta4=np.zeros(2),
    additive=True,
    source="Roessler 2010",
)

SOSRI2 = StochasticTableau(
    name="sosri2",
    order=1.5,
    c0=np.array([0, 0.13804532298278663, 1, 1]),
    a0=lower(
        [
            [0],
            [0.13804532298278663],
            [0.5818361298250374, 0.4181638701749618],
            [0.4670018408674211, 0.8046204792187386, -0.27162232008616016],
        ]
    ),
    b0=lower(
        [
            [0],
            [0.08852381537667678],
            [1.0317752458971061, 0.4563552922077882],
            [1.73078280444124, -0.46089678470929774, -0.9637509618944188],
        ]
    ),
    c1=np.array([0, 0.45605532163856893, 1, 1]),
    a1=lower(
        [
            [0],
            [0.45605532163856893],
            [0.7555807846451692, 0.24441921535482677],
            [0.6981181143266059, 0.3453277086024727, -0.04344582292908241],
        ]
    ),
    b1=lower(
        [
            [0],
            [0.6753186815412179],
            [-0.07452812525785148, -0.49783736486149366],
            [-0.5591906709928903, 0.022696571806569924, -0.8984927888368557],
        ]
    ),
    alpha=np.array(
        [-0.15036858140642623, 0.7545275856696072, 0.686995463807979, -0.2911544680711602]
    ),
    beta1=np.array(
        [-0.45315689727309133, 0.8330937231303951, 0.3792843195533544, 0.24077885458934192]
    ),
    beta2=np.array(
        [-0.4994383733810986, 0.9181786186154077, -0.25613778661003145, -0.16260245862427797]
    ),
    beta3=np.array(
        [1.4531568972730915, -0.8330937231303933, -0.3792843195533583, -0.24077885458934023]
    ),
    beta4=np.array(
        [-0.4976090683622265, 0.9148155835648892, -1.4102107084476505, 0.9930041932449877]
    ),
    additive=False,
    source="Rackauckas, Nie 2018",
    stiffness_stages=(3, 2),
)

STOCHASTIC_TABLEAUS = {tableau.name: tableau for tableau in (SRIW1, SRA1, SOSRI2)}
