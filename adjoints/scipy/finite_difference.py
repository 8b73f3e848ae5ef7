"""Central differences of the whole adaptive solve: the baseline that needs no derivative.

The step follows from the noise. An adaptive solve is not a smooth function of its parameters:
its steps change, and with them its error. The two solves of a difference share most of their
steps, so that what remains is about a thousandth of ``rtol`` (tried on LSODA, the noisiest of
these solvers; the one-step methods have less). A central difference with relative step ``h`` then
has an error of order ``h**2 + 1e-3 rtol / h``, smallest near ``h = (1e-3 rtol) ** (1/3)``, which
becomes the classical ``eps ** (1/3)`` at the tightest tolerances [1]_. It is scaled by the size
of the parameter or start value, as :meth:`~.perturbed_solves.PerturbedLoss.sizes` tells.

References
----------
.. [1] P. E. Gill, W. Murray, M. H. Wright, "Practical Optimization", Academic Press 1981,
   section 8.6.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...problems import Problem
from ..program import Settings
from .flat import BoundSystem, pack
from .perturbed_solves import PerturbedLoss
from .program import ScipyProgram
from .segments import TimeFunction
from .trajectory import Trajectory

#: Noise of the difference of two solves, in units of ``rtol``.
NOISE = 1e-3


def prepare(problem: Problem, settings: Settings) -> ScipyProgram:
    """Central differences of the loss of `problem`; nothing is compiled."""
    perturbed = PerturbedLoss(problem, settings, _jacobian)
    step = relative_step(settings.rtol)

    def differentiate(
        x: np.ndarray, sizes: np.ndarray, loss: Callable[[np.ndarray, int], complex]
    ) -> np.ndarray:
        steps = step * sizes
        return np.array([_central_difference(loss, x, j, h) for j, h in enumerate(steps)])

    return perturbed.program(problem, "finite differences", differentiate)


def relative_step(rtol: float | np.ndarray) -> float:
    """The step, relative to the size of what is perturbed, for a solve of this tolerance."""
    return float(max(NOISE * np.max(rtol), np.finfo(np.float64).eps) ** (1 / 3))


def sizes_of(problem: Problem, settings: Settings, states: np.ndarray | None = None) -> np.ndarray:
    """The sizes of all parameters and start values, in which each may be perturbed.

    One solve, or none where the `states` at the saves are given.
    """
    perturbed = PerturbedLoss(problem, settings, _jacobian)
    start = np.ravel(problem.y0)
    x = np.hstack([pack(problem.params), start])
    if states is None:
        return perturbed.sizes(x, perturbed.solve(x)[1])
    return perturbed.sizes(x, Trajectory("ok", states, start))


def _central_difference(
    loss: Callable[[np.ndarray, int], complex], x: np.ndarray, j: int, step: float
) -> float:
    ahead, behind = x.copy(), x.copy()
    ahead[j] += step
    behind[j] -= step
    return (loss(ahead, j).real - loss(behind, j).real) / (ahead[j] - behind[j])


def _jacobian(functions: BoundSystem) -> TimeFunction | None:
    """The problem's own, or ``None`` for SciPy's finite differences."""
    system = functions.system
    if system.jacobian_function is None:
        return None
    return lambda t, y: system.jacobian(t, y, functions.theta)
