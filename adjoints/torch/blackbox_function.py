"""A solve by SciPy as one operation of PyTorch's autograd, the continuous adjoint its derivative.

Tensors are copied to the host, solved on in float64, and copied back to where they came from.
The forward solve keeps its dense output where somebody can ask for a gradient, as any operation
of autograd keeps its inputs, and the adjoint runs backwards along it
(:mod:`...scipy.continuous`) as often as the graph is used. The derivatives of ``rhs`` are the
problem's own Jacobian where there is one, else those of :mod:`...scipy.derivatives`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from ..scipy.continuous import Adjoint, AdjointSolve, solve_adjoint
from ..scipy.derivatives import Derivatives
from ..scipy.integrate import IMPLICIT
from ..scipy.primal import solve_primal
from ..scipy.trajectory import Trajectory


class Blackbox:
    """One way of solving, and its derivatives, compiled when needed."""

    def __init__(self, how: AdjointSolve) -> None:
        self._how = how
        self._derivatives = Derivatives(how.system)
        self._ready = False
        self._jacobian = how.options.solver in IMPLICIT

    @property
    def source(self) -> str:
        """Where derivatives come from."""
        return self._derivatives.source

    def compile(self) -> float:
        """Compile all derivatives that a gradient asks for; the seconds it took."""
        if self._ready:
            return 0.0
        solvers = self._how.options.solver, self._how.reverse.solver
        seconds = self._derivatives.compile(*self._how.keys(*solvers))
        self._ready = True
        return seconds

    def forward(self, theta: np.ndarray, y0: np.ndarray, *, keep: bool) -> Trajectory:
        """Solve on NumPy; with its dense output kept, for :meth:`backward`."""
        if self._jacobian:
            self.compile()
        with self._derivatives.active():
            point = self._derivatives.at(theta)
            jacobian = point.jacobian if self._jacobian else None
            plan, options = self._how.plan.at(theta), self._how.options
            return solve_primal(point, y0, plan, options, jacobian=jacobian, keep=keep)

    def event_times(self, trajectory: Trajectory) -> np.ndarray:
        """The times of events, as many as a loss sees."""
        return trajectory.event_times(self._how.system.times_seen)

    def backward(
        self, theta: np.ndarray, trajectory: Trajectory, dys: np.ndarray, dtimes: np.ndarray
    ) -> Adjoint:
        """The cotangents of parameters and start value, on NumPy; NaN after a breakdown."""
        adjoint = Adjoint(trajectory.status, np.zeros(0), np.zeros(0))
        if trajectory.status == "ok":
            self.compile()
            with self._derivatives.active():
                point = self._derivatives.at(theta)
                plan, reverse = self._how.plan.at(theta), self._how.reverse
                adjoint = solve_adjoint(point, plan, trajectory, dys, reverse, dtimes)
        if adjoint.status != "ok":
            adjoint.dtheta = np.full(self._how.system.m, np.nan)
            adjoint.dy0 = np.full(self._how.system.n, np.nan)
        return adjoint


@dataclass
class Done:
    """What a solve did.

    Attributes
    ----------
    keep : bool
        Whether the forward solve kept what a gradient needs.
    trajectory : Trajectory
        Of the forward solve.
    adjoint : Adjoint or None
        Of the last reverse pass; ``None`` before the first.
    """

    keep: bool
    trajectory: Trajectory = field(init=False)
    adjoint: Adjoint | None = None

    @property
    def reverse_status(self) -> str:
        """How the last reverse pass ended; ``"ok"`` before the first."""
        return "ok" if self.adjoint is None else self.adjoint.status


def solve_blackbox(
    box: Blackbox, theta: torch.Tensor, y0: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, Done]:
    """Saved states, shape ``(saves, *y0.shape)``, times of events, and what it took.

    Parameters
    ----------
    box : Blackbox
    theta : tensor, shape (m,)
        The parameters, as :func:`joined` gives them.
    y0 : tensor
        Gives dtype and device of the saved states.
    """
    start = joined([y0])
    done = Done(torch.is_grad_enabled() and (theta.requires_grad or start.requires_grad))
    ys, times = _Solve.apply(box, done, theta, start)  # type: ignore[misc]
    return ys.reshape((-1, *y0.shape)).to(y0), times.to(y0), done


def joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """All `parts` in one vector on the host in float64, which may be empty."""
    on_host = [part.reshape(-1).to("cpu", torch.float64) for part in parts]
    return torch.cat([torch.zeros(0, dtype=torch.float64, device="cpu"), *on_host])


class _Solve(torch.autograd.Function):
    """``apply(box, done, theta, y0) -> (ys, times)`` on vectors of the host in float64."""

    @staticmethod
    def forward(ctx: Any, box: Blackbox, done: Done, theta: torch.Tensor, y0: torch.Tensor) -> Any:
        # Memory of its own: what autograd does not watch is kept, and may be changed in place.
        ctx.box, ctx.done, ctx.theta = box, done, _copied(theta)
        done.trajectory = box.forward(ctx.theta, _copied(y0), keep=done.keep)
        times = box.event_times(done.trajectory)
        return torch.from_numpy(done.trajectory.ys.copy()), torch.from_numpy(times)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dys: torch.Tensor, dtimes: torch.Tensor) -> Any:  # type: ignore[override]
        cotangents = _copied(dys), _copied(dtimes)
        adjoint = ctx.box.backward(ctx.theta, ctx.done.trajectory, *cotangents)
        ctx.done.adjoint = adjoint
        *_, of_theta, of_y0 = ctx.needs_input_grad
        return (
            None,
            None,
            torch.from_numpy(adjoint.dtheta) if of_theta else None,
            torch.from_numpy(adjoint.dy0) if of_y0 else None,
        )


def _copied(vector: torch.Tensor) -> np.ndarray:
    return vector.detach().numpy().copy()
