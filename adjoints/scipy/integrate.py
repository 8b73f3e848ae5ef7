"""SciPy's adaptive solvers, stepped one accepted step at a time.

Stepping them here instead of calling ``solve_ivp`` gives what ``solve_ivp`` does not tell: the
number of accepted (and, for Runge-Kutta methods, rejected) steps, a limit on them, dense output
only where it is needed, and a status instead of a message.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from scipy import integrate as scipy_integrate

from .counted import Counts, Jacobian, NonfiniteJacobianError, WatchedRhs, watched_jacobian

# What a solver says about its own breakdown becomes a status; it need not warn as well. (A filter
# inside a `with` would not do: the solvers run in several threads, which share the filters.)
warnings.filterwarnings("ignore", message="lsoda: ", category=UserWarning)
warnings.filterwarnings("ignore", message="Diagonal number .* is exactly zero")

#: The solvers by name.
SOLVERS: dict[str, type[scipy_integrate.OdeSolver]] = {
    "rk45": scipy_integrate.RK45,
    "dop853": scipy_integrate.DOP853,
    "radau": scipy_integrate.Radau,
    "bdf": scipy_integrate.BDF,
    "lsoda": scipy_integrate.LSODA,
}

#: Solvers that use the Jacobian; LSODA only once it has found the problem to be stiff.
IMPLICIT = frozenset({"radau", "bdf", "lsoda"})

#: Solvers of one step, which keep their step size over a restart.
ONE_STEP = frozenset({"rk45", "dop853", "radau"})

#: Solvers that factorise sparse matrices; ODEPACK takes dense Jacobians only.
TAKE_SPARSE = frozenset({"radau", "bdf"})

#: Evaluations of one attempted step of the explicit Runge-Kutta methods, which is how their
#: rejected steps can be told from outside.
_EVALS_PER_ATTEMPT = {"rk45": 6, "dop853": 12}

#: A failed step counts as one with non-finite values where one was among its last evaluations.
_RECENT_EVALS = 12


@dataclass(frozen=True)
class Options:
    """Which solver, how accurate, and when to give up.

    ``rtol`` and ``atol`` are numbers or arrays of the size of the flat state.
    """

    solver: str
    rtol: float | np.ndarray
    atol: float | np.ndarray
    max_steps: int
    first_step: float | None = None


@dataclass
class Piece:
    """One smooth piece of a trajectory.

    Attributes
    ----------
    status : str
        One of :data:`~adjointbench.adjoints.result.STATUSES`.
    y : ndarray
        The state at the end of the piece.
    saved : list of ndarray
        The states at the times asked for.
    times, interpolants
        The accepted steps and their dense output, where it was to be kept.
    next_step : float or None
        The step size that the solver would have tried next.
    end : float
        The time of ``y``.
    located : tuple of (float, int) or None
        When and which event happens on the step that would come next, where one was found there.
    """

    status: str
    y: np.ndarray
    saved: list[np.ndarray] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    interpolants: list[Any] = field(default_factory=list)
    next_step: float | None = None
    end: float = math.nan
    located: tuple[float, int] | None = None

    def dense(self) -> Callable[[float], np.ndarray]:
        """The state as a function of time, where the interpolants were kept."""
        return scipy_integrate.OdeSolution(self.times, self.interpolants)

    def saved_bytes(self) -> int:
        """Bytes of the arrays kept for :meth:`dense`."""
        arrays = (a for piece in self.interpolants for a in vars(piece).values())
        return sum(a.nbytes for a in arrays if isinstance(a, np.ndarray))


class Watching(Protocol):
    """Looks for events on accepted steps."""

    def look(
        self, t0: float, t1: float, path: Callable[[Any], np.ndarray]
    ) -> tuple[str, float, int] | None:
        """Status, time and number of the first event between two times; ``None`` for none."""
        ...


def joined(first: Piece, second: Piece) -> Piece:
    """Two pieces, one after the other, as one."""
    return replace(
        second,
        saved=first.saved + second.saved,
        times=first.times + second.times[1:],
        interpolants=first.interpolants + second.interpolants,
    )


def integrate(
    rhs: Callable[[float, np.ndarray], np.ndarray],
    t0: float,
    t1: float,
    y0: np.ndarray,
    options: Options,
    counts: Counts,
    *,
    jacobian: Jacobian | None = None,
    save_at: Sequence[float] = (),
    keep: bool = False,
    watch: Watching | None = None,
) -> Piece:
    """Integrate ``y' = rhs(t, y)`` from `t0` to `t1`, forwards or backwards.

    Parameters
    ----------
    rhs : callable
        ``rhs(t, y)`` on flat float64 or complex128 vectors.
    t0, t1 : float
    y0 : ndarray, shape (n,)
    options : Options
        ``max_steps`` counts with the attempts already in `counts`.
    counts : Counts
        Added to.
    jacobian : callable, optional
        ``jacobian(t, y)``, dense or sparse, for implicit solvers; SciPy's finite differences
        otherwise.
    save_at : sequence of float
        Times strictly between `t0` and `t1`, in the order of the integration.
    keep : bool
        Whether to keep the dense output of all steps.
    watch : Watching, optional
        Finds events: the piece then ends with the last step before one.

    Returns
    -------
    Piece
        With a status other than ``"ok"`` where the solver broke down; never an exception for
        that.
    """
    watched = WatchedRhs(rhs, counts)
    if not np.isfinite(y0).all():
        return Piece("nonfinite", y0)
    try:
        with np.errstate(all="ignore"):
            solver = _make_solver(watched, t0, t1, y0, options, counts, jacobian)
            piece = _step_through(solver, watched, options, counts, save_at, keep, watch)
    except NonfiniteJacobianError:
        return Piece("nonfinite", y0)
    except RuntimeError as error:
        # SuperLU says so of a sparse matrix; any other RuntimeError is the caller's.
        if "singular" not in str(error):
            raise
        return Piece("linear_solve", y0)
    except ValueError:
        # SciPy's linear algebra refuses NaN so; any other ValueError is the caller's.
        if not watched.nonfinite_within(max(_RECENT_EVALS, 2 * y0.size)):
            raise
        return Piece("nonfinite", y0)
    counts.linear_solves += int(solver.nlu)
    return piece


def _make_solver(
    rhs: WatchedRhs,
    t0: float,
    t1: float,
    y0: np.ndarray,
    options: Options,
    counts: Counts,
    jacobian: Jacobian | None,
) -> scipy_integrate.OdeSolver:
    # Below this SciPy would warn, and take it all the same.
    rtol = np.maximum(options.rtol, 100 * np.finfo(np.float64).eps)
    arguments: dict[str, Any] = {"rtol": rtol, "atol": options.atol}
    if options.first_step is not None:
        arguments["first_step"] = min(options.first_step, abs(t1 - t0))
    if options.solver in IMPLICIT and jacobian is not None:
        dense = options.solver not in TAKE_SPARSE
        arguments["jac"] = watched_jacobian(jacobian, counts, dense=dense)
    newton = options.solver in TAKE_SPARSE
    if newton:
        # These two form their Newton tolerance from a single rtol; the error control below
        # takes one for each component all the same.
        arguments["rtol"] = float(np.min(rtol))
    solver = SOLVERS[options.solver](rhs, t0, y0, t1, **arguments)
    if newton:
        solver.rtol = rtol  # type: ignore[attr-defined]
    return solver


def _step_through(
    solver: Any,
    rhs: WatchedRhs,
    options: Options,
    counts: Counts,
    save_at: Sequence[float],
    keep: bool,
    watch: Watching | None,
) -> Piece:
    piece = Piece("ok", solver.y, times=[solver.t])
    per_attempt = _EVALS_PER_ATTEMPT.get(options.solver)
    counts.tells_rejected = per_attempt is not None
    if math.isnan(getattr(solver, "h_abs", 0.0)):
        # The right-hand side has no value at the start, and SciPy would try NaN for ever.
        piece.status = "nonfinite"
        return piece
    while solver.status == "running":
        if counts.attempts >= options.max_steps:
            piece.status = "max_steps"
            return piece
        before = counts.rhs_evals
        if watch is not None:
            # Some solvers write over it.
            piece.end, piece.y = solver.t, np.array(solver.y)
        _step(solver)
        attempts = (counts.rhs_evals - before) // per_attempt if per_attempt else 1
        counts.attempts += max(attempts, 1)
        piece.status = _status(solver, rhs)
        if piece.status != "ok":
            return piece
        if watch is not None and _event_found(piece, solver, watch):
            return piece
        counts.steps += 1
        _record(piece, solver, save_at, keep)
    piece.end, piece.y = solver.t, solver.y
    piece.next_step = getattr(solver, "h_abs", None)
    return piece


def _event_found(piece: Piece, solver: Any, watch: Watching) -> bool:
    """Whether something happens on the step just taken, which then does not count."""
    found = watch.look(solver.t_old, solver.t, solver.dense_output())
    if found is None:
        return False
    piece.status, time, number = found
    piece.located = (time, number) if piece.status == "ok" else None
    return True


def _step(solver: Any) -> None:
    try:
        solver.step()
    except Warning:  # where the user's filters turn warnings into errors
        solver.status = "failed"


def _status(solver: Any, rhs: WatchedRhs) -> str:
    if solver.status == "failed":
        return "nonfinite" if rhs.nonfinite_within(_RECENT_EVALS) else "step_too_small"
    if not np.isfinite(solver.y).all() or rhs.nonfinite_within(1):
        return "nonfinite"
    # LSODA does not fail where a step is too small to move the time; it goes on for ever.
    if solver.t == solver.t_old:
        return "step_too_small"
    return "ok"


def _record(piece: Piece, solver: Any, save_at: Sequence[float], keep: bool) -> None:
    """Keep what is wanted of the step just taken."""
    first = len(piece.saved)
    last = first
    while last < len(save_at) and solver.direction * (save_at[last] - solver.t) <= 0:
        last += 1
    if not keep and last == first:
        return
    interpolant = solver.dense_output()
    piece.saved.extend(interpolant(t) for t in save_at[first:last])
    if keep:
        piece.times.append(solver.t)
        piece.interpolants.append(interpolant)
