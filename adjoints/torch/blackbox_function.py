"""A solve by SciPy as one operation of PyTorch's autograd, the continuous adjoint its derivative.

Tensors are copied to the host, solved on in float64, and copied back to where they came from.
The forward solve keeps its dense output where somebody can ask for a gradient, as any operation
of autograd keeps its inputs, and the adjoint runs backwards along it
(:mod:`...scipy.continuous`) as often as the graph is used. The derivatives of ``rhs`` are the
problem's own Jacobian where there is one, else JAX's, else PyTorch's, as everywhere on SciPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from ..scipy.continuous import Adjoint, adjoint_keys, solve_adjoint
from ..scipy.derivatives import Derivatives
from ..scipy.flat import FlatSystem
from ..scipy.integrate import IMPLICIT, Options
from ..scipy.primal import solve_primal
from ..scipy.segments import Schedule, Trajectory


class Blackbox:
    """One way of solving: equations, times, solvers, and derivatives compiled when needed.

    Parameters
    ----------
    system : FlatSystem
    plan : Schedule
    options, reverse : Options
        Of the forward and of the reverse solve.
    """

    def __init__(
        self, system: FlatSystem, plan: Schedule, options: Options, reverse: Options
    ) -> None:
        self.system = system
        self.plan = plan
        self._options = options
        self._reverse = reverse
        self._derivatives = Derivatives(system)
        self._compiled = False
        self._jacobian = options.solver in IMPLICIT

    @property
    def source(self) -> str:
        """Where derivatives come from."""
        return self._derivatives.source

    def compile(self) -> float:
        """Compile all derivatives that a gradient asks for; the seconds it took."""
        if self._compiled:
            return 0.0
        implicit = self._jacobian or self._reverse.solver in IMPLICIT
        keys = adjoint_keys(self.system, self.plan, implicit=implicit)
        seconds = self._derivatives.compile(*keys)
        self._compiled = True
        return seconds

    def forward(self, theta: np.ndarray, y0: np.ndarray, *, keep: bool) -> Trajectory:
        """Solve on NumPy; with its dense output kept, for :meth:`backward`."""
        if self._jacobian:
            self.compile()
        with self._derivatives.active():
            point = self._derivatives.at(theta)
            jacobian = point.jacobian if self._jacobian else None
            return solve_primal(point, y0, self.plan, self._options, jacobian=jacobian, keep=keep)

    def backward(self, theta: np.ndarray, trajectory: Trajectory, dys: np.ndarray) -> Adjoint:
        """The cotangents of parameters and start value, on NumPy; NaN after a breakdown."""
        adjoint = Adjoint(trajectory.status, np.zeros(0), np.zeros(0))
        if trajectory.status == "ok":
            self.compile()
            with self._derivatives.active():
                point = self._derivatives.at(theta)
                adjoint = solve_adjoint(point, self.plan, trajectory, dys, self._reverse)
        if adjoint.status != "ok":
            adjoint.dtheta = np.full(self.system.m, np.nan)
            adjoint.dy0 = np.full(self.system.n, np.nan)
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
) -> tuple[torch.Tensor, Done]:
    """Saved states, shape ``(saves, *y0.shape)``, and what it took.

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
    ys = _Solve.apply(box, done, theta, start)
    assert isinstance(ys, torch.Tensor)
    return ys.reshape((-1, *y0.shape)).to(y0), done


def joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """All `parts` in one vector on the host in float64, which may be empty."""
    on_host = [part.reshape(-1).to("cpu", torch.float64) for part in parts]
    return torch.cat([torch.zeros(0, dtype=torch.float64), *on_host])


class _Solve(torch.autograd.Function):
    """``apply(box, done, theta, y0) -> ys`` on vectors of the host in float64."""

    @staticmethod
    def forward(ctx: Any, box: Blackbox, done: Done, theta: torch.Tensor, y0: torch.Tensor) -> Any:
        # Memory of its own: what autograd does not watch is kept, and may be changed in place.
        ctx.box, ctx.done, ctx.theta = box, done, _copied(theta)
        done.trajectory = box.forward(ctx.theta, _copied(y0), keep=done.keep)
        return torch.from_numpy(done.trajectory.ys.copy())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dys: torch.Tensor) -> Any:  # type: ignore[override]
        adjoint = ctx.box.backward(ctx.theta, ctx.done.trajectory, _copied(dys))
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
