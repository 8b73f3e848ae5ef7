"""SciPy's solvers inside JAX programs: a solver that JAX cannot see into, differentiable.

>>> from adjointbench.adjoints.jax.blackbox import blackbox_solve
>>> ys = blackbox_solve(rhs, y0, save_at, params, solver="lsoda").ys  # doctest: +SKIP

Works under ``jit``, ``grad`` and ``vmap``, where the solver runs once a lane, one after the other.
What happens inside is told in :mod:`.blackbox_primitive`. Every call of ``rhs`` or its derivatives
crosses between JAX and Python, some hundred microseconds each time: for problems that SciPy is
needed for, not for speed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..scipy.blackbox_call import TIMES, BlackboxOptions, Call, checked_call, solve_of_call
from . import callback_arrays
from .blackbox_primitive import COUNTS, Blackbox, solve_blackbox

Tree = Any


class BlackboxSolution(NamedTuple):
    """What :func:`blackbox_solve` returns.

    Attributes
    ----------
    ys : array, shape ``(len(save_at), *y0.shape)``
        The states at the save times; NaN after a breakdown.
    status : int32 array
        Index into :data:`~adjointbench.adjoints.result.STATUSES`; 0 is ``"ok"``.
    steps, rejected, rhs_evals : int32 array
        Work of the forward solve; ``rejected`` is -1 where SciPy does not tell.
    """

    ys: jax.Array
    status: jax.Array
    steps: jax.Array
    rejected: jax.Array
    rhs_evals: jax.Array


def blackbox_solve(
    rhs: Callable[..., Any],
    y0: jax.Array,
    save_at: Sequence[float] | np.ndarray,
    params: Tree,
    *,
    t0: float = 0.0,
    **options: Unpack[BlackboxOptions],
) -> BlackboxSolution:
    """Solve ``y' = rhs(t, y, params)`` with a solver of SciPy, differentiably.

    Works under ``jit``, ``grad`` and ``vmap``.

    Parameters
    ----------
    rhs : callable
        ``rhs(t, y, params) -> dy/dt`` in the Python array API: it runs on NumPy for its values
        and on JAX for its derivatives. What it closes over gets no gradient.
    y0 : array
        Start value, of any shape, float32 or float64.
    save_at : sequence of float
        Times that do not decrease, from `t0` on. Not differentiated, and known when tracing.
    params : pytree of arrays
        Integer leaves stay integers and get no gradient.
    t0 : float
        Not differentiated, and known when tracing.
    **options
        Solver, tolerances, limits, Jacobian, discontinuities and jumps: see
        :class:`~adjointbench.adjoints.scipy.blackbox_call.BlackboxOptions`.

    Returns
    -------
    BlackboxSolution
        In the dtype of `y0`; SciPy itself computes in float64.

    Raises
    ------
    ValueError
        For arguments that make no sense, naming the argument, the value and the remedy.
    """
    given: dict[str, Any] = {"t0": t0, "save_at": save_at, **options}
    _refuse_traced({argument: given[argument] for argument in TIMES if argument in given})
    y0 = jnp.asarray(y0)
    leaves, structure = jax.tree.flatten(params)
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    leaf_types = [(leaf.shape, str(leaf.dtype)) for leaf in leaves]
    call = checked_call(rhs, y0, leaf_types, **given)
    box = _blackbox(call, structure)
    theta = callback_arrays.joined([leaf.astype(y0.dtype) for leaf in leaves], y0.dtype)
    probe = jnp.zeros(len(COUNTS), y0.dtype)
    ys, _, report = solve_blackbox(box, theta, y0.reshape(-1), probe, {})
    return BlackboxSolution(ys.reshape((-1, *y0.shape)), report[0], report[1], report[2], report[3])


def _refuse_traced(times: Mapping[str, Any]) -> None:
    for argument, value in times.items():
        if any(isinstance(part, Tracer) for part in jax.tree.leaves(value)):
            raise ValueError(
                f"{argument} is traced, and the solver has to know its times beforehand; pass "
                "numbers or a NumPy array, or use adjointbench.adjoints.jax.solve, which takes "
                "derivatives by times too"
            )


@functools.lru_cache(maxsize=64)
def _blackbox(call: Call, structure: Any) -> Blackbox:
    """The flat equations of a call, made once for each combination of arguments."""
    return Blackbox(solve_of_call(call, partial(jax.tree.unflatten, structure)))
