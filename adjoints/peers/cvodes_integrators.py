"""The integrators of a problem: CVODES in CasADi, one for each smooth segment of the span.

CVODES sees scaled variables, the state in the order that suits its linear solver
(:mod:`.cvodes_linear_systems`). Parameters come in units of their size, its ``pbar``, so that one
absolute tolerance is fit for the gradient of each. Where ``atol`` is an array, of which CasADi
takes only one number, component i of the state comes in units of ``atol[i] / min(atol)``: the
weights of the forward error test are then exactly those of ``rtol`` and ``atol``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Mapping, Sequence
from typing import Any

import casadi as ca
import numpy as np

from ...problems import Problem
from ..program import Settings
from ..scipy.flat import flat_system, pack
from ..scipy.segments import Schedule, Segment, schedule
from .casadi_equations import Equations, symbols, trace
from .cvodes_linear_systems import linear_system
from .semi_explicit import Variables, consistent_values, semi_explicit

SOLVER_OPTIONS: dict[str, dict[str, Any]] = {
    "cvodes": {"linear_multistep_method": "bdf", "newton_scheme": "direct"},
    "cvodes-mumps": {
        "linear_multistep_method": "bdf",
        "newton_scheme": "direct",
        "linear_solver": "mumps",
    },
    "cvodes-gmres": {
        "linear_multistep_method": "bdf",
        "newton_scheme": "gmres",
        "use_preconditioner": False,
    },
    "cvodes-adams": {
        "linear_multistep_method": "adams",
        "nonlinear_solver_iteration": "functional",
    },
    "idas": {},
}

#: Algebraic equations of an adjoint in this unit have small costates. IDAS looks for consistent
#: ones from zero, to a part of ``atol`` that is below rounding where they are larger.
COSTATE_UNIT = 1e12
#: For consistent derivatives IDAS iterates as in a step of a thousandth of the time to this share
#: of a segment; its line search fails where that step is too large for the stiffness.
FIRST_TIME = 1e-6

#: CasADi takes times closer than this for the same.
CLOSEST_TIMES = 1e-9


class Call:
    """A function of start value and parameters, through CasADi's buffers: its fastest call.

    Parameters
    ----------
    inputs, outputs : list of MX
        Two symbols, and dense vectors that depend on them.
    forward, reverse : tuple of Function
        The integrators in it, whose counts can be asked for: those of the solve that goes first,
        one a segment, and those that solve with taping and back again.
    """

    def __init__(
        self,
        inputs: Sequence[ca.MX],
        outputs: Sequence[ca.MX],
        forward: tuple[ca.Function, ...],
        reverse: tuple[ca.Function, ...] = (),
    ) -> None:
        self.forward = forward
        self.reverse = reverse
        function = ca.Function("call", list(inputs), [ca.densify(x) for x in outputs])
        self._inputs = [np.zeros(x.numel()) for x in inputs]
        self._outputs = [np.zeros(x.numel()) for x in outputs]
        # The stubs of CasADi know neither this interface nor NumPy's.
        buffer: Any
        buffer, self._evaluate = function.buffer()
        self._buffer = buffer
        for i, array in enumerate(self._inputs):
            buffer.set_arg(i, memoryview(array.data))
        for i, array in enumerate(self._outputs):
            buffer.set_res(i, memoryview(array.data))

    def __call__(self, y0: np.ndarray, theta: np.ndarray) -> tuple[np.ndarray, ...]:
        """The outputs as vectors; ``RuntimeError`` where CVODES gives up."""
        self._inputs[0][:], self._inputs[1][:] = y0, theta
        # CasADi writes the inputs of a failed integrator to the console, long as they may be.
        with contextlib.redirect_stderr(io.StringIO()):
            self._evaluate()
        return tuple(output.copy() for output in self._outputs)


class Solve:
    """The segments of a problem and their integrators.

    Parameters
    ----------
    problem : Problem
    settings : Settings

    Attributes
    ----------
    equations : Equations
    plan : Schedule
    theta_scale : DM
        The unit of each parameter.
    units, to_units : DM
        ``y = units @ x`` of what CVODES sees, and its inverse.

    Raises
    ------
    ValueError
        Where the equations or settings have no counterpart in CasADi.
    """

    def __init__(
        self, problem: Problem, settings: Settings, *, stop_at_saves: bool = False
    ) -> None:
        self.problem = problem
        self.equations: Equations = trace(problem, settings.method.name)
        self.plan: Schedule = schedule(_saved_at_edges(problem, stop_at_saves))
        sizes = flat_system(problem).parameter_sizes(pack(problem.params), self.plan.span)
        self.theta_scale = ca.DM(sizes)
        y_scale, abstol = _state_scale(problem, settings.atol)
        self._options = _options(settings, abstol)
        self._variables = self._chosen_variables(y_scale, settings)
        self.units, self.to_units = self._variables.units, self._variables.to_units
        self._consistent = None
        if self._variables.n_differential < problem.n_states:
            self._consistent = consistent_values(problem, self.equations, self._variables)
        self._library = settings.solver.partition("-")[0]
        self._first_step = settings.first_step
        self.max_steps = settings.max_steps
        _check_times(self.plan, settings)

    def _chosen_variables(self, y_scale: np.ndarray, settings: Settings) -> Variables:
        if self.problem.mass is not None:
            return semi_explicit(self.problem, self.equations, y_scale)
        n = self.problem.n_states
        order: Sequence[int] = range(n)
        if settings.solver == "cvodes":
            self._options["linear_solver"], order = linear_system(self.equations.rhs)
        to_units = ca.diag(ca.DM(1 / y_scale))[order, :]
        return Variables(ca.diag(ca.DM(y_scale))[:, order], to_units, to_units, n)

    def integrators(self, **options: Any) -> tuple[ca.Function, ...]:
        """One integrator a segment, in scaled variables."""
        return tuple(self._integrator(segment, options) for segment in self.plan.segments)

    def _integrator(self, segment: Segment, more: Mapping[str, Any]) -> ca.Function:
        rhs, r = self.equations.rhs, self._variables.n_differential
        t, y, p = symbols(rhs)
        x, z = y.sym("x", r), y.sym("z", self.problem.n_states - r)
        # Evaluated at the very ends of a segment, the equations must not see the other side.
        inside = ca.fmin(ca.fmax(t, segment.lowest), segment.highest)
        rows = self._variables.rows @ rhs(
            inside, self.units @ ca.vertcat(x, z), p * self.theta_scale
        )
        options = {**self._options, **more}
        dae = {"t": t, "x": x, "p": p, "ode": ca.densify(rows[:r])}
        if self._consistent is not None:
            alg = COSTATE_UNIT * rows[r:] if "nadj" in more else rows[r:]
            dae |= {"z": z, "alg": ca.densify(alg)}
            options |= _algebraic_options(segment)
        times = [float(self.plan.save_at[i]) for i in segment.saves]
        if self._first_step is not None and segment is self.plan.segments[0]:
            options["step0"] = self._first_step
        return ca.integrator(
            "solve", self._library, dae, segment.start, [*times, segment.stop], options
        )

    def inputs(self) -> tuple[ca.MX, ca.MX]:
        """Symbols of start value and parameters."""
        return ca.MX.sym("y0", self.problem.n_states), ca.MX.sym("theta", self.problem.n_params)

    def start(self, y: ca.MX) -> dict[str, ca.MX]:
        """The start value of an integrator, of states as columns."""
        split, r = self.to_units @ y, self._variables.n_differential
        return {"x0": split[:r, :], "z0": split[r:, :]}

    def scaled(self, y: ca.MX, theta: ca.MX) -> dict[str, ca.MX]:
        """The arguments of an integrator."""
        return {**self.start(y), "p": theta / self.theta_scale}

    def states(self, found: Mapping[str, ca.MX]) -> ca.MX:
        """The states that an integrator returned, as columns."""
        return self.units @ ca.vertcat(found["xf"], found["zf"])

    def seeds(self, costates: ca.MX) -> dict[str, ca.MX]:
        """The arguments of an adjoint integrator, of costates that z has no share in."""
        return {"adj_xf": (self.units.T @ costates)[: self._variables.n_differential, :]}

    def costate(self, found: Mapping[str, ca.MX]) -> ca.MX:
        """The costate at the start that an adjoint integrator returned."""
        return self.to_units[: self._variables.n_differential, :].T @ found["adj_x0"]

    def maps_at_start(self) -> list[ca.Function]:
        """What happens to the start value, as functions ``(y, theta) -> y``."""
        return self._made_consistent(0)

    def maps_after(self, segment: Segment) -> list[ca.Function]:
        """What happens to the state at the end of a segment, in order: jumps, consistent values."""
        jumps = [self.equations.jump(i) for i in segment.jumps]
        return jumps + self._made_consistent(self.plan.segments.index(segment) + 1)

    def _made_consistent(self, number: int) -> list[ca.Function]:
        """Where there are algebraic equations: values that fulfil them as they are behind."""
        if self._consistent is None:
            return []
        segments = self.plan.segments
        behind = segments[number].lowest if number < len(segments) else segments[-1].highest
        return [self._consistent(behind)]


def _options(settings: Settings, abstol: float) -> dict[str, Any]:
    rtol = np.unique(settings.rtol)
    if rtol.size > 1:
        raise ValueError(
            f"rtol={settings.rtol!r}: CVODES has one relative tolerance for all components; "
            f"pass one number, for example rtol={float(rtol.min())!r}, and an array as atol"
        )
    return {
        **SOLVER_OPTIONS[settings.solver],
        "reltol": float(rtol[0]),
        "abstol": abstol,
        "max_num_steps": settings.max_steps,
        # Breakdowns are told by the status.
        "disable_internal_warnings": True,
        "show_eval_warnings": False,
    }


def _algebraic_options(segment: Segment) -> dict[str, Any]:
    """Options of IDAS for algebraic equations in a segment.

    With the algebraic variables in the error test every second step of the transistor amplifier
    fails, and their number grows as 1 / ``rtol``.
    """
    return {
        "suppress_algebraic": True,
        "first_time": segment.start + FIRST_TIME * (segment.stop - segment.start),
    }


def _state_scale(problem: Problem, atol: float | np.ndarray) -> tuple[np.ndarray, float]:
    """The unit of each component, and the absolute tolerance in these units."""
    smallest = float(np.min(atol))
    units = np.broadcast_to(np.asarray(atol) / smallest, problem.y0.shape)
    return units.ravel(), smallest


def _saved_at_edges(problem: Problem, stop_at_saves: bool) -> Problem:
    """The problem with saves that are beside a discontinuity by rounding alone put onto it.

    The state is continuous there, and CasADi cannot step from one to the other. Where asked for
    the other saves become discontinuities as well.
    """
    saves = problem.save_at.copy()
    for time in problem.discontinuities:
        beside = np.abs(saves - time) <= 4 * np.spacing(np.abs(saves))
        if np.count_nonzero(beside) == 1:
            saves[beside] = time
    stops = (*problem.discontinuities, *saves) if stop_at_saves else problem.discontinuities
    return dataclasses.replace(problem, save_at=saves, discontinuities=stops)


def _check_times(plan: Schedule, settings: Settings) -> None:
    edges = [plan.t0, *plan.save_at, *(segment.stop for segment in plan.segments)]
    gap = np.diff(np.unique(edges)).min()
    if gap < CLOSEST_TIMES:
        raise ValueError(
            f"method={settings.method.name!r} takes times closer than {CLOSEST_TIMES} for the "
            f"same, and the problem has two {gap:.1e} apart; measure time in a smaller unit"
        )
