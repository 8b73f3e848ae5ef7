"""The start of a solve whose attempts are judged on the host, its first step size among it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..steps.acceptance import CODES, FIXED_STEPS, RUNNING
from ..steps.runge_kutta import error_scale
from ..steps.step_size import SMALLEST_ERROR, step_after_trial, trial_step
from .device import dtype_name
from .mass import first_slope
from .schedule import Schedule
from .state import Config, Operands, State
from .step_norms import mean_square
from .stepping import clipper


def start_eagerly(config: Config, schedule: Schedule, y0: torch.Tensor, ops: Operands) -> State:
    """The state before the first attempt, as :func:`.attempt.start` has it.

    Parameters
    ----------
    config, schedule, y0, ops
    """
    at = clipper(config, ops.lower, ops.upper)(schedule.t0)
    slope = config.rhs(at, y0, (ops.params, ops.constants))
    h, status = _first_size(config, schedule, y0, first_slope(config, slope), ops)
    numbers = y0.new_tensor([float(h), SMALLEST_ERROR])
    counts = torch.tensor([0, 0, status], device=y0.device)
    return State(schedule.t0, y0, slope, *numbers.unbind(), *counts.unbind())


def _first_size(
    config: Config, schedule: Schedule, y0: torch.Tensor, slope: torch.Tensor, ops: Operands
) -> tuple[Any, int]:
    """The first step size, and the status after the first evaluation."""
    dtype = np.dtype(dtype_name(y0))
    scale = error_scale(y0, y0, ops.rtol, ops.atol)
    squares = [mean_square(x / scale, config.components) for x in (y0, slope)]
    zeros = [(0.0 * x).sum() for x in (y0, slope)]
    asked = [] if schedule.first_step is None else [schedule.first_step]
    times = [schedule.t0, ops.stop, schedule.save_at[-1]]
    found = torch.stack([*times, *squares, *zeros, *asked]).tolist()
    t0, stop, end, size, speed, *rest = map(dtype.type, found)
    status = RUNNING if np.isfinite(rest[:2]).all() else CODES["nonfinite"]
    if config.given_steps:
        h = stop - t0
    elif asked:
        h = rest[2]
    elif not config.tableau.adaptive:
        h = (end - t0) / FIXED_STEPS
    else:
        norms = np.sqrt(size), np.sqrt(speed)
        h = _after_trial(config, norms, stop - t0, (schedule.t0, y0, slope, scale), ops)
    return (h if config.max_step is None else min(h, dtype.type(config.max_step))), status


def _after_trial(
    config: Config,
    norms: tuple[Any, Any],
    span: Any,
    start: tuple[torch.Tensor, ...],
    ops: Operands,
) -> Any:
    """Hairer's first step size, with a trial step."""
    t0, y0, slope, scale = start
    with np.errstate(all="ignore"):
        guess = trial_step(*norms, span)
    moved = y0 + float(guess) * slope
    if config.components is not None:
        moved = torch.cat([moved[: config.components], y0[config.components :]])
    clip = clipper(config, ops.lower, ops.upper)
    ahead = config.rhs(clip(t0 + float(guess)), moved, (ops.params, ops.constants))
    ahead = first_slope(config, ahead)
    bent = mean_square((ahead - slope) / scale, config.components).item()
    with np.errstate(all="ignore"):
        bent = np.sqrt(span.dtype.type(bent))
        return step_after_trial(guess, norms[1], bent, span, config.tableau.error_order)
