"""What a call of SciPy's solvers from another framework is made of, the same for each framework."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from .flat import FlatSystem
from .integrate import Options
from .program import flat_tolerance
from .segments import Schedule, make_schedule

#: ``(t0, save_at, discontinuities, jump_times)``.
Times = tuple[float, tuple[float, ...], tuple[float, ...], tuple[float, ...]]


def increasing_times(save_at: Any, t0: float) -> tuple[float, ...]:
    """The save times, which must increase strictly, from `t0` on; ``ValueError`` otherwise."""
    times = tuple(float(t) for t in np.atleast_1d(np.asarray(save_at)))
    if not times or times[0] < t0 or any(a >= b for a, b in itertools.pairwise(times)):
        raise ValueError(f"save_at={save_at!r} must increase strictly, from t0={t0!r} on")
    return times


def hashable(tolerance: float | np.ndarray) -> Any:
    """A number, or a tuple in place of an array, so that options can be a key."""
    return float(tolerance) if np.ndim(tolerance) == 0 else tuple(np.ravel(tolerance).tolist())


def with_arrays(options: Options) -> Options:
    """`options` with arrays again in place of tuples."""
    rtol, atol = flat_tolerance(options.rtol), flat_tolerance(options.atol)
    return replace(options, rtol=rtol, atol=atol)


def flat_equations(
    functions: tuple[Any, Any, Any],
    unflatten: Callable[[list[Any]], Any],
    leaf_types: Sequence[tuple[tuple[int, ...], str]],
    shape: tuple[int, ...],
    times: Times,
) -> tuple[FlatSystem, Schedule]:
    """The equations of a call on flat vectors, and when they are solved.

    Parameters
    ----------
    functions : tuple
        Right-hand side, Jacobian and jump, the last two of which may be ``None``.
    unflatten : callable
        Makes the parameters as the functions take them from the list of their leaves.
    leaf_types : sequence of (shape, dtype)
        Of the leaves, in the order in which they stand in the flat vector of parameters.
    shape : tuple of int
        Of the state.
    times : tuple
    """
    rhs, jacobian, jump = functions

    def arguments(theta: Any, constants: Any) -> Any:
        del constants
        leaves, start = [], 0
        for leaf_shape, dtype in leaf_types:
            stop = start + int(np.prod(leaf_shape, dtype=int))
            leaf = theta[start:stop].reshape(leaf_shape)
            if "float" not in dtype:
                xp = array_namespace(leaf)
                leaf = xp.astype(leaf, getattr(xp, dtype))
            leaves.append(leaf)
            start = stop
        return unflatten(leaves)

    system = FlatSystem(
        function=rhs,
        arguments=arguments,
        shape=shape,
        n=int(np.prod(shape, dtype=int)),
        m=sum(int(np.prod(s, dtype=int)) for s, _ in leaf_types),
        constants={},
        jump_function=jump,
        jacobian_function=jacobian,
    )
    t0, save_at, discontinuities, jump_times = times
    return system, make_schedule(t0, np.array(save_at), discontinuities, jump_times)
