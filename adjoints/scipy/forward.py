"""Forward sensitivity analysis: the state and its derivatives integrated together.

With ``S = dy/d(theta, y0)`` the augmented system is

    y' = f(t, y, theta),    S' = (df/dy) S + df/d(theta, y0),    S(t0) = [0, I],

and the gradient follows from the loss's derivative at the saves. The sensitivities take part in
the error control with the forward tolerances, divided by the size of what they are taken to: the
parameter, as in CVODES [1]_, or the state. Implicit solvers get the exact Jacobian of the
augmented system; large ones get it as a sparse matrix, whose blocks on the diagonal are all
``df/dy``.

References
----------
.. [1] A. C. Hindmarsh et al., "SUNDIALS: Suite of nonlinear and differential/algebraic equation
   solvers", ACM Trans. Math. Softw. 31 (2005) 363-396; section "Forward sensitivity analysis" of
   the CVODES manual.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from ...problems import Problem
from ..events.crossing import Passed
from ..program import Settings
from ..result import status_message
from .derivatives import Derivatives, Point
from .event_search import Search, search_of
from .flat import flat_system
from .integrate import IMPLICIT, Options
from .primal import primal_loss, solve_primal
from .program import Outcome, ScipyProgram, forward_options, forward_stats
from .segments import Schedule, plan_of
from .trajectory import Trajectory, solve

#: Augmented systems above this size get a sparse Jacobian.
DENSE_LIMIT = 200


def prepare(problem: Problem, settings: Settings) -> ScipyProgram:
    """Forward sensitivities of `problem`, derivatives compiled."""
    system, plan = flat_system(problem), plan_of(problem)
    options = forward_options(problem, settings)
    derivatives = Derivatives(system)
    needed: list[Any] = [("sensitivities",), ("loss_gradient",)]
    if system.jacobian_function is not None:
        needed = [("parameter_jacobian",), ("loss_gradient",)]
    elif options.solver in IMPLICIT:
        needed.append(("jacobian",))
    if options.solver in IMPLICIT:
        needed.append(("curvature",))
    needed += [("jump_jacobians", i) for i in plan.jumps]
    needed += [("event_jacobians", e) for e in range(len(system.events))]
    compile_s = derivatives.compile(*needed, saves=plan.saves)

    def compute(theta: np.ndarray, y0: np.ndarray) -> Outcome:
        with derivatives.active():
            return _gradient(derivatives, theta, y0, plan.at(theta), options)

    return ScipyProgram(problem, compute, primal_loss(derivatives, plan, options), compile_s)


def _gradient(
    derivatives: Derivatives, theta: np.ndarray, y0: np.ndarray, plan: Schedule, options: Options
) -> Outcome:
    point = derivatives.at(theta)
    trajectory = solve_sensitivities(point, y0, plan, options)
    counts = trajectory.counts
    columns = theta.size + y0.size
    stats = forward_stats(
        counts, jvp_evals=counts.rhs_evals * columns, derivatives=derivatives.source
    )
    if trajectory.status != "ok":
        message = _nonfinite_sensitivities(point, y0, plan, options, trajectory.status)
        return Outcome(status=trajectory.status, message=message, stats=stats)
    ys = trajectory.ys[:, : y0.size]
    rows = trajectory.ys[:, y0.size :].reshape(len(ys), columns, y0.size)
    times = trajectory.event_times(point.system.times_seen)
    loss, dys, dtimes, direct = point.loss_gradient(ys, times)
    total = np.einsum("si,sji->j", dys, rows)
    for event, dtime in zip(trajectory.events, dtimes, strict=False):
        number, held, _, before = event
        of_time = point.event_jacobians(number, held, before[: y0.size])[-1:]
        total += dtime * _carried(of_time, before, y0.size)[:, 0]
    return Outcome(loss, direct + total[: theta.size], total[theta.size :], stats=stats)


def _nonfinite_sensitivities(
    point: Point, y0: np.ndarray, plan: Schedule, options: Options, status: str
) -> str:
    """A sentence of its own where the state alone would have been finite."""
    if status != "nonfinite":
        return ""
    jacobian = point.jacobian if options.solver in IMPLICIT else None
    alone = solve_primal(point, y0, plan, options, jacobian=jacobian)
    return status_message(status, "reverse" if alone.status == "ok" else "forward")


def solve_sensitivities(
    point: Point, y0: np.ndarray, plan: Schedule, options: Options
) -> Trajectory:
    """Integrate state and sensitivities.

    Returns
    -------
    Trajectory
        Its states are ``[y, S]``, with one row of ``S`` for each parameter, then one for each
        start value.
    """
    n, m = y0.size, point.theta.size
    scale = _scale(point, y0, plan, options)
    start = np.hstack([y0, np.zeros(m * n), np.eye(n).ravel()])

    def jump(i: int, t: float, z: np.ndarray) -> np.ndarray:
        rows = _carried(point.jump_jacobians(i, t, z[:n]), z, n)
        return np.hstack([point.jump(i, t, z[:n]), rows.ravel()])

    return solve(
        point.sensitivities,
        start,
        plan,
        _augmented_options(options, scale, n),
        jump=jump,
        jacobian=lambda t, z: _augmented_jacobian(point, t, z, n),
        search=_search(point, options),
    )


def _search(point: Point, options: Options) -> Search | None:
    """The events, which act on state and sensitivities."""
    events, n = point.system.events, point.system.n

    def cross(e: int, t: float, z: np.ndarray) -> tuple[np.ndarray, Passed]:
        passed = point.passed(e, t, z[:n])
        state = passed.after if events[e].terminal else passed.held
        rows = _carried(point.event_jacobians(e, t, z[:n])[:n], z, n)
        return np.hstack([state, rows.ravel()]), passed

    return search_of(point, options, cross)


def _carried(jacobians: np.ndarray, z: np.ndarray, n: int) -> np.ndarray:
    """The sensitivities of what has the `jacobians` ``[d/dy, d/dtheta]``, in as many columns."""
    rows = z[n:].reshape(-1, n)
    after = rows @ jacobians[:, :n].T
    after[: len(rows) - n] += jacobians[:, n:].T
    return after


def _scale(point: Point, y0: np.ndarray, plan: Schedule, options: Options) -> np.ndarray:
    """The size of every parameter and start value."""
    # Of a state that starts from zero nothing is known but what its tolerances say.
    size = max(np.max(np.abs(y0)), np.max(np.asarray(options.atol) / options.rtol))
    sizes = point.system.parameter_sizes(point.theta, plan.span)
    return np.hstack([sizes, np.full(y0.size, size)])


def _augmented_options(options: Options, scale: np.ndarray, n: int) -> Options:
    """Tolerances for state and sensitivities, those of row ``j`` divided by ``scale[j]``."""
    rtol: float | np.ndarray = options.rtol
    if np.ndim(rtol):
        rtol = np.tile(rtol, 1 + scale.size)
    atol = np.broadcast_to(options.atol, (n,))
    rows = atol / scale[:, None]
    return replace(options, rtol=rtol, atol=np.hstack([atol, rows.ravel()]))


def _augmented_jacobian(point: Point, t: float, z: np.ndarray, n: int) -> Any:
    """The derivative of ``[f, S']`` in ``[y, S]``: lower triangular in blocks."""
    rows = z.size // n - 1
    block = point.jacobian(t, z[:n])
    coupling = point.curvature(t, z)
    if z.size <= DENSE_LIMIT:
        full = np.kron(np.eye(1 + rows), block)
        full[n:, :n] = coupling
        return full
    diagonal = sparse.block_diag([block] * (1 + rows), format="csc")
    below = sparse.vstack([sparse.csc_matrix((n, n)), sparse.csc_matrix(coupling)])
    return diagonal + sparse.hstack([below, sparse.csc_matrix((z.size, rows * n))], format="csc")
