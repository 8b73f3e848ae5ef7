"""How steep a function of one variable is, from its values alone, and how well that is known.

Central differences at steps that shrink by four, extrapolated to the step zero as Ridders did
[1]_: every entry of the tableau is compared with the two that it was made of and with what the next
step gives, and the closest agreement is both the answer and its error. Steps too long show as a
tableau that has not converged, steps too short as noise divided by the step; neither needs to be
known beforehand.
Where a slope from the left is another than one from the right, the central difference is their
mean and says nothing of it, so that the kink is extrapolated as well.

References
----------
.. [1] C. J. F. Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in Engineering
   Software 4 (1982) 75-76.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

#: The first step, and by what each is shorter than the one before.
FIRST, SHRINK = 0.1, 4.0

#: Steps at most; the last is 9e-11.
LEVELS = 16

#: A slope is known well enough with the first relative error, that there is no kink with the
#: second.
GOAL, GOAL_OF_KINK = 1e-7, 1e-4


class Known(NamedTuple):
    """A number, and the error that it has."""

    value: float
    error: float


class Slope(NamedTuple):
    """What was found of a function at zero.

    Attributes
    ----------
    slope : Known
        Its derivative; that of both sides in the mean.
    kink : Known
        The slope from the right minus the one from the left.
    evaluations : int
        How often the function was called, its value at zero not counted.
    """

    slope: Known
    kink: Known
    evaluations: int


def slope_of(function: Callable[[float], float], at_zero: float, enough: float = 0.0) -> Slope:
    """The slope of `function` at zero, at as many steps as it takes to know it.

    Parameters
    ----------
    function : callable
        May be NaN where it has no value; such steps are passed over.
    at_zero : float
        Its value at zero.
    enough : float
        An absolute error that is small enough, however small the slope.

    Returns
    -------
    Slope
        Of infinite error where there are too few steps at which the function has values.
    """
    central, sides, level = Tableau(2, 2), Tableau(1, 2), 0
    for level in range(LEVELS):
        step = FIRST / SHRINK**level
        ahead, behind = function(step), function(-step)
        if math.isfinite(ahead) and math.isfinite(behind):
            central.add((ahead - behind) / (2 * step))
            sides.add((ahead - 2 * at_zero + behind) / step)
        size = abs(central.best.value)
        smooth = sides.best.error <= max(GOAL_OF_KINK * size, enough)
        if smooth and central.best.error <= max(GOAL * size, enough):
            break
    return Slope(central.best, sides.best, 2 * (level + 1))


class Tableau:
    """Values at shrinking steps, extrapolated to the step zero.

    Parameters
    ----------
    first, spacing : int
        The error is a series in the step, of the powers `first`, `first` + `spacing`, ...
    """

    def __init__(self, first: int, spacing: int) -> None:
        self._first, self._spacing = first, spacing
        self._row: list[float] = []
        self._last = Known(math.nan, math.inf)
        #: The best extrapolation so far.
        self.best = self._last

    def add(self, value: float) -> None:
        """The value at the next step."""
        above, self._row = self._row, [value]
        found = Known(value, math.inf)
        powers = itertools.count(self._first, self._spacing)
        for power, older in zip(powers, above, strict=False):
            newer = self._row[-1]
            factor = SHRINK**power
            extrapolated = (factor * newer - older) / (factor - 1)
            error = max(abs(extrapolated - newer), abs(extrapolated - older))
            if error <= found.error:
                found = Known(extrapolated, error)
            self._row.append(extrapolated)
        self._confirm(found)

    def _confirm(self, found: Known) -> None:
        """Take what the last step gave for what it is worth by this one.

        Numbers of a step that is too long agree by chance now and then, and not twice.
        """
        error = max(self._last.error, abs(self._last.value - found.value))
        if error <= self.best.error:
            self.best = Known(found.value if found.error < error else self._last.value, error)
        self._last = found
