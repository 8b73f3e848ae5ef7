"""The complex step: one solve in the complex plane for each component of the gradient.

For an analytic loss, ``dloss/dx_j = Im loss(x + i h e_j) / h + O(h**2)`` without any subtraction,
so that ``h`` can be 1e-30 and the derivative is exact to rounding [1]_. The imaginary part is far
below what the error control can see, so every solve takes the steps of the real one: the result
is the derivative of the adaptive program with its accepted steps frozen. SciPy's explicit solvers
and its BDF work in the complex plane; the Newton iteration of BDF stops at the accuracy of the
real part and leaves the derivative at about the tolerance.

References
----------
.. [1] W. Squire, G. Trapp, "Using complex variables to estimate derivatives of real functions",
   SIAM Review 40 (1998) 110-112.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...problems import Problem
from ..program import Settings
from .analytic import require_analytic
from .flat import BoundSystem
from .perturbed_solves import PerturbedLoss
from .program import ScipyProgram
from .segments import TimeFunction

#: The step, relative to the size of what is perturbed.
STEP = 1e-30


def prepare(problem: Problem, settings: Settings) -> ScipyProgram:
    """Complex-step derivatives of the loss of `problem`; nothing is compiled.

    Raises
    ------
    ValueError
        Where ``rhs``, ``loss`` or ``jump`` is found not to be analytic.
    """
    require_analytic(problem)
    perturbed = PerturbedLoss(problem, settings, _jacobian)
    return perturbed.program(problem, "complex step", _differentiate)


def _differentiate(
    x: np.ndarray, sizes: np.ndarray, loss: Callable[[np.ndarray, int], complex]
) -> np.ndarray:
    gradient = np.zeros(x.size)
    for j, step in enumerate(STEP * sizes):
        perturbed = x.astype(np.complex128)
        perturbed[j] += 1j * step
        gradient[j] = loss(perturbed, j).imag / step
    return gradient


def _jacobian(functions: BoundSystem) -> TimeFunction:
    """The Jacobian at the real part of the state, which is all that a Newton iteration needs."""
    system = functions.system
    real = system.at(np.real(functions.theta))

    def by_columns(t: float, y: np.ndarray) -> np.ndarray:
        center = np.real(y)
        steps = STEP * np.where(center == 0, 1.0, np.abs(center))
        columns = [real.rhs(t, center + 1j * direction) for direction in np.diag(steps)]
        return np.imag(columns).T / steps

    if system.jacobian_function is None:
        return by_columns
    return lambda t, y: system.jacobian(t, np.real(y), real.theta)
