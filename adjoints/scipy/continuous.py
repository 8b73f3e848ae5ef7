"""The continuous adjoint: integrated backwards along SciPy's dense output of the state.

With ``w = dloss/dy(t)`` the adjoint system

    w' = -w df/dy,    q' = -w df/dtheta,    w(t1) = q(t1) = 0,

runs backwards in time; at every save ``w`` takes up the loss's derivative there, and at a jump
both are pulled back through it. At the start ``w`` is the gradient with respect to ``y0`` and
``q``, together with the loss's direct dependence, the one with respect to the parameters [1]_.
The quadrature takes part in the error control; in which units is told in
:mod:`...adjoint_units`.

The state comes from the dense output of the forward solve, whose error (third order for Radau,
seventh for DOP853) enters the gradient; it needs memory for every forward step.

References
----------
.. [1] Y. Cao, S. Li, L. Petzold, R. Serban, "Adjoint sensitivity analysis for
   differential-algebraic equations", SIAM J. Sci. Comput. 24 (2003) 1076-1089.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...problems import Problem
from ..program import Settings
from .counted import Counts
from .derivatives import Derivatives, Key, Point
from .flat import FlatSystem, flat_system
from .found_sparsity import sparsity_of
from .integrate import IMPLICIT, ONE_STEP, TAKE_SPARSE, Options, Piece, integrate
from .primal import primal_loss, solve_primal
from .program import Outcome, ScipyProgram, flat_tolerance, forward_options, forward_stats
from .reverse_units import options_of, units_of
from .segments import Plan, Schedule, Segment, plan_of
from .trajectory import Trajectory, jumped

#: Adjoint systems above this size get a sparse Jacobian, whatever their entries.
DENSE_LIMIT = 200


@dataclass(frozen=True, eq=False)
class AdjointSolve:
    """What is solved forwards and then back: equations, times, and the two solvers' options."""

    system: FlatSystem
    plan: Plan
    options: Options
    reverse: Options

    def keys(self, *solvers: str) -> list[Key]:
        """The derivatives that :func:`solve_adjoint` takes, Jacobians where one is implicit."""
        own = self.system.jacobian_function is not None
        needed: list[Key] = [("parameter_vjp",) if own else ("vjp",)]
        if IMPLICIT.intersection(solvers):
            sparsity = self.system.sparsity
            if sparsity is not None:
                needed.append(("jacobian_entries",))
            if sparsity is not None and sparsity.whole is not None:
                needed.append(("whole_jacobian_entries",))
            else:
                needed.append(("parameter_jacobian",))
                needed += [] if own else [("jacobian",)]
        needed += [("jump_vjp", i) for i in self.plan.jumps]
        return needed + [("event_vjp", e) for e in range(len(self.system.events))]


def adjoint_solve(problem: Problem, settings: Settings, dtype: Any = np.float64) -> AdjointSolve:
    """How a problem is solved; backwards with a solver and tolerances of its own.

    `dtype` is what its derivatives are computed in.
    """
    options = forward_options(problem, settings)
    reverse = replace(
        options,
        solver=settings.adjoint_solver,
        rtol=flat_tolerance(settings.adjoint_rtol),
        atol=flat_tolerance(settings.adjoint_atol),
        first_step=None,
    )
    system = flat_system(problem, dtype)
    if TAKE_SPARSE.intersection((options.solver, reverse.solver)):
        system = replace(system, sparsity=sparsity_of(problem))
    return AdjointSolve(system, plan_of(problem, dtype), options, reverse)


def prepare(problem: Problem, settings: Settings) -> ScipyProgram:
    """The continuous adjoint of `problem`, derivatives compiled."""
    how = adjoint_solve(problem, settings)
    plan, options = how.plan, how.options
    derivatives = Derivatives(how.system)
    keys = how.keys(options.solver, how.reverse.solver)
    compile_s = derivatives.compile(*keys, ("loss_gradient",), saves=plan.saves)

    def compute(theta: np.ndarray, y0: np.ndarray) -> Outcome:
        with derivatives.active():
            return _gradient(derivatives, theta, y0, plan.at(theta), options, how.reverse)

    return ScipyProgram(problem, compute, primal_loss(derivatives, plan, options), compile_s)


def _gradient(
    derivatives: Derivatives,
    theta: np.ndarray,
    y0: np.ndarray,
    plan: Schedule,
    options: Options,
    reverse: Options,
) -> Outcome:
    point = derivatives.at(theta)
    trajectory = solve_primal(
        point, y0, plan, options, jacobian=point.jacobian_for_solver, keep=True
    )
    stats = forward_stats(trajectory.counts, derivatives=derivatives.source)
    if trajectory.status != "ok":
        return Outcome(status=trajectory.status, stats=stats)
    times = trajectory.event_times(point.system.times_seen)
    loss, dys, dtimes, direct = point.loss_gradient(trajectory.ys, times)
    if not np.isfinite(loss):
        return Outcome(status="nonfinite", stats=stats)
    adjoint = solve_adjoint(point, plan, trajectory, dys, reverse, dtimes)
    counts, ahead = adjoint.counts, trajectory.counts
    stats = replace(
        stats,
        reverse_steps=counts.steps,
        reverse_rejected=counts.rejected,
        reverse_rhs_evals=0,
        vjp_evals=counts.rhs_evals,
        jacobian_evals=ahead.jacobian_evals + counts.jacobian_evals,
        linear_solves=ahead.linear_solves + counts.linear_solves,
        saved_bytes=trajectory.saved_bytes(),
    )
    return Outcome(
        loss, direct + adjoint.dtheta, adjoint.dy0, adjoint.status, "reverse", stats=stats
    )


