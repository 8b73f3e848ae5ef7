"""torchdiffeq [1]_: the first neural-ODE library of PyTorch, through its public interface.

What is mapped to what: the solvers ``"dopri5"``, ``"dopri8"`` (Prince and Dormand's pair of orders
8 and 7; not Hairer's DOP853, but of its class) and ``"bosh3"`` to the methods of these names;
tolerances to ``rtol`` and ``atol``, or ``adjoint_rtol`` and ``adjoint_atol``; ``first_step`` to
the option of this name; discontinuities to the option ``jump_t``; saves to ``t``, with the start
before them. Steps are counted in its callbacks, calls of the right-hand side by a wrapper around
it. ``max_num_steps`` would count from one save to the next, so that ``max_steps`` is checked in
the callbacks as well, over all of a pass. Its assertions are turned into statuses.

What differs from the open solvers here:

- States at saves, that at the end among them, are read off an interpolant of fourth order, whose
  error no tolerance controls: with the long steps of ``"dopri8"`` it is the largest. The last step
  goes beyond the end, so that the right-hand side is evaluated there.
- The step size is held fixed in the derivative, except that an automatic first step is
  differentiated by ``odeint``; the continuous adjoints don't see steps.
- The norm of the error is the root mean square over the state; in the adjoint's solve the largest
  such norm of the state, its adjoint and all parameters' gradients taken separately, the last
  left out by the seminorm.
- The adjoint's solve starts afresh at every save, from the state that was saved there. At a save
  on a discontinuity it evaluates its first stage on the later side, which the error control then
  notices.
- Time is in double precision in the solver, whatever the dtype of the state.
- A right-hand side that turns NaN or infinite makes it shrink the step: ``"step_too_small"``.

References
----------
.. [1] R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, "Neural Ordinary Differential
   Equations", NeurIPS 2018; https://github.com/rtqichen/torchdiffeq. The seminorm: P. Kidger,
   R. T. Q. Chen, T. Lyons, "Hey, that's not an ODE", ICML 2021.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torchdiffeq

from ...problems import Problem
from ..program import Settings
from ..torch.device import find_device
from .torch_program import Equations, Solve, TorchPeerProgram, reverse_tolerance, start_and_saves

#: How its assertions start, and what they mean.
ASSERTIONS = {
    "max_num_steps exceeded": "max_steps",
    "underflow in dt": "step_too_small",
    "non-finite values": "nonfinite",
}


def prepare_backprop(problem: Problem, settings: Settings) -> TorchPeerProgram:
    """``odeint``: autograd through every operation of the solver."""
    device = find_device(settings.device)
    times = torch.tensor(start_and_saves(problem), device=device)
    arguments = _forward_arguments(problem, settings, device)

    def solve(equations: Equations, y0: torch.Tensor) -> torch.Tensor:
        ys: Any = torchdiffeq.odeint(_WithCallbacks(equations), y0, times, **arguments)
        return ys

    return _program(problem, settings, solve, continuous=False)


def prepare_adjoint(problem: Problem, settings: Settings) -> TorchPeerProgram:
    """``odeint_adjoint``: state, adjoint and parameters' gradient integrated backwards."""
    return _prepare_adjoint(problem, settings, {})


def prepare_seminorm(problem: Problem, settings: Settings) -> TorchPeerProgram:
    """``odeint_adjoint`` with the parameters' gradient left out of the error norm."""
    return _prepare_adjoint(problem, settings, {"norm": "seminorm"})


def _prepare_adjoint(
    problem: Problem, settings: Settings, options: dict[str, Any]
) -> TorchPeerProgram:
    device = find_device(settings.device)
    times = torch.tensor(start_and_saves(problem), device=device)
    arguments = {
        **_forward_arguments(problem, settings, device),
        "adjoint_method": settings.adjoint_solver,
        "adjoint_rtol": _reverse_tolerance(settings.adjoint_rtol, problem),
        "adjoint_atol": _reverse_tolerance(settings.adjoint_atol, problem),
        # Without the first step, which may be longer than the way back to the next save.
        "adjoint_options": {**_options(problem, settings, device), **options},
    }

    def solve(equations: Equations, y0: torch.Tensor) -> torch.Tensor:
        ys: Any = torchdiffeq.odeint_adjoint(
            _WithCallbacks(equations),
            y0,
            times,
            adjoint_params=tuple(equations.params.values()),
            **arguments,
        )
        return ys

    return _program(problem, settings, solve, continuous=True)


class _WithCallbacks:
    """Equations with the callbacks by which the solver tells of its steps, in both directions."""

    def __init__(self, equations: Equations) -> None:
        self._equations = equations

    def __call__(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self._equations(t, y)

    def callback_accept_step(self, t0: Any, y0: Any, dt: Any) -> None:
        self._equations.count_steps(1, 0)

    def callback_reject_step(self, t0: Any, y0: Any, dt: Any) -> None:
        self._equations.count_steps(0, 1)

    callback_accept_step_adjoint = callback_accept_step
    callback_reject_step_adjoint = callback_reject_step


def _program(
    problem: Problem, settings: Settings, solve: Solve, *, continuous: bool
) -> TorchPeerProgram:
    return TorchPeerProgram(problem, settings, solve, continuous=continuous, assertions=ASSERTIONS)


def _forward_arguments(
    problem: Problem, settings: Settings, device: torch.device
) -> dict[str, Any]:
    options = _options(problem, settings, device)
    if settings.first_step is not None:
        options["first_step"] = settings.first_step
    return {
        "rtol": _tolerance(settings.rtol),
        "atol": _tolerance(settings.atol),
        "method": settings.solver,
        "options": options,
    }


def _options(problem: Problem, settings: Settings, device: torch.device) -> dict[str, Any]:
    options: dict[str, Any] = {"max_num_steps": settings.max_steps}
    if problem.discontinuities:
        times = problem.discontinuities
        options["jump_t"] = torch.tensor(times, dtype=torch.float64, device=device)
    return options


def _tolerance(tolerance: float | np.ndarray) -> float | torch.Tensor:
    return torch.tensor(tolerance) if isinstance(tolerance, np.ndarray) else tolerance


def _reverse_tolerance(tolerance: float | np.ndarray, problem: Problem) -> Any:
    """One number, or a tuple of one entry for each part of the reverse state."""
    if not isinstance(tolerance, np.ndarray):
        return tolerance
    return tuple(torch.tensor(part) for part in reverse_tolerance(tolerance, problem))
