"""How much of a solver's error estimate is rounding of the numbers that it is computed in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..adjoints.steps.runge_kutta import combine, error_scale, root_mean_square, step_stages
from ..adjoints.steps.tableau import Tableau
from ..adjoints.steps.tableaus import tableau
from .loss_gradient import LossGradient
from .preset import Preset

#: From here on an estimate is called rounding.
ROUNDING = 0.5

#: Tolerances of more roundings than that have estimates far above them: not looked at.
_FAR = 1e6

#: Tolerances that are advised, in roundings: a fifth or less of the estimate on the tasks here.
_ADVISED = 100

#: Samples of the first batch that are looked at.
_SAMPLES = 32

Named = Mapping[str, np.ndarray]


def rounding_of(loss_gradient: LossGradient, params: Named, accepted: np.ndarray) -> float | None:
    r"""The share of the error estimate on the first batch that is rounding.

    The embedded error :math:`h \sum_i \tilde b_i k_i` is a small difference of slopes, each right
    to a few roundings :math:`\epsilon`, so that

    .. math:: D \sim \epsilon h \sqrt{\textstyle\sum_i (\tilde b_i k_i)^2}

    of it is rounding, whatever the tolerance is: divided by the tolerances, it grows as
    :math:`\epsilon` over them. It is measured here, over all accepted steps, as the difference
    of the estimates in float32 and in float64 from the same states, and multiplied by the ratio
    of roundings for another dtype.

    Parameters
    ----------
    loss_gradient : LossGradient
    params : mapping of str to ndarray
        The weights.
    accepted : ndarray
        The times from which the accepted steps start.

    Returns
    -------
    float or None
        :math:`\sum_j D_j h_j / \sum_j (E_j^2 + D_j^2)^{1/2} h_j`, scaled errors and roundings as
        root mean squares. ``None`` where the tolerance is far above rounding or a number is not
        finite, and where steps are implicit or broken by jumps.
    """
    problem, preset = loss_gradient.task.problem, loss_gradient.settings.preset
    tab = tableau(loss_gradient.evaluation_solver)
    rounding = float(np.finfo(problem.dtype).eps)
    if tab.kind != "explicit" or problem.jump_times or preset.rtol > _FAR * rounding:
        return None
    y, p = _some_samples(loss_gradient, params)
    steps = np.diff([*np.asarray(accepted, np.float64), float(problem.save_at[-1])])
    estimate, noise = 0.0, 0.0
    with np.errstate(all="ignore"):
        for t, h in zip(accepted.tolist(), steps.tolist(), strict=True):
            y1, error = _step(problem.rhs, tab, t, y, h, p, np.dtype("float64"))
            _, rounded = _step(problem.rhs, tab, t, y, h, p, np.dtype("float32"))
            scale = error_scale(y, y1, preset.rtol, preset.atol)
            lost = rounding / float(np.finfo(np.float32).eps) * (rounded - error)
            noise += h * float(root_mean_square(lost / scale))
            estimate += h * float(
                np.hypot(root_mean_square(lost / scale), root_mean_square(error / scale))
            )
            y = y1
    share = noise / estimate if estimate else math.nan
    return share if math.isfinite(share) else None


def warning_of(preset: Preset, share: float | None) -> str:
    """What to do where the estimate is rounding; empty where it is not."""
    if share is None or share < ROUNDING:
        return ""
    rounding = float(np.finfo(preset.dtype).eps)
    rtol = _ADVISED * rounding
    wider = "" if preset.dtype == "float64" else ", or train in float64"
    return (
        f"at rtol={preset.rtol:g} {share:.0%} of the solver's error estimate is rounding of "
        f"{preset.dtype}, by which steps are chosen, and errors regularised, at random; it is "
        f"little from some {_ADVISED} roundings on (--rtol {rtol:.0e}){wider}"
    )


def _some_samples(loss_gradient: LossGradient, params: Named) -> tuple[np.ndarray, Named]:
    """The start of some samples in float64, and what the equations get beside it."""
    task = loss_gradient.task
    (own, y0), constants = loss_gradient.first(params), dict(task.problem.constants)
    if task.train:
        y0 = y0[:_SAMPLES]
        constants |= {k: v[:_SAMPLES] for k, v in constants.items() if k in task.train}
    return y0.astype(np.float64), {**own, **constants}


def _step(
    rhs: Any, tab: Tableau, t: float, y: np.ndarray, h: float, p: Named, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """The new state, and the embedded error by components, computed in `dtype`."""
    p = {k: np.asarray(v, dtype) if np.asarray(v).dtype.kind == "f" else v for k, v in p.items()}
    at, width, y = dtype.type(t), dtype.type(h), y.astype(dtype)
    y1, stages = step_stages(rhs, tab, at, y, width, p)
    assert tab.error is not None
    return y1, width * combine(tab.error, [*stages, rhs(at + width, y1, p)])
