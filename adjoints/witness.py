"""A witness of a certificate: another gradient, which tells itself how far it is off.

The derivative of the steps of an open solver on PyTorch, of another order and on another mesh than
the two computations, refined by the same steps cut in two. It is far less accurate than they, and
would see what both have in common: an error in their equations of sensitivities.
"""

from __future__ import annotations

import sys
from typing import Any

from ..problems import Problem
from ..problems.reference import Reference
from .error_bars.distance import log_parameter_scale, relative_distance
from .gradient import gradient
from .result import GradientResult

_METHOD = "torch-discrete"
_OPTIONS: dict[str, Any] = {"atol": 1e-9, "max_steps": 2048, "error_bar": True}

#: Loose enough for a small share of a certificate's time.
_RTOL, _RTOL_STIFF = 1e-6, 1e-5

#: PyTorch is loaded in two seconds: a certificate that took less than so many goes without.
_WORTH_LOADING = 12.0

#: A refined gradient's own estimate is a 25th of the truth at worst.
_CAUTION = 30.0


def witness_of(
    problem: Problem, certified: GradientResult | Reference, agreement: float, seconds: float
) -> dict[str, Any] | None:
    """What the witness says of a gradient that took so many seconds to certify.

    Returns
    -------
    dict or None
        Its method and solver; ``distance``, how far it is from the gradient, relative;
        ``estimate``, how far it believes to be from the truth; ``agrees``, or ``None`` where its
        estimate is not reliable. ``None`` where it would take too long, or cannot be called.
    """
    if "torch" not in sys.modules and seconds < _WORTH_LOADING:
        return None
    solver, rtol = ("rodas4p", _RTOL_STIFF) if problem.stiff else ("dopri5", _RTOL)
    try:
        found = gradient(problem, _METHOD, solver=solver, rtol=rtol, **_OPTIONS)
    except ValueError:
        return None
    refined, error = found.refined, found.gradient_error
    if refined is None or refined.gradient_error is None or error is None:
        return None
    distance, estimate = _distance(problem, refined, certified), refined.gradient_error.largest
    agrees = distance <= _CAUTION * estimate + agreement if error.reliable else None
    return {
        "method": _METHOD,
        "solver": solver,
        "rtol": rtol,
        "distance": distance,
        "estimate": estimate,
        "agrees": agrees,
    }


def _distance(problem: Problem, found: GradientResult, true: GradientResult | Reference) -> float:
    """The larger of the distances of both gradients."""
    names = list(problem.params)
    g, g_true = ([result.dparams[name] for name in names] for result in (found, true))
    scale = log_parameter_scale([problem.params[name] for name in names], g_true)
    dparams = float(relative_distance(g, g_true, scale)) if names else 0.0
    return max(dparams, float(relative_distance([found.dy0], [true.dy0])))
