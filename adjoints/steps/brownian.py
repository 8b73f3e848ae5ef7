r"""Brownian motion on an interval, split at any point: increments and space-time areas.

Of an interval of length :math:`\ell` are known its increment :math:`W` and its space-time area

.. math:: H = \frac{1}{\ell} \int_0^\ell \Big( W_u - \frac{u}{\ell} W \Big) du

which are independent, with variances :math:`\ell` and :math:`\ell / 12`; the iterated integral is
:math:`I_{(1,0)} = \ell (W / 2 + H)`.

References
----------
J. Foster, "Numerical approximations for stochastic differential equations", PhD thesis, Oxford
2020, theorems 6.1.4 and 6.1.6; A. Jelincic, J. Foster, P. Kidger, "Single-seed generation of
Brownian paths and integrals for adaptive and high order SDE solvers", arXiv:2405.06464.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from array_api_compat import array_namespace

Array = Any


class Increment(NamedTuple):
    """Of Brownian motion over an interval: increment and space-time area."""

    w: Array
    area: Array


def whole(length: Array, normals: tuple[Array, Array]) -> Increment:
    """An interval of which nothing is known yet, from two standard normal numbers a component."""
    xp = array_namespace(length)
    root = xp.sqrt(length)
    return Increment(root * normals[0], root * normals[1] / math.sqrt(12))


def split(
    whole: Increment, length: Array, fraction: Array | float, normals: tuple[Array, Array]
) -> tuple[Increment, Increment]:
    r"""The two parts of an interval that is cut at a `fraction` strictly between 0 and 1.

    Given :math:`(W, H)`, the path is a parabola and a Gaussian process of the covariance
    :math:`\min(s, t) - s t - 3 s (1 - s) t (1 - t)`; its value at the cut and its integral up to
    it have the 2 x 2 covariance that is factored here. The area of neither part is a difference
    of larger numbers, so that it keeps its digits however short the part is.
    """
    xp = array_namespace(length)
    x, rest = fraction, 1 - fraction
    both = x * rest
    spread = 1 - 3 * both
    root = xp.sqrt(length)
    wide = (both * spread) ** 0.5
    value = wide * root * normals[0]
    tilt = both * (1 - 2 * x) / (2 * spread) * value
    integral = tilt + (both**3 / (12 * spread)) ** 0.5 * root * normals[1]
    bulge = 6 * both * whole.area + value
    left = Increment(x * whole.w + bulge, x * x * whole.area + integral / x - value / 2)
    right = Increment(
        rest * whole.w - bulge, rest * rest * whole.area - integral / rest - value / 2
    )
    return left, right


def joined(first: Increment, second: Increment, lengths: tuple[Array, Array]) -> Increment:
    """Two intervals, one after the other, as one (Chen's relation)."""
    a, b = lengths
    total = a + b
    crossed = (b * first.w - a * second.w) / 2
    return Increment(first.w + second.w, (a * first.area + b * second.area + crossed) / total)
