"""One step of a stochastic Runge-Kutta method, and its embedded error, for every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from .acceptance import Terms
from .brownian import Increment
from .runge_kutta import Array, combine, error_scale, norm, root_mean_square, stiffness
from .stochastic_tableaus import StochasticTableau

#: ``drift(t, y, params)`` or ``diffusion(t, y, params)``.
Field = Callable[[Array, Array, Any], Array]


class StochasticStep(NamedTuple):
    """The new state, the embedded error of each component, and the pair of the stiffness."""

    y1: Array
    error: Array
    pair: tuple[Array, Array] | None


class _Noise(NamedTuple):
    """Iterated integrals of a step as its stages weigh them, and the root of its size."""

    w: Array
    chi1: Array
    chi2: Array
    chi3: Array
    root: Array


class _Stages(NamedTuple):
    """Drifts, the states they were taken at, and diffusions; zero where they are not used."""

    drifts: list[Array]
    states: list[Array]
    diffusions: list[Array]


def stochastic_step(
    drift: Field,
    diffusion: Field,
    tableau: StochasticTableau,
    t: Array,
    y: Array,
    h: Array,
    increment: Increment,
    params: Any,
) -> StochasticStep:
    r"""One step over `h`, of which zero leaves the state as it is.

    The embedded solution of strong order 1 leaves out the integrals :math:`I_{(1,0)}` and
    :math:`I_{(1,1,1)}`, as that of Rackauckas and Nie (2017), and takes Euler's drift; the
    difference is the error.

    Parameters
    ----------
    drift, diffusion : callable
        Of ``(t, y, params)``.
    tableau : StochasticTableau
    t, y, h : array
        From where, and how far.
    increment : Increment
        Of the Brownian motion over the step.
    params : pytree
    """
    noise = _integrals(increment, h)
    drifts, states, diffusions = _stages(drift, diffusion, tableau, t, y, h, noise, params)
    beyond = noise.chi2 * combine(tableau.beta3, diffusions)
    beyond = beyond + noise.chi3 * combine(tableau.beta4, diffusions)
    first = noise.w * combine(tableau.beta1, diffusions)
    first = first + noise.chi1 * combine(tableau.beta2, diffusions)
    y1 = y + h * combine(tableau.alpha, drifts) + first + beyond
    error = h * combine(tableau.error_drift, drifts) + beyond
    pair = None
    if tableau.stiffness_stages is not None:
        i, j = tableau.stiffness_stages
        pair = (drifts[i] - drifts[j], states[i] - states[j])
    return StochasticStep(y1, error, pair)


def _integrals(increment: Increment, h: Array) -> _Noise:
    """``I_(1,1) / sqrt(h)``, ``I_(1,0) / h`` and ``I_(1,1,1) / h``; a step of no size has none."""
    xp = array_namespace(h)
    w, moves = increment.w, h > 0
    length = xp.where(moves, h, xp.ones_like(h))
    return _Noise(
        w=w,
        chi1=(w * w - h) / (2 * xp.sqrt(length)),
        chi2=w / 2 + increment.area,
        chi3=(w * w - 3 * h) * w / (6 * length),
        root=xp.where(moves, xp.sqrt(length), xp.zeros_like(h)),
    )


def _stages(
    drift: Field,
    diffusion: Field,
    tableau: StochasticTableau,
    t: Array,
    y: Array,
    h: Array,
    noise: _Noise,
    params: Any,
) -> _Stages:
    xp = array_namespace(y)
    stages = _Stages([], [], [])
    for i in range(tableau.stages):
        state, noisy, f, g = y, y, xp.zeros_like(y), xp.zeros_like(y)
        if i in tableau.drift_stages:
            state = _moved(y, h, tableau.a0[i], noise.chi2, tableau.b0[i], stages)
            f = drift(t + float(tableau.c0[i]) * h, state, params)
        if i in tableau.diffusion_stages:
            noisy = _moved(y, h, tableau.a1[i], noise.root, tableau.b1[i], stages)
            g = diffusion(t + float(tableau.c1[i]) * h, noisy, params)
        for kept, new in zip(stages, (f, state, g), strict=True):
            kept.append(new)
    return stages


def _moved(
    y: Array, h: Array, a: np.ndarray, noise: Array, b: np.ndarray, stages: _Stages
) -> Array:
    """The state of a stage; sums of no terms are left out."""
    if a.any():
        y = y + h * combine(a, stages.drifts)
    return y + noise * combine(b, stages.diffusions) if b.any() else y


def stochastic_error(step: StochasticStep, y: Array, rtol: Array, atol: Array) -> Array:
    """The embedded error over the tolerances, root mean square."""
    return root_mean_square(step.error / error_scale(y, step.y1, rtol, atol))


def stochastic_terms(
    step: StochasticStep, y: Array, h: Array, rtol: Array, atol: Array, error_norm: str
) -> Terms:
    """The step's terms of the regularisers, as those of a step of an ordinary equation.

    Parameters
    ----------
    step, y, h
    rtol, atol : array
    error_norm : {"scaled", "absolute"}
        Whether the embedded error is divided by the tolerances.
    """
    if error_norm == "scaled":
        size = stochastic_error(step, y, rtol, atol)
    else:
        size = norm(step.error)
    stiff = None if step.pair is None else stiffness(step.pair) * h
    return Terms(size * h, size * size, stiff)


def first_stochastic_step(
    y0: Array, drift: Array, diffusion: Array, scale: Array, span: Array
) -> Array:
    """A first step size: a tenth of the state over its speed, with noise of three deviations.

    One that is too large costs one rejection, one that is too small a step for each doubling.
    """
    xp = array_namespace(y0)
    ahead, back = (root_mean_square((drift + s * diffusion) / scale) for s in (3.0, -3.0))
    speed, size = xp.maximum(ahead, back), root_mean_square(y0 / scale)
    tiny = (size < 1e-5) | (speed < 1e-5)
    h = 0.1 * size / xp.where(tiny, xp.ones_like(speed), speed)
    h = xp.minimum(xp.where(tiny, 1e-6 * xp.ones_like(h), h), span)
    return xp.where(xp.isfinite(h), h, 1e-6 * span)
