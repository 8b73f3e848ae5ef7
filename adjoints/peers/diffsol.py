"""diffsol [1]_ through pydiffsol [2]_: solvers in Rust, with equations compiled from DiffSL.

The equations are those of the problem, written in DiffSL (:mod:`.diffsl`), whose compiler
differentiates them; the loss and its derivatives come from CasADi; a problem's ``jacobian`` is not
used. What is mapped to what: the solvers ``"tsit45"``, ``"bdf"``, ``"esdirk34"`` and ``"tr_bdf2"``
to those of these names; tolerances to ``rtol`` and ``atol``, which are single numbers, and to those
of the sensitivities, of the adjoint and of its quadrature, without which they would not be in the
error test; saves to ``t_eval``. There is no first step to choose: ``h0`` changes nothing.

- ``diffsol-adjoint``: ``solve_adjoint_fwd`` with checkpoints, then ``solve_adjoint_bkwd``, which
  integrates the continuous adjoint backwards along an interpolant of the forward solve. It is given
  the loss in units in which its largest derivative is one, as a tolerance must know of some.
- ``diffsol-forward``: ``solve_fwd_sens``, for all parameters and the start value at once.

What differs from the open solvers here: nothing is counted and there is no limit of steps, so that
:meth:`DiffsolProgram.gradient` solves once more without a gradient, which tells the steps, and
compares them with ``max_steps`` afterwards; the bare calls do not. It knows of no jump and no
discontinuity that lies at a given time alone, so that problems with either are refused.
``"tsit45"`` never comes back from equations that are not finite where it starts, so that these, and
their derivatives, are looked at before. All is in double precision, and results of problems in
single precision are rounded.

References
----------
.. [1] M. Robinson et al., "diffsol: Rust crate for solving differential equations", Journal of
   Open Source Software, doi:10.21105/joss.09384.
.. [2] https://github.com/alexallmont/pydiffsol.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import casadi as ca
import numpy as np
import pydiffsol

from ...problems import Problem
from ..program import NumpyProgram, Settings, failed_result, gradient_result
from ..result import GradientResult, Stats
from ..scipy.flat import flat_system, pack, unpack
from .casadi_equations import trace
from .cvodes_integrators import Call
from .diffsl import Inputs, diffsl, sum_of_derivatives
from .refusals import refuse_arrays, refuse_stops

Params = Mapping[str, np.ndarray]
Found = tuple[Any, dict[str, np.ndarray], np.ndarray]

#: What its errors say, and the status that each stands for; whatever else it may say is "failed".
ERRORS = {
    "Step size is too small": "step_too_small",
    "error test failures": "step_too_small",
    "nonlinear solver failures": "newton",
}

#: How much smaller than in the problem itself steps may be in its adjoint.
SMALLER = 1e-8


def prepare_adjoint(problem: Problem, settings: Settings) -> DiffsolProgram:
    """The adjoint of diffsol, with checkpoints."""
    return AdjointProgram(problem, settings)


def prepare_forward(problem: Problem, settings: Settings) -> DiffsolProgram:
    """The forward sensitivities of diffsol."""
    return ForwardProgram(problem, settings)


class Breakdown(Exception):
    """A solve ended early: one of our statuses, its phase, and a sentence where it needs one."""

    def __init__(self, status: str, phase: str, message: str = "") -> None:
        super().__init__(status)
        self.told = status, phase, message


class DiffsolProgram(NumpyProgram):
    """A gradient by diffsol."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        super().__init__(problem)
        refuse_stops(problem, settings)
        refuse_arrays(settings)
        begin = time.perf_counter()
        equations = trace(problem, settings.method.name)
        theta, y0 = pack(problem.params), problem.y0.ravel().astype(np.float64)
        t0, t1 = (float(t) for t in problem.t_span)
        system = flat_system(problem)
        self.inputs = Inputs(system.parameter_sizes(theta, t1 - t0), _sizes(y0))
        self.saves = problem.save_at.astype(np.float64)
        self.settings = settings
        self._code = diffsl(equations, self.inputs, settings.method.name)
        self.ode = self.compiled_equations()
        self._loss = _call(equations.loss, equations.loss_gradient)
        self._start, self._end = (_call(sum_of_derivatives(equations, t)) for t in (t0, t1))
        self._shapes = {name: value.shape for name, value in problem.params.items()}
        self._compile_s = time.perf_counter() - begin

    @abstractmethod
    def slopes(self, given: np.ndarray, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """The loss, its slopes by the inputs through the states, and directly by `theta`.

        ``RuntimeError`` of the library where it gives up.
        """

    def gradient(self, params: Params, y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""
        stats = Stats(compile_s=self._compile_s, derivatives="diffsol")
        try:
            stats = Stats(
                steps=self._steps(params, y0), compile_s=self._compile_s, derivatives="diffsol"
            )
            found = self._found(params, y0)
        except Breakdown as error:
            return failed_result(self.problem, *error.told, stats=stats)
        return gradient_result(self.problem, *found, stats=stats)

    def primal(self, params: Params, y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        theta, start = pack({name: params[name] for name in self._shapes}), _flat(y0)
        try:
            self._check_start(start, theta)
            ys = self.ode.solve_dense(self.inputs.scaled(theta, start), self.saves).ys
        except (Breakdown, RuntimeError):
            return float("nan")
        return float(self.problem.dtype.type(self.loss(ys, theta)[0]))

    @property
    def compiled(self) -> Any:
        """``(params, y0) -> (loss, dparams, dy0)`` on NumPy arrays, NaN after a breakdown."""

        def call(params: Params, y0: np.ndarray) -> Found:
            try:
                return self._found(params, y0)
            except Breakdown as error:
                failed = failed_result(self.problem, *error.told)
                return self.problem.dtype.type(np.nan), failed.dparams, failed.dy0

        return call

    def loss(self, ys: np.ndarray, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """The loss of states of shape ``(n, saves)``, its slopes by them and by `theta`."""
        loss, dys, dtheta = self._loss(ys.T.ravel(), theta)
        return loss[0], dys.reshape(ys.shape[::-1]).T, dtheta

    def check_end(self, y: np.ndarray, theta: np.ndarray, dys: np.ndarray) -> None:
        """``Breakdown`` where a solve backwards would not come back."""
        if not np.isfinite([*self._end(y, theta)[0], *dys.ravel()]).all():
            raise Breakdown("nonfinite", "reverse")

    def _check_start(self, y0: np.ndarray, theta: np.ndarray) -> None:
        if not np.isfinite(self._start(y0, theta)[0]).all():
            raise Breakdown("nonfinite", "forward")

    def _found(self, params: Params, y0: np.ndarray) -> Found:
        theta, start = pack({name: params[name] for name in self._shapes}), _flat(y0)
        self._check_start(start, theta)
        try:
            loss, slopes, direct = self.slopes(self.inputs.scaled(theta, start), theta)
        except BaseException as error:
            # A panic in Rust is no `Exception`.
            if not isinstance(error, RuntimeError) and type(error).__name__ != "PanicException":
                raise
            # It leaves the object locked.
            self.ode = self.compiled_equations()
            raise _breakdown(error, "reverse") from error
        dtype, m = self.problem.dtype, theta.size
        dtheta = (slopes[:m] / self.inputs.theta + direct).astype(dtype)
        dy0 = (slopes[m:] / self.inputs.y0).astype(dtype)
        return dtype.type(loss), unpack(dtheta, self._shapes), dy0.reshape(self.problem.y0.shape)

    def _steps(self, params: Params, y0: np.ndarray) -> int:
        """The steps of a solve without a gradient; ``Breakdown`` where they are too many."""
        theta, start = pack({name: params[name] for name in self._shapes}), _flat(y0)
        self._check_start(start, theta)
        try:
            solution = self.ode.solve(self.inputs.scaled(theta, start), float(self.saves[-1]))
        except RuntimeError as error:
            raise _breakdown(error, "forward") from error
        if not np.isfinite(solution.ys).all():
            raise Breakdown("nonfinite", "forward")
        steps = len(solution.ts) - 1
        if steps > self.settings.max_steps:
            raise Breakdown("max_steps", "forward")
        return steps

    def compiled_equations(self) -> Any:
        """The library's object, with its settings."""
        settings = self.settings
        ode = pydiffsol.Ode(self._code, ode_solver=getattr(pydiffsol, settings.solver))
        ode.t0 = float(self.problem.t_span[0])
        ode.rtol, ode.atol = float(settings.rtol), float(settings.atol)
        ode.sens_rtol, ode.sens_atol = ode.rtol, ode.atol
        ode.options.min_timestep = self.smallest_step()
        return ode

    def smallest_step(self) -> float:
        """The library's 1e-13, or for a shorter span than one its share."""
        return 1e-13 * min(1.0, float(self.problem.t_span[1] - self.problem.t_span[0]))


class AdjointProgram(DiffsolProgram):
    """The continuous adjoint, backwards between checkpoints."""

    def compiled_equations(self) -> Any:
        """With the tolerances of the adjoint and its quadrature."""
        ode = super().compiled_equations()
        ode.sens_rtol = ode.param_rtol = float(self.settings.adjoint_rtol)
        # Of the slopes by inputs in units of their size, and so in that of the state.
        ode.param_atol = float(self.settings.adjoint_atol)
        ode.sens_atol = ode.param_atol / np.max(self.inputs.y0)
        return ode

    def slopes(self, given: np.ndarray, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """By the adjoint."""
        solution, checkpoints = self.ode.solve_adjoint_fwd(given, self.saves)
        ys = solution.ys
        loss, dys, direct = self.loss(ys, theta)
        unit = np.max(np.abs(dys))
        self.check_end(ys[:, -1], theta, dys)
        if unit == 0.0:
            return loss, np.zeros(given.size), direct
        # The adjoint of a stiff problem begins with steps far below those of the problem.
        self.ode.options.min_timestep = SMALLER * self.smallest_step()
        found = self.ode.solve_adjoint_bkwd(solution, checkpoints, dys / unit)
        self.ode.options.min_timestep = self.smallest_step()
        return loss, unit * np.asarray(found).ravel(), direct


class ForwardProgram(DiffsolProgram):
    """Forward sensitivities by all inputs at once."""

    def slopes(self, given: np.ndarray, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """By forward sensitivities."""
        solution = self.ode.solve_fwd_sens(given, self.saves)
        loss, dys, direct = self.loss(solution.ys, theta)
        return loss, np.tensordot(np.asarray(solution.sens), dys, axes=2), direct


def _call(*functions: ca.Function) -> Call:
    """Functions of two vectors, their outputs one after the other, at CasADi's fastest."""
    inputs = [ca.MX.sym(f"x{i}", functions[0].numel_in(i)) for i in range(2)]
    outputs = [found for f in functions for found in f.call(inputs)]
    return Call(inputs, outputs, ())


def _flat(y0: Any) -> np.ndarray:
    return np.asarray(y0, np.float64).ravel()


def _sizes(y0: np.ndarray) -> np.ndarray:
    """The size of every component of a start value; of what is zero, that of the largest."""
    return np.where(y0 == 0.0, np.max(np.abs(y0)) or 1.0, np.abs(y0))


def _breakdown(error: BaseException, phase: str) -> Breakdown:
    for said, status in ERRORS.items():
        if said in str(error):
            return Breakdown(status, phase)
    return Breakdown("failed", phase, f"diffsol gave up: {str(error).strip().splitlines()[-1]}")
