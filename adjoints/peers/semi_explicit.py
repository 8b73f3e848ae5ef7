"""A problem with a mass matrix as CasADi takes it: differential and algebraic equations apart.

CasADi's form is ``x' = ode(t, x, z, p)``, ``0 = alg(t, x, z, p)``. With units ``D`` of the state,
``E`` of the equations and the singular value decomposition ``E^-1 M D = U S V^T``, the variables
``(x, z) = V^T D^-1 y`` have it: the rows of ``U^T E^-1 f`` that belong to a singular value, divided
by it, are the derivatives of x; the others are algebraic, of index 1 where their derivative by z is
regular [1]_. Consistent values keep x, and so ``M y``.

References
----------
.. [1] E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, Springer 1996, section
   VI.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import casadi as ca
import numpy as np

from ...problems import Problem
from ..scipy.flat import pack
from .casadi_equations import Equations, symbols

#: Newton's iteration for consistent values ends with a step or a residual this small, in units of
#: the largest algebraic variable at the start, or one.
LAST_STEP = 1e-12
MAX_ITERATIONS = 50


@dataclass(frozen=True)
class Variables:
    """What an integrator sees of a state and of its equations.

    Attributes
    ----------
    units, to_units : DM
        ``y = units @ (x, z)``, and its inverse.
    rows : DM
        ``rows @ rhs`` is ``(ode, alg)``.
    n_differential : int
        The length of x.
    """

    units: ca.DM
    to_units: ca.DM
    rows: ca.DM
    n_differential: int


def semi_explicit(problem: Problem, equations: Equations, units: np.ndarray) -> Variables:
    """The variables of ``M y' = f``, an orthogonal change from the state in its `units`.

    Algebraic rows are scaled: a residual is as large as the error of some algebraic variable.

    Raises
    ------
    ValueError
        Where the index is 2 or more at the problem's own values.
    """
    assert problem.mass is not None
    mass = problem.mass.astype(np.float64) * units
    norms = np.linalg.norm(mass, axis=1, keepdims=True)  # units of equations differ
    norms[norms == 0] = 1.0
    left, sizes, right = np.linalg.svd(mass / norms)
    kept = sizes > sizes[0] * sizes.size * np.finfo(problem.mass.dtype).eps
    columns, r = units[:, None] * right.T, int(np.count_nonzero(kept))
    rows = left.T / np.where(kept, sizes, 1.0)[:, None] / norms.T
    if r < sizes.size:
        rows[r:] /= _row_sizes(problem, rows[r:] @ _jacobian(problem, equations) @ columns[:, r:])
    return Variables(_sparse(columns), _sparse(right / units), _sparse(rows), r)


def _jacobian(problem: Problem, equations: Equations) -> np.ndarray:
    """Of the right-hand side by the state, at the problem's own values."""
    t, y, theta = symbols(equations.rhs)
    jacobian = ca.Function("jacobian", [t, y, theta], [ca.jacobian(equations.rhs(t, y, theta), y)])
    return jacobian(problem.t_span[0], problem.y0.ravel(), pack(problem.params)).full()


def _row_sizes(problem: Problem, jacobian: np.ndarray) -> np.ndarray:
    """The largest entry of each row of a matrix that must be regular."""
    sizes = np.abs(jacobian).max(axis=1)
    usable = np.isfinite(sizes).all() and sizes.all()
    rounding = 32 * sizes.size * np.finfo(np.float64).eps
    if usable and rounding * np.linalg.cond(jacobian / sizes[:, None]) < 1:
        return sizes[:, None]
    raise ValueError(
        f"problem {problem.name!r}: the algebraic equations do not determine the algebraic "
        "variables at y0, as their derivative by these is singular or not finite: the index is 2 "
        "or more; differentiate the constraints by time until it is 1, or start elsewhere"
    )


def _sparse(matrix: np.ndarray) -> ca.DM:
    """Without entries that rounding made: they would fill the Jacobians."""
    size = np.abs(matrix).max(axis=1, keepdims=True)
    return ca.sparsify(ca.DM(np.where(np.abs(matrix) < 1e-15 * size, 0.0, matrix)))


def consistent_values(
    problem: Problem, equations: Equations, variables: Variables
) -> Callable[[float], ca.Function]:
    """Maps of the state to values that fulfil the algebraic equations.

    Their derivatives are CasADi's of an implicit function: by x and the parameters, and zero by
    the z from which Newton's iteration starts.

    Returns
    -------
    callable
        From a time to a function ``(y, theta) -> y``.
    """
    root = _root(problem, equations, variables)

    def at(time: float) -> ca.Function:
        y, theta = ca.MX.sym("y", problem.n_states), ca.MX.sym("theta", problem.n_params)
        x, z = ca.vertsplit(variables.to_units @ y, [0, variables.n_differential, y.shape[0]])
        z = root(z, ca.vertcat(time, x, theta))
        return ca.Function("consistent", [y, theta], [variables.units @ ca.vertcat(x, z)])

    return at


def _root(problem: Problem, equations: Equations, variables: Variables) -> ca.Function:
    """``(z, (t, x, theta)) -> z`` with ``alg = 0``: fails, or is NaN, where none is found."""
    r = variables.n_differential
    t, y, theta = symbols(equations.rhs)
    residual = variables.rows[r:, :] @ equations.rhs(t, variables.units @ y, theta)
    start = (variables.to_units @ problem.y0.ravel().astype(np.float64))[r:]
    smallest = LAST_STEP * max(1.0, float(np.abs(start.full()).max()))
    options = {
        "abstol": smallest,
        "abstolStep": smallest,
        "max_iter": MAX_ITERATIONS,
        "show_eval_warnings": False,
    }
    system = {"x": y[r:], "p": ca.vertcat(t, y[:r], theta), "g": ca.densify(residual)}
    return ca.rootfinder("algebraic", "newton", system, options)
