"""torchode [1]_: a batch-parallel solver in PyTorch, through its public interface.

What is mapped to what: the solvers ``"tsit5"`` and ``"dopri5"`` to the step methods of these
names; tolerances to ``IntegralController``, the one of its introduction; ``first_step`` to
``dt0``; saves to ``t_eval``, with the start before them; ``differentiate_step_size`` to
``backprop_through_step_size_control``; ``max_steps`` as it is; its status codes to statuses. The
state is one instance of a batch, flattened. It can't step onto given times, so that each part
between discontinuities is a solve of its own, with the time seen by the right-hand side kept
inside the part.

``JointBacksolveAdjoint``, not ``BacksolveAdjoint``: with one instance both integrate the same
equations, and only the second needs a right-hand side that ``torch.func.vmap`` understands. Both
give gradients to the parameters of the module that is the right-hand side; ``functional_call``
puts ours there. Its two loops over steps are replaced by ``AutoDiffAdjoint`` objects with
``max_steps``, the adjoint's tolerances and solver, and a look at the status, which the reverse
pass otherwise drops.

What differs from the open solvers here:

- States at saves are read off an interpolant of fourth order.
- The norm of the error is the root mean square over the state; in the adjoint's solve over time's
  adjoint, the state, its adjoint and all parameters' gradients together.
- The relative tolerance is one number, kept in float32.
- The adjoint's solve starts afresh at every save, from the state that was saved there, and with
  the first step where one was given.
- There is no smallest step: a solution that runs away does so until it is infinite. An attempted
  step whose error is not finite ends the solve, and is not tried again with a smaller one.

References
----------
.. [1] M. Lienen, S. Günnemann, "torchode: A Parallel ODE Solver for PyTorch", The Symbiosis of
   Deep Learning and Differential Equations II, NeurIPS 2022;
   https://github.com/martenlienen/torchode.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torchode

from ...problems import Problem
from ..program import Settings
from ..torch.device import find_device
from .torch_program import (
    Breakdown,
    Equations,
    TorchPeerProgram,
    reverse_tolerance,
    start_and_saves,
)

STEP_METHODS = {"tsit5": torchode.Tsit5, "dopri5": torchode.Dopri5}

#: Its status codes by our names; whatever else it may say is "failed".
STATUSES = {
    torchode.Status.REACHED_DT_MIN.value: "step_too_small",
    torchode.Status.REACHED_MAX_STEPS.value: "max_steps",
    torchode.Status.INFINITE_NORM.value: "nonfinite",
}


#: ``solve_part(equations, part, ivp, dt0)``: the states of one instance at the ``t_eval`` of `ivp`.
SolvePart = Callable[[Equations, "_Part", Any, Any], torch.Tensor]


def prepare_autodiff(problem: Problem, settings: Settings) -> TorchPeerProgram:
    """``AutoDiffAdjoint``: autograd through the steps."""
    step_method = STEP_METHODS[settings.solver]()
    controller = _controller(problem, settings.device, settings.rtol, settings.atol)

    def solve_part(equations: Equations, part: _Part, ivp: Any, dt0: Any) -> torch.Tensor:
        loop = _Loop(
            equations,
            step_method,
            controller,
            settings.max_steps,
            through_control=settings.differentiate_step_size,
        )
        rhs: Any = _RightHandSide(equations, part)
        return loop.solve(ivp, torchode.ODETerm(rhs), dt0).ys

    return _program(problem, settings, solve_part, continuous=False)


def prepare_backsolve(problem: Problem, settings: Settings) -> TorchPeerProgram:
    """``JointBacksolveAdjoint``: state, adjoint and parameters' gradient integrated backwards."""
    step_method = STEP_METHODS[settings.solver]()
    controller = _controller(problem, settings.device, settings.rtol, settings.atol)
    reverse_method = STEP_METHODS[settings.adjoint_solver]()
    reverse_controller = _controller(
        problem, settings.device, settings.adjoint_rtol, _reverse_atol(problem, settings)
    )

    def solve_part(equations: Equations, part: _Part, ivp: Any, dt0: Any) -> torch.Tensor:
        rhs: Any = _RightHandSideModule(equations, part)
        adjoint: Any = torchode.JointBacksolveAdjoint(
            torchode.ODETerm(rhs), step_method, controller
        )
        max_steps = settings.max_steps
        adjoint.forward_loop = _Loop(equations, step_method, controller, max_steps)
        adjoint.backward_loop = _Loop(equations, reverse_method, reverse_controller, max_steps)
        # In the reverse pass the module has its own parameters again, of the same values. It is
        # registered under several names; swapping under each would not swap back.
        return torch.func.functional_call(
            _Solver(rhs, adjoint), rhs.ours(), (ivp, dt0), tie_weights=False
        )

    return _program(problem, settings, solve_part, continuous=True)


@dataclass(frozen=True)
class _Part:
    """What lies between two discontinuities, or one and an end.

    Attributes
    ----------
    times : ndarray
        Its start, the saves after it, its end.
    saves : int
        How many saves these are; the last may be the end.
    earliest, latest : float or None
        The first and the last time that the right-hand side sees; ``None`` where there is no
        discontinuity.
    shape : tuple of int
        That of the state.
    """

    times: np.ndarray
    saves: int
    earliest: float | None
    latest: float | None
    shape: tuple[int, ...]

    def evaluate(
        self, equations: Equations, t: torch.Tensor, y: torch.Tensor, params: Any = None
    ) -> torch.Tensor:
        """The right-hand side of a batch of one instance."""
        bounded = (self.earliest, self.latest) != (None, None)
        time = t[0].clamp(self.earliest, self.latest) if bounded else t[0]
        return equations(time, y.reshape(self.shape), params).reshape(1, -1)


