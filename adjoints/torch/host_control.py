"""The step-size control of a solve that is driven attempt by attempt, by numbers on the host.

Who looks at every attempt anyway decides on the host what follows: of some hundred operations on
single numbers on the device two remain, the error that is fetched and the times that are sent.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from ..steps.acceptance import CODES, next_size, status_after
from ..steps.step_size import SMALLEST_ERROR, nearest_eight_bits
from .device import dtype_name
from .state import Config, Operands, State


class Proposal(NamedTuple):
    """A step to try: start, size and end, and whether that is the stop."""

    t: Any
    h: Any
    t1: Any
    reaches: bool


class HostControl:
    """Time, step size, counts and status of a solve on the way to a stop.

    Attributes
    ----------
    t, h, previous_error : numpy.floating
        Of the solve's dtype.
    accepted, attempts, status : int
    """

    def __init__(self, config: Config, state: State, ops: Operands) -> None:
        self.config, dtype = config, np.dtype(dtype_name(state.y))
        own = (state.t, state.h, state.previous_error, ops.stop, ops.lower, ops.upper)
        counts = (state.accepted, state.attempts, state.status)
        found = torch.stack([x.to(torch.float64) for x in (*own, *counts)]).tolist()
        self.t, self.h, self.previous_error, self.stop, *bounds = map(dtype.type, found[:6])
        self.bounds = tuple(bounds)
        self.accepted, self.attempts, self.status = map(int, found[6:])

    def proposed(self) -> Proposal:
        """The step to try."""
        reaches = bool(self.t + self.config.stretch * self.h >= self.stop)
        h = self.stop - self.t if reaches else self.h
        return Proposal(self.t, h, self.stop if reaches else self.t + h, reaches)

    def judged(self, tried: Proposal, error: Any, failure: int, *, given: bool) -> bool:
        """Whether the attempt is accepted; goes on from it, or tries again.

        Parameters
        ----------
        tried : Proposal
        error : numpy.floating
            The norm that decides.
        failure : int
            The step's own status code; negative where all is well.
        given : bool
            Whether the step was to be taken in any case.
        """
        config, accept = self.config, given or bool(error <= 1)
        reached = accept and tried.reaches
        h = self._size_after(tried, error, reached) if config.controlled else self.h
        self.attempts += 1
        self.status = int(
            status_after(
                self.t,
                h,
                np.int64(self.attempts),
                config.max_steps,
                error,
                np.bool_(accept),
                np.bool_(reached),
                np.int64(failure),
                controlled=config.controlled,
            )
        )
        self.h = h
        if accept:
            self.t, self.accepted = tried.t1, self.accepted + 1
            self.previous_error = max(error, error.dtype.type(SMALLEST_ERROR))
        return accept

    def taken_back(self, judged: HostControl) -> HostControl:
        """What held before an attempt that was accepted, as if it had been rejected.

        Parameters
        ----------
        judged : HostControl
            What holds after it.
        """
        self.attempts = judged.attempts
        if self.attempts >= self.config.max_steps:
            self.status = CODES["max_steps"]
        return self

    def _size_after(self, tried: Proposal, error: Any, reached: bool) -> Any:
        """The step size to try next."""
        own = (self.config.tableau, tried.h, self.h, error, self.previous_error)
        with np.errstate(all="ignore"):
            h = _with_eight_bits(next_size(*own, np.bool_(reached)))
        most = self.config.max_step
        return h if most is None else min(h, h.dtype.type(most))

    def state(self, y: torch.Tensor, slope: torch.Tensor) -> State:
        """Where things stand, on the device."""
        numbers = [float(x) for x in (self.t, self.h, self.previous_error)]
        t, h, previous = y.new_tensor(numbers).unbind()
        counts = torch.tensor([self.accepted, self.attempts, self.status], device=y.device)
        return State(t, y, slope, h, previous, *counts.unbind())


def _with_eight_bits(h: Any) -> Any:
    """As :func:`.attempt.with_eight_bits`, of a number on the host."""
    number = np.asarray(h, np.float32).view(np.int32)
    return nearest_eight_bits(number).view(np.float32).astype(h.dtype)[()]
