"""The error of a gradient, estimated from a second one that is better.

Where the error shrinks as ``h^q`` and the second gradient takes half the steps' size, ``g1 - g2``
is ``1 - 2^-q`` of the first one's error (Richardson), and ``1 / (2^q - 1)`` times as much the
second one's. No dual weights are formed, as in goal-oriented error control: both gradients have
been through their adjoints, and it is the gradient's own error that is wanted.

References
----------
L. F. Richardson, Phil. Trans. R. Soc. A 210 (1911) 307; R. Becker, R. Rannacher, Acta Numerica 10
(2001) 1-102; Y. Cao, L. Petzold, SIAM J. Sci. Comput. 26 (2004) 359-374.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..result import GradientError, GradientResult
from .distance import log_parameter_scale, relative_distance

#: A gradient that is further off by its own estimate is called inaccurate.
INACCURATE = 0.1

#: Where two gradients are further apart, neither need be near the truth.
ASYMPTOTIC = 0.3

#: Roundings, times the machine's epsilon, below which a difference says nothing.
ROUNDINGS = 100.0


def compared(
    coarse: GradientResult,
    fine: GradientResult,
    params: Mapping[str, np.ndarray],
    *,
    gain: float,
    how: str,
) -> GradientResult:
    """`coarse` with its estimated error, and with `fine` as its refined gradient.

    Parameters
    ----------
    coarse, fine : GradientResult
        Of the same loss; the second one is better.
    params : mapping of str to ndarray
        Where they were taken.
    gain : float
        How many times smaller the error of `fine` is; infinite where nothing is known of it.
    how : str
        Where `fine` comes from.
    """
    if coarse.status != "ok":
        return coarse
    if fine.status != "ok":
        return _untold(coarse, fine, how)
    share = 1.0 if math.isinf(gain) else gain / (gain - 1)
    error = _error(coarse, fine, params, share, how)
    own = fine.gradient_error
    if own is not None:
        error = _no_better_than(error, own)
    elif not math.isinf(gain):
        own = _error(coarse, fine, params, 1 / (gain - 1), how)
    result = replace(coarse, gradient_error=error, refined=replace(fine, gradient_error=own))
    return judged(result, INACCURATE)


def flagged(
    fine: GradientResult,
    coarse: GradientResult,
    params: Mapping[str, np.ndarray],
    *,
    gain: float,
    how: str,
) -> GradientResult:
    """`fine` with an error estimated from a worse gradient, for less work and in a wider band.

    Where the two are too far apart for the order to be trusted, what lies between them is the
    estimate: it may be far too large, and is not too small.

    Parameters
    ----------
    fine, coarse : GradientResult
        Of the same loss; the first one is the user's, and the second one worse.
    params, how
        As for :func:`compared`.
    gain : float
        How many times larger the error of `coarse` is.
    """
    if fine.status != "ok":
        return fine
    if coarse.status != "ok":
        return _untold(fine, coarse, how)
    apart = _error(coarse, fine, params, 1.0, how)
    if apart.largest < ASYMPTOTIC:
        apart = _error(coarse, fine, params, 1 / (gain - 1), how)
    return judged(replace(fine, gradient_error=apart), INACCURATE)


def judged(result: GradientResult, limit: float) -> GradientResult:
    """`result`, called inaccurate where its estimated error is above `limit`."""
    error = result.gradient_error
    if result.status != "ok" or error is None or error.largest <= limit:
        return result
    which = "dparams" if error.dparams >= error.dy0 else "dy0"
    message = (
        f"{which} is off by {error.largest:.1g} of its size, as {error.how} show, where "
        f"{limit:.1g} is allowed; tighten rtol, or ask for gradient_rtol"
    )
    return replace(result, status="inaccurate", message=message)


def _untold(result: GradientResult, other: GradientResult, how: str) -> GradientResult:
    """`result`, called inaccurate because the other gradient broke down."""
    reason = f"with {how} it ended with {other.status!r}: {other.message}"
    error = _unknown_error(result, reason)
    message = f"how far it is off cannot be told; {reason}"
    return replace(result, status="inaccurate", message=message, gradient_error=error)


def _unknown_error(result: GradientResult, reason: str) -> GradientError:
    """No estimate, and why."""
    nan = float("nan")
    by_param = {name: np.full_like(g, nan) for name, g in result.dparams.items()}
    by_y0 = np.full_like(result.dy0, nan)
    return GradientError(nan, nan, nan, by_param, by_y0, reliable=False, how="none", reason=reason)


def _error(
    coarse: GradientResult,
    fine: GradientResult,
    params: Mapping[str, np.ndarray],
    share: float,
    how: str,
) -> GradientError:
    """So large a share of the difference of two gradients, relative to the better one."""
    names = list(coarse.dparams)
    g, g_fine = ([result.dparams[name] for name in names] for result in (coarse, fine))
    scale = log_parameter_scale([np.asarray(params[name]) for name in names], g_fine)
    dparams = share * float(relative_distance(g, g_fine, scale)) if names else 0.0
    dy0 = share * float(relative_distance([coarse.dy0], [fine.dy0]))
    loss = share * float(relative_distance([np.asarray(coarse.loss)], [np.asarray(fine.loss)]))
    reason = _doubt(max(dparams, dy0), coarse)
    return GradientError(
        dparams,
        dy0,
        loss,
        {name: share * np.abs(coarse.dparams[name] - fine.dparams[name]) for name in names},
        share * np.abs(coarse.dy0 - fine.dy0),
        reliable=not reason,
        how=how,
        reason=reason,
    )


def _no_better_than(error: GradientError, other: GradientError) -> GradientError:
    """An error not below that of the gradient it was compared with."""
    reason = error.reason
    if other.largest > error.largest / 2:
        reason = reason or "the gradient it was compared with is not much better"
    return replace(
        error,
        dparams=max(error.dparams, other.dparams),
        dy0=max(error.dy0, other.dy0),
        loss=max(error.loss, other.loss),
        reliable=not reason,
        reason=reason,
    )


def _doubt(error: float, result: GradientResult) -> str:
    """Why an estimate may be off by more than a factor of three; empty where it should not be."""
    if not error < ASYMPTOTIC:
        return "the two gradients are too far apart to tell how far either is off"
    steps = result.stats.steps or 1
    rounding = ROUNDINGS * float(np.finfo(result.dy0.dtype).eps) * math.sqrt(steps)
    if error < rounding:
        return "the difference is within rounding"
    return ""
