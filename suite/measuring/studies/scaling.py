"""How time grows with the size of a stiff problem: the Brusselator of n × n points to t = 1.

It has 2 n² states and 4 n² parameters. Tolerances and end are those of the published study, whose
figures are in :mod:`~adjointbench.reports.tables.published`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .... import problems
from ..names import get_problem, join_name, problem_name, split_name
from ..row import Row

#: What rows of this study are marked with, to tell them from those of a ladder of tolerances.
STUDY = "scaling"

#: Points along a side.
SIZES, QUICK_SIZES = (2, 3, 5, 10, 15, 24, 32, 64), (2, 3, 5, 10, 24)

RTOL, ATOL = 1e-7, 1e-5

FORWARD = "jax-forward"

#: The adjoints with the same solver as :data:`FORWARD`: like with like.
CONTINUOUS = ("jax-interpolating", "jax-quadrature", "jax-gauss")
ADJOINTS = ("jax-discrete", *CONTINUOUS)

#: The first of them with matrices that are full, and with sparse ones, whatever their size; by
#: itself it takes what is faster.
DENSE, SPARSE = (f"jax-discrete(linear_solver={kind})" for kind in ("dense", "sparse"))

PEERS = ("cvodes-adjoint", "cvodes-adjoint(solver=cvodes-gmres)", "cvodes-forward")

METHODS = (FORWARD, *ADJOINTS, DENSE, SPARSE, *PEERS)

#: The largest size of each method: beyond, full matrices or forward sensitivities take hours.
LARGEST, QUICK_LARGEST = 15, 5
_LARGEST = {"jax-discrete": 64, "jax-gauss": 32, DENSE: 24, SPARSE: 24, "cvodes-adjoint": 64}
_QUICK_LARGEST = {"jax-discrete": 24, DENSE: 24, SPARSE: 10, "cvodes-adjoint": 24}

#: Seconds allowed for one method at one size.
TIMEOUT_S, QUICK_TIMEOUT_S = 1200.0, 60.0

#: Seconds by states and parameters together.
Times = Mapping[float, float]


def problem_of(n: int) -> str:
    """The name of the problem with `n` points along a side."""
    return problem_name(get_problem(join_name("brusselator", {"n": n, "t_end": 1.0})))


def points_of(problem: str) -> int:
    """The points along a side of the problem of that name: the inverse of :func:`problem_of`."""
    name, settings = split_name(problem)
    return settings.get("n", problems.entry(name).defaults["n"])


def unknowns(n: int) -> int:
    """States and parameters together."""
    return 6 * n**2


#: Below, systems are too small for anybody to solve them as sparse ones.
SMALLEST_SPARSE = 3


def takes(method: str, n: int, *, quick: bool) -> bool:
    """Whether a method is measured with so many points along a side."""
    if method == SPARSE and n < SMALLEST_SPARSE:
        return False
    if quick:
        return n <= _QUICK_LARGEST.get(method, QUICK_LARGEST)
    return n <= _LARGEST.get(method, LARGEST)


def times(rows: Iterable[Row]) -> dict[str, dict[float, float]]:
    """Seconds of each method by size, of rows of this study; only where there is a gradient."""
    found: dict[str, dict[float, float]] = {}
    for row in rows:
        if row.status == "ok" and row.seconds is not None:
            found.setdefault(row.method, {})[unknowns(points_of(row.problem))] = row.seconds
    return {method: dict(sorted(mine.items())) for method, mine in found.items()}


def exponent(measured: Times) -> float | None:
    """The slope of log time against log size, by least squares; ``None`` of fewer than two."""
    if len(measured) < 2:
        return None
    x, y = np.log(list(measured)), np.log(list(measured.values()))
    return float(np.polyfit(x, y, 1)[0])


@dataclass(frozen=True)
class Crossover:
    """Where forward mode becomes slower than the best adjoint.

    Attributes
    ----------
    at : float or None
        States and parameters, by interpolation of logarithms; ``None`` where it lies outside of
        what was measured.
    low, high : float
        The sizes between which it lies. Below all that was measured, `low` is zero; above,
        `high` is infinite.
    best : str
        The adjoint that is the fastest at `high`, or at the last size where forward mode wins
        throughout.
    """

    at: float | None
    low: float
    high: float
    best: str


def crossover(forward: Times, adjoints: Mapping[str, Times]) -> Crossover | None:
    """Where forward mode becomes, and stays, slower than the best adjoint.

    Parameters
    ----------
    forward : mapping of float to float
        Seconds by size.
    adjoints : mapping of str to mapping
        The same of each adjoint; the best may be another one at each size.

    Returns
    -------
    Crossover or None
        ``None`` where no size was measured of both.
    """
    gaps = [(size, *_gap(size, forward[size], adjoints)) for size in sorted(forward)]
    known = [(size, gap, best) for size, gap, best in gaps if best]
    if not known:
        return None
    slower_from = len(known)
    while slower_from and known[slower_from - 1][1] > 0:
        slower_from -= 1
    if slower_from == len(known):
        return Crossover(None, known[-1][0], math.inf, known[-1][2])
    size, gap, best = known[slower_from]
    if slower_from == 0:
        return Crossover(None, 0.0, size, best)
    low, gap_low, _ = known[slower_from - 1]
    at = low * (size / low) ** (gap_low / (gap_low - gap))
    return Crossover(at, low, size, best)


def _gap(size: float, forward: float, adjoints: Mapping[str, Times]) -> tuple[float, str]:
    """Logarithm of forward mode's time over the best adjoint's, and which that is."""
    here = {name: measured[size] for name, measured in adjoints.items() if size in measured}
    if not here:
        return 0.0, ""
    best = min(here, key=lambda name: here[name])
    return math.log(forward / here[best]), best


def own_crossover(
    measured: Mapping[str, Times], names: Sequence[str] = ADJOINTS
) -> Crossover | None:
    """The crossover of :data:`FORWARD` with adjoints that use the same solver."""
    adjoints = {name: measured[name] for name in names if name in measured}
    return crossover(measured.get(FORWARD, {}), adjoints)


def systems_crossover(measured: Mapping[str, Times]) -> Crossover | None:
    """Where the adjoint with full matrices becomes slower than with sparse ones."""
    return crossover(measured.get(DENSE, {}), {SPARSE: measured.get(SPARSE, {})})


def by_unknowns(published: Mapping[str, Mapping[int, float]]) -> dict[str, dict[float, float]]:
    """Published figures by points along a side, by states and parameters instead."""
    return {
        name: {float(unknowns(n)): seconds for n, seconds in figures.items()}
        for name, figures in published.items()
    }


def selected(names: Sequence[str]) -> tuple[str, ...]:
    """The methods of the study among `names`, whatever solver they use in it."""
    bare = {split_name(name)[0] for name in names}
    return tuple(method for method in METHODS if split_name(method)[0] in bare)