class _RightHandSide:
    """The right-hand side of one part as a function."""

    def __init__(self, equations: Equations, part: _Part) -> None:
        self._equations, self._part = equations, part

    def __call__(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self._part.evaluate(self._equations, t, y)


class _RightHandSideModule(torch.nn.Module):
    """The right-hand side of one part as a module with parameters."""

    def __init__(self, equations: Equations, part: _Part) -> None:
        super().__init__()
        self._equations, self._part = equations, part
        # A list, as the names of parameters may be those of a module's own attributes.
        self.values = torch.nn.ParameterList(
            torch.nn.Parameter(value.detach()) for value in equations.params.values()
        )

    def ours(self) -> dict[str, torch.Tensor]:
        """The tensors to differentiate, by their names in :class:`_Solver`."""
        values = self._equations.params.values()
        return {f"rhs.values.{i}": value for i, value in enumerate(values)}

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        params = dict(zip(self._equations.params, self.values, strict=True))
        return self._part.evaluate(self._equations, t, y, params)


class _Solver(torch.nn.Module):
    """An adjoint's ``solve`` as a module's ``forward``, as ``functional_call`` wants it."""

    adjoint: Any

    def __init__(self, rhs: _RightHandSideModule, adjoint: Any) -> None:
        super().__init__()
        self.rhs, self.adjoint = rhs, adjoint

    def forward(self, ivp: Any, dt0: Any) -> torch.Tensor:
        return self.adjoint.solve(ivp, dt0=dt0).ys


class _Loop(torchode.AutoDiffAdjoint):
    """The loop over steps; it tells of them, and of a failure by an exception."""

    def __init__(
        self,
        equations: Equations,
        step_method: Any,
        controller: Any,
        max_steps: int,
        *,
        through_control: bool = False,
    ) -> None:
        super().__init__(
            step_method,
            controller,
            # With as many steps as allowed it gives up, also where the last one gets to the end.
            max_steps=max_steps + 1,
            backprop_through_step_size_control=through_control,
        )
        self._equations = equations

    def solve(self, problem: Any, term: Any = None, dt0: Any = None, args: Any = None) -> Any:
        solution = super().solve(problem, term, dt0, args)
        accepted = int(solution.stats["n_accepted"])
        self._equations.count_steps(accepted, int(solution.stats["n_steps"]) - accepted)
        code = int(solution.status)
        if code != torchode.Status.SUCCESS.value:
            raise Breakdown(STATUSES.get(code, "failed"))
        return solution


def _program(
    problem: Problem, settings: Settings, solve_part: SolvePart, *, continuous: bool
) -> TorchPeerProgram:
    """The program that solves one part after the other."""
    parts = _parts(problem)
    first_step = settings.first_step

    def solve(equations: Equations, y0: torch.Tensor) -> torch.Tensor:
        y: Any = y0.reshape(1, -1)
        saved = [y]
        for number, part in enumerate(parts):
            t_eval: Any = y.new_tensor(part.times)[None]
            given = number == 0 and first_step is not None
            dt0 = y.new_tensor([first_step]) if given else None
            ys = solve_part(equations, part, torchode.InitialValueProblem(y, t_eval=t_eval), dt0)
            saved.append(ys[0, 1 : 1 + part.saves])
            y = ys[:, -1]
        return torch.cat(saved).reshape(-1, *y0.shape)

    return TorchPeerProgram(problem, settings, solve, continuous=continuous)


def _parts(problem: Problem) -> list[_Part]:
    times = start_and_saves(problem)
    breaks = [t for t in problem.discontinuities if t <= times[-1]]
    edges = np.unique([times[0], *breaks, times[-1]])
    parts = []
    for start, end in itertools.pairwise(edges):
        saves = times[(times > start) & (times <= end)]
        within = saves[saves < end]
        ends = np.array([start, end], problem.dtype)
        inside = np.nextafter(ends, ends[::-1]).tolist()
        earliest, latest = (
            near if end in breaks else None for end, near in zip(ends, inside, strict=True)
        )
        times_of_part = np.array([start, *within, end])
        parts.append(_Part(times_of_part, len(saves), earliest, latest, problem.y0.shape))
    return parts


def _controller(
    problem: Problem, device: str, rtol: float | np.ndarray, atol: float | np.ndarray
) -> torchode.IntegralController:
    if isinstance(rtol, np.ndarray):
        raise ValueError(
            f"rtol={rtol!r}: torchode takes one number; pass one, or set only atol per component"
        )
    if isinstance(atol, np.ndarray):
        atol = atol.ravel().astype(problem.dtype)
    tolerance: Any = atol
    return torchode.IntegralController(tolerance, rtol).to(find_device(device))


def _reverse_atol(problem: Problem, settings: Settings) -> float | np.ndarray:
    """The adjoint's absolute tolerance: one number, or one of each component of its state."""
    atol = settings.adjoint_atol
    if not isinstance(atol, np.ndarray):
        return atol
    sizes = (1, problem.n_states, problem.n_states, *(v.size for v in problem.params.values()))
    parts = reverse_tolerance(atol, problem)
    return np.concatenate([np.broadcast_to(a, n) for a, n in zip(parts, sizes, strict=True)])