@dataclass
class Adjoint:
    """The cotangents of start value and parameters, and what it took."""

    status: str
    dy0: np.ndarray
    dtheta: np.ndarray
    counts: Counts = field(default_factory=Counts)


def solve_adjoint(
    point: Point,
    plan: Schedule,
    trajectory: Trajectory,
    dys: np.ndarray,
    options: Options,
    dtimes: np.ndarray,
) -> Adjoint:
    """Carry the cotangents of the saved states and of the times of events back to the start.

    Parameters
    ----------
    point : Point
        The derivatives, at the parameters.
    plan : Schedule
    trajectory : Trajectory
        The forward solve, with its dense output kept.
    dys : ndarray, shape (saves, n)
    options : Options
        Of the reverse solve.
    dtimes : ndarray, shape (max_events,)
        Those of events that did not happen do not count.
    """
    n, m = point.system.n, point.system.m
    dtimes = dtimes[: len(trajectory.events)]
    if not (np.isfinite(dys).all() and np.isfinite(dtimes).all()):
        return Adjoint("nonfinite", np.full(n, np.nan), np.full(m, np.nan))
    units = units_of(point, plan, trajectory, dys, dtimes, options)
    sizes = point.system.parameter_sizes(point.theta, plan.span)
    options = options_of(options, units, sizes, n)
    dys, of_times = dys / units.unit, (dtimes / units.unit).tolist()
    result = Adjoint("ok", np.zeros(n), np.zeros(m))
    z = np.zeros(n + m)
    solved = zip(reversed(trajectory.segments), reversed(trajectory.pieces), strict=True)
    for segment, piece in solved:
        z[:n] += dys[list(segment.end_saves)].sum(axis=0)
        if segment.event is not None:
            e, t = segment.event, segment.stop
            z = _added(point.event_vjp(e, t, piece.y, z[:n], of_times.pop()), z, n)
        z = _back_through_jumps(point, segment.jumps, segment.stop, piece.y, z)
        result.status, z = _back_over(point, segment, piece, plan, dys, z, options, result.counts)
        if result.status != "ok":
            return result
    z[:n] += dys[list(plan.start_saves)].sum(axis=0)
    z = _back_through_jumps(point, plan.start_jumps, plan.t0, trajectory.y0, z) * units.unit
    result.dy0, result.dtheta = z[:n], z[n:]
    return result


def _back_through_jumps(
    point: Point, numbers: tuple[int, ...], t: float, y: np.ndarray, z: np.ndarray
) -> np.ndarray:
    """``z = [w, q]`` before all jumps at the time `t`, where the state is `y`."""
    n = y.size
    states = jumped(point.jump, numbers, t, y)[:-1]
    for i, state in zip(reversed(numbers), reversed(states), strict=True):
        z = _added(point.jump_vjp(i, t, state, z[:n]), z, n)
    return z


def _added(pulled: np.ndarray, z: np.ndarray, n: int) -> np.ndarray:
    """``[w, q]`` before something that pulls ``w`` back to `pulled`, behind which they were `z`."""
    return np.hstack([pulled[:n], z[n:] + pulled[n:]])


def _back_over(
    point: Point,
    segment: Segment,
    piece: Piece,
    plan: Schedule,
    dys: np.ndarray,
    z: np.ndarray,
    options: Options,
    counts: Counts,
) -> tuple[str, np.ndarray]:
    """Integrate the adjoint over one segment, from save to save."""
    n = dys.shape[1]
    state = piece.dense()
    stops = [(float(plan.save_at[i]), i) for i in reversed(segment.saves)]
    t, first_step = segment.stop, None
    for stop, save in [*stops, (segment.start, None)]:
        if z.any() and stop != t:
            rates, jacobian = _adjoint_equations(point, segment, state, t, n)
            step = replace(options, first_step=first_step)
            done = integrate(rates, 0.0, t - stop, z, step, counts, jacobian=jacobian)
            if done.status != "ok":
                return done.status, z
            z = done.y
            first_step = done.next_step if options.solver in ONE_STEP else None
        t = stop
        if save is not None:
            z = np.hstack([z[:n] + dys[save], z[n:]])
    return "ok", z


def _adjoint_equations(
    point: Point, segment: Segment, state: Callable[[float], np.ndarray], t1: float, n: int
) -> tuple[Callable[[float, np.ndarray], np.ndarray], Callable[[float, np.ndarray], Any]]:
    """``rates(s, z)`` and its Jacobian, for ``z = [w, q]`` and the time ``s = t1 - t`` run back.

    Counted from where the solver starts, the time has room for the small steps that a stiff
    adjoint begins with, however large ``t1`` is.
    """
    lowest, highest = segment.lowest, segment.highest

    def inside(s: float) -> float:
        return min(max(t1 - s, lowest), highest)

    def rates(s: float, z: np.ndarray) -> np.ndarray:
        return point.vjp(inside(s), state(t1 - s), z[:n])

    def jacobian(s: float, z: np.ndarray) -> Any:
        t, y = inside(s), state(t1 - s)
        if z.size > DENSE_LIMIT or point.system.sparsity is not None:
            return point.whole_jacobian(t, y).T.tocsc()
        both = np.hstack([point.jacobian(t, y), point.parameter_jacobian(t, y)]).T
        return np.hstack([both, np.zeros((z.size, z.size - n))])

    return rates, jacobian
