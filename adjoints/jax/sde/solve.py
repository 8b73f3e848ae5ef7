"""``solve_sde``: an adaptive solver of stochastic equations, differentiable over its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ...arguments import check_choices, check_name, positive_int
from ...steps.stochastic_tableaus import STOCHASTIC_TABLEAUS
from ..config import WINDOW
from ..inputs import (
    checked_array,
    checked_size,
    checked_state,
    checked_steps,
    checked_tolerance,
    constant_size,
)
from ..times import check_known_times, soundness
from .adjoint import solve_outputs
from .config import ADAPTIVE, CONSTANT, GIVEN, Config, Operands
from .functions import check_terms, terms_of_equation
from .inputs import checked_key, levels_of, pieces_needed
from .solution import StochasticSolution, solution_of
from .tree import Tree as BrownianTree

Tree = Any
ADJOINTS = ("discrete", "forward")


def solve_sde(
    drift: Callable[..., Any],
    diffusion: Callable[..., Any],
    y0: Any,
    save_at: Any,
    params: Tree = None,
    *,
    key: Any,
    t0: Any = 0.0,
    solver: str = "sriw1",
    adjoint: str = "discrete",
    rtol: Any = 1e-2,
    atol: Any = 1e-2,
    max_steps: int = 4096,
    first_step: Any = None,
    steps: tuple[Any, Any] | None = None,
    step_size: Any = None,
    error_norm: str = "scaled",
    reduction: str = "sum",
    path_resolution: float | None = None,
) -> StochasticSolution:
    """Solve ``dy = drift(t, y, params) dt + diffusion(t, y, params) dW`` (Ito) from `t0`.

    The noise is diagonal: one Brownian motion a component. Composes with ``jit``, ``vmap``,
    ``grad`` and ``jacrev``, and ``jacfwd(grad)`` is the Hessian. Gradients are pathwise, those of
    the solve for this path and these steps; they flow to `y0`, `params` and traced values that the
    functions close over.

    Parameters
    ----------
    drift, diffusion : callable
        Of ``(t, y, params)``, arrays of the shape and dtype of `y0`; without `params` of
        ``(t, y)``.
    y0 : array
        The start value, any shape; its dtype is the solve's dtype.
    save_at : array, shape (m,)
        Times in order, none before `t0`; the solve steps onto each and ends with the last.
    params : pytree
        Arrays and floats are parameters.
    key : array
        Of ``jax.random``. The same key, `t0` and `save_at` are the same path, whatever the solver,
        the tolerances and the steps; see :class:`~adjointbench.adjoints.jax.sde.BrownianPath`.
    t0 : float
        The start time.
    solver : {"sriw1", "sra1", "sosri2"}
        ``"sriw1"``: strong order 1.5 where component i of the diffusion depends on component i of
        the state alone, 0.5 where the components mix; ``"sra1"``: of the same order for additive
        noise, a diffusion that does not depend on the state, at two diffusions a step instead of
        four; ``"sosri2"``: more stable, with a stiffness estimate.
    adjoint : {"discrete", "forward"}
        The exact derivative of the accepted steps, in reverse, or in forward mode (``jax.jvp``,
        ``jax.jacfwd``).
    rtol, atol : float or array
        Tolerances; arrays of the shape of `y0` set them per component.
    max_steps : int
        Attempts allowed.
    first_step : float, optional
        The first step size.
    steps : tuple of array, optional
        ``(t, h)`` to take with no control, as ``solution.steps`` gives them: from `t0` on, one
        after the other, and onto every save.
    step_size : float, optional
        Between two saves, equal steps of this size at most, with no control.
    error_norm : {"scaled", "absolute"}
        Whether the estimates divide the embedded error by the tolerances (root mean square) or
        take its Euclidean norm.
    reduction : {"sum", "mean", "max"}
        Over the accepted steps.
    path_resolution : float, optional
        The shortest step, as a share of the time between two saves (default ``2**-20``). A solve
        that needs a shorter one ends with the status ``"step_too_small"``.

    Returns
    -------
    StochasticSolution
        Breakdown is told by its ``status``; the values are NaN then, and so are gradients.

    Raises
    ------
    ValueError
        For arguments that make no sense.
    """
    check_name("solver", solver, tuple(STOCHASTIC_TABLEAUS))
    check_choices(adjoint, ADJOINTS, error_norm, reduction)
    start = checked_state(y0)
    times = checked_array("save_at", save_at, start.dtype)
    begin = checked_array("t0", t0, start.dtype)
    check_known_times(times, begin)
    words, kind = checked_key(key)
    given = checked_steps(steps, start.dtype)
    size = constant_size(step_size, None, begin, times[-1], steps=given, first_step=first_step)
    terms = terms_of_equation(drift, diffusion, params, start)
    tableau = STOCHASTIC_TABLEAUS[solver]
    check_terms(terms, start, additive=tableau.additive, solver=solver)
    numbers = {
        "rtol": checked_tolerance("rtol", rtol, start),
        "atol": checked_tolerance("atol", atol, start),
        "size": checked_size("first_step", first_step) if size is None else size,
    }
    ops = _operands(start.dtype, begin, times, terms.constants, words, given, numbers)
    allowed = positive_int("max_steps", max_steps) if given is None else len(given[0])
    if size is not None:
        allowed = max(allowed, pieces_needed(size, ops.starts, ops.ends))
    config = Config(
        drift=terms.drift,
        diffusion=terms.diffusion,
        tableau=tableau,
        tree=BrownianTree(start.shape, start.dtype, levels_of(path_resolution, start.dtype)),
        key_kind=kind,
        adjoint=adjoint,
        steps=GIVEN if given is not None else ADAPTIVE if size is None else CONSTANT,
        max_steps=allowed,
        window=WINDOW,
        error_norm=error_norm,
        reduction=reduction,
    )
    out = _jitted(config, start, terms.smooth, ops)
    for term in terms.written:
        term.note_changes()
    return solution_of(config, out, ops)


_jitted = jax.jit(solve_outputs, static_argnums=0)


def _operands(
    dtype: Any,
    t0: jax.Array,
    save_at: jax.Array,
    constants: Tree,
    key: jax.Array,
    steps: tuple[jax.Array, jax.Array] | None,
    numbers: dict[str, Any],
) -> Operands:
    """Arrays of one dtype for all that a solve reads, besides what is differentiated."""

    def array(value: Any) -> jax.Array:
        return jax.lax.stop_gradient(jnp.asarray(value, dtype))

    times = array(jnp.concatenate([t0[None], save_at]))
    return Operands(
        params=None,
        constants=constants,
        key=key,
        starts=times[:-1],
        ends=times[1:],
        rtol=array(numbers["rtol"]),
        atol=array(numbers["atol"]),
        size=None if numbers["size"] is None else array(numbers["size"]),
        given=None if steps is None else array(jnp.stack(steps, axis=1)),
        sound=soundness(t0, save_at, numbers.values()),
    )
