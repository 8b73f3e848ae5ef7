"""Steps that are given, to be taken without control."""

from __future__ import annotations

import numpy as np
import torch

from ..steps.acceptance import given_step_fits, given_step_slack
from .attempt import Given
from .device import dtype_name
from .host_control import Proposal


class GivenSteps:
    """Hands out given steps, one by one; those of size zero are left out.

    Parameters
    ----------
    t0 : tensor
        Where the first one begins.
    starts, sizes : tensor, shape (steps,)
    """

    def __init__(self, t0: torch.Tensor, starts: torch.Tensor, sizes: torch.Tensor) -> None:
        dtype = dtype_name(t0)
        self._rows = iter(np.array([starts.tolist(), sizes.tolist()], dtype).T)
        self._at = np.asarray(t0.tolist(), dtype)

    def next(self, stop: float) -> Proposal | None:
        """The next step on the way to a stop; ``None`` where none fits.

        None is left, or it does not begin where the last one ended, or it goes past the stop.
        """
        end = self._at.dtype.type(stop)
        for t, h in self._rows:
            if h == 0:
                continue
            if not given_step_fits(t, h, self._at, end):
                return None
            reaches = bool(t + h >= end - given_step_slack(t, h, end))
            self._at = end if reaches else t + h
            return Proposal(t, h, self._at, reaches)
        return None


def given_step(step: Proposal, like: torch.Tensor) -> Given:
    """A step that is given, on the device."""
    t, h = like.new_tensor([float(step.t), float(step.h)]).unbind()
    return Given(t, h, torch.full((), step.reaches, device=like.device))
