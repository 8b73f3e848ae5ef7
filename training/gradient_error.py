"""How far the gradient of a training is off, told by itself while the weights change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypedDict

import numpy as np

from ..adjoints.error_bars.estimate import INACCURATE
from .loss_gradient import LossGradient

#: What an estimate costs, in gradients of one batch: an eager one more of compiled gradients.
_COST, _COST_EAGER = 5, 12

#: The share of a training that estimates may take.
_SHARE = 0.05

#: The relative error for which a tolerance is proposed.
_WANTED = 0.01


class Found(TypedDict):
    """What is known: columns of an :class:`~adjointbench.training.records.Epoch`."""

    gradient_error: float
    gradient_doubt: str | None


class GradientError:
    """The estimated relative error of the gradient of the first batch, every so many epochs.

    It is that of :func:`~adjointbench.prepare`'s ``error_bar``, of the loss without a
    regulariser: on other steps that would be another loss.

    Parameters
    ----------
    loss_gradient : LossGradient

    Attributes
    ----------
    every : int
        Epochs from one estimate to the next, so that they take some 5 % of the time.
    """

    def __init__(self, loss_gradient: LossGradient) -> None:
        self._run = loss_gradient.with_error_bar()
        self._first = loss_gradient.first
        self._rtol = loss_gradient.settings.preset.rtol
        cost = _COST_EAGER if loss_gradient.compiles else _COST
        self.every = math.ceil(cost / (_SHARE * loss_gradient.task.steps_per_epoch))

    def due(self, epoch: int) -> bool:
        """Whether an epoch has an estimate."""
        return epoch % self.every == 0

    def __call__(self, params: Mapping[str, np.ndarray]) -> Found:
        """What a row says of the gradient at these weights."""
        result = self._run(*self._first(params))
        error = result.gradient_error
        if error is None:
            return {"gradient_error": math.nan, "gradient_doubt": result.message}
        return {"gradient_error": error.dparams, "gradient_doubt": error.reason or None}

    def warning(self, found: Found) -> str:
        """What to do about an estimate; empty where it is small."""
        error = found["gradient_error"]
        if not inaccurate(error):
            return ""
        doubt = found["gradient_doubt"]
        if math.isnan(error):
            return f"how far the gradient is off cannot be told; {doubt}"
        tighter = self._rtol * min(_WANTED / error, 0.1)
        return (
            f"the gradient is estimated to be {error:.0%} of its size off"
            f"{f' ({doubt})' if doubt else ''}; tighten the tolerance, rtol={tighter:.0e} for a "
            f"start (--rtol {tighter:.0e})"
        )


def inaccurate(error: float | None) -> bool:
    """Whether an estimate is larger than an accurate gradient's, or could not be made."""
    return error is not None and not error <= INACCURATE
