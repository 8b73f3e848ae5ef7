"""A gradient against the loss itself: differences along random directions, their error known.

Sensitivities and adjoints, continuous or discrete, see how the right-hand side, the jumps and the
loss depend on parameters and start value. None sees a *time* at which the equations switch move
with a parameter, nor a switch that depends on the state come earlier: two such computations agree
to many digits, and are wrong alike. The loss itself knows. For every array of parameters, and for
the start value, it is differenced along directions that change each component by the same share
of its size, forwards or backwards at random: an error in any component is seen in full. How well a
difference is known comes out with it (:mod:`.slopes`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from ..problems import Problem
from .gradient import Run, prepare
from .result import GradientResult
from .scipy.finite_difference import sizes_of
from .scipy.flat import pack, unpack
from .slopes import GOAL, Slope, slope_of

#: Directions of each array, where it has more than one component.
DIRECTIONS = 2

#: What a slope must be known to, relative to the array's share in the gradient; of a share too
#: small for that it is enough to know how small it is, relative to the whole.
DIGITS, NEGLIGIBLE = 1e-3, 1e-6

#: How many times its estimated error a slope may be off.
SAFETY = 10.0


class UnseenDerivativeError(RuntimeError):
    """The loss has another slope than the gradient says, or none that can be known."""


@dataclass(frozen=True)
class Differences:
    """How a gradient compares with differences of the loss, at worst.

    Attributes
    ----------
    disagreement, error : float
        How far the two are apart, and how far the differences themselves may be off: relative to
        the share of the array in the gradient or, where that is small, to the whole.
    solves : int
        How often the loss was computed.
    """

    disagreement: float
    error: float
    solves: int


def compare_with_loss(
    problem: Problem, gradient: GradientResult, options: Mapping[str, Any], agreement: float
) -> Differences:
    """Compare `gradient` with differences of the loss, along random directions of each array.

    Parameters
    ----------
    problem : Problem
        In float64.
    gradient : GradientResult
    options : mapping
        The arguments of :func:`~adjointbench.prepare` for the solves, ``method`` included.
    agreement : float
        How well the gradient is known, relative.

    Raises
    ------
    UnseenDerivativeError
        In a sentence, where the two are further apart than is known of either, where the loss has
        a kink, or where a slope is not known to three digits.
    """
    run = prepare(problem, **options)
    states = None if problem.mass is None else _sizes_of_states(problem, options)
    sizes = sizes_of(problem, run.settings, states)
    x = np.hstack([pack(problem.params), np.ravel(problem.y0)])
    said = sizes * np.hstack([pack(gradient.dparams), np.ravel(gradient.dy0)])
    loss, size = _loss_of(run), float(np.linalg.norm(said))
    at_zero = loss(x)
    whole = _Whole(size, max(size, abs(at_zero)), agreement)
    found, solves = [], 2
    for block, direction in _directions(problem):
        moved = sizes * direction
        enough = NEGLIGIBLE / SAFETY * whole.scale
        slope = slope_of(lambda h, moved=moved: loss(x + h * moved), at_zero, enough)
        share = max(abs(slope.slope.value), float(np.linalg.norm(said[direction != 0])))
        told = float(said @ direction)
        doubt = _doubt(block, slope, told, share, whole)
        if doubt:
            raise UnseenDerivativeError(f"{problem.name}: {doubt}")
        scale = (share if slope.slope.error <= DIGITS * share else whole.scale) or 1.0
        found.append((abs(slope.slope.value - told) / scale, slope.slope.error / scale))
        solves += slope.evaluations
    disagreements, errors = zip(*found, strict=True)
    return Differences(max(disagreements), max(errors), solves)


class _Whole(NamedTuple):
    """Of the whole logarithmic gradient: size, that or the loss, and how well it is known."""

    size: float
    scale: float
    agreement: float


def _loss_of(run: Run) -> Callable[[np.ndarray], float]:
    """The loss of ``[parameters, start value]``, one solve a value; NaN after a breakdown."""
    problem = run.problem
    shapes = {name: value.shape for name, value in problem.params.items()}
    m, shape = problem.n_params, problem.y0.shape
    return lambda x: run.primal(unpack(x[:m], shapes), x[m:].reshape(shape))


def _sizes_of_states(problem: Problem, options: Mapping[str, Any]) -> np.ndarray:
    """How large states are, once a save: as at the start, or where they are zero there at most.

    For solvers that are not SciPy's; one solve a component that starts at zero.
    """
    found = np.abs(np.ravel(problem.y0))
    for i in np.flatnonzero(found == 0).tolist():

        def largest(ys: Any, p: Mapping[str, Any], i: int = i) -> Any:
            xp = array_namespace(ys)
            return xp.max(xp.abs(xp.reshape(ys, (len(problem.save_at), -1))[:, i]))

        found[i] = prepare(replace(problem, loss=largest), **options).primal()
    return np.tile(found, (len(problem.save_at), 1))


def _directions(problem: Problem) -> Iterator[tuple[str, np.ndarray]]:
    """Every array by its name, with directions of ones in it: forwards or backwards at random."""
    rng = np.random.default_rng(0)
    arrays = {f"params[{name!r}]": value for name, value in problem.params.items()}
    arrays["y0"] = problem.y0
    total, start = sum(value.size for value in arrays.values()), 0
    for name, value in arrays.items():
        stop = start + value.size
        for _ in range(min(DIRECTIONS, value.size)):
            direction = np.zeros(total)
            direction[start:stop] = rng.choice([-1.0, 1.0], value.size)
            yield name, direction
        start = stop


def _doubt(block: str, found: Slope, told: float, share: float, whole: _Whole) -> str:
    """Why the gradient cannot be believed; empty where it can."""
    slope, kink, _ = found
    known = max(DIGITS * share, NEGLIGIBLE * whole.scale)
    if not max(slope.error, kink.error) <= known:
        return (
            f"differences of the loss in a random direction of {block} give {slope.value:.3g}, "
            f"known to {max(slope.error, kink.error):.0e} only, so that nothing can be said of a "
            f"gradient that says {told:.3g} there; tighter tolerances or a shorter span may help"
        )
    if abs(kink.value) > max(known, SAFETY * kink.error):
        return (
            f"the loss has a kink in {block}: in a random direction its slope is "
            f"{slope.value - kink.value / 2:.6g} from one side and "
            f"{slope.value + kink.value / 2:.6g} from the other; there is no gradient here"
        )
    apart, allowed = abs(slope.value - told), slope.error + whole.agreement * whole.size
    if apart > SAFETY * max(allowed, GOAL * share):
        return (
            f"two computations agree to {whole.agreement:.0e} on a slope of {told:.6g} in a random "
            f"direction of {block}, and the loss itself has one of {slope.value:.6g}, known to "
            f"{slope.error:.0e}. Something in {block} may be a time at which the equations switch "
            "or the state jumps, or the threshold of a switch that depends on the state: no "
            "sensitivity and no adjoint sees how such a time moves"
        )
    return ""
