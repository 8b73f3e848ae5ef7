"""What a call of SciPy's solvers from another framework is made of, the same for each framework."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypedDict

import numpy as np
from array_api_compat import array_namespace

from ..arguments import (
    REAL_DTYPES,
    check_name,
    check_times,
    number,
    positive,
    positive_int,
    tolerance,
)
from ..methods.method import SCIPY_SOLVERS
from ..steps.stops import check_jumps
from .continuous import AdjointSolve
from .flat import FlatSystem
from .integrate import Options
from .program import flat_tolerance
from .segments import fixed_plan, make_schedule


class BlackboxOptions(TypedDict, total=False):
    """The optional arguments of ``blackbox_solve``, the same on each framework.

    Attributes
    ----------
    solver : {"rk45", "dop853", "radau", "bdf", "lsoda"}
        By default ``"dop853"``.
    rtol, atol : float or ndarray
        Tolerances, by default 1e-6 and 1e-9; arrays of the shape of `y0` set them per component.
    adjoint_solver, adjoint_rtol, adjoint_atol
        Those of the reverse solve; the forward ones by default.
    first_step : float or None
    max_steps : int
        Attempted steps allowed, forward and reverse each, by default 16384.
    jacobian : callable or None
        ``jacobian(t, y, params) -> (n, n)``, on NumPy.
    discontinuities, jump_times, jump
        As in :class:`~adjointbench.problems.Problem`, known beforehand. Jumps may be at `t0` as
        well, and several at one time, which act in order.
    """

    solver: str
    rtol: float | np.ndarray
    atol: float | np.ndarray
    adjoint_solver: str | None
    adjoint_rtol: float | np.ndarray | None
    adjoint_atol: float | np.ndarray | None
    first_step: float | None
    max_steps: int
    jacobian: Callable[..., Any] | None
    discontinuities: Sequence[float]
    jump_times: Sequence[float]
    jump: Callable[..., Any] | None


#: The arguments that are times.
TIMES = ("t0", "save_at", "discontinuities", "jump_times")


class Times(NamedTuple):
    """Start, saves, discontinuities and jumps of a call."""

    t0: float
    save_at: tuple[float, ...]
    discontinuities: tuple[float, ...]
    jump_times: tuple[float, ...]


@dataclass(frozen=True)
class Call:
    """The checked arguments of one call, which can be a key.

    Attributes
    ----------
    functions : tuple
        Right-hand side, Jacobian and jump, the last two of which may be ``None``.
    shape : tuple of int
        Of the state.
    dtype : str
        Of the state, ``"float32"`` or ``"float64"``.
    leaf_types : tuple of (shape, dtype)
        Of the arrays of parameters, in the order in which they stand in the flat vector.
    times : Times
    options, reverse : Options
        Of the forward and the reverse solve, with tuples in place of arrays.
    """

    functions: tuple[Any, Any, Any]
    shape: tuple[int, ...]
    dtype: str
    leaf_types: tuple[tuple[tuple[int, ...], str], ...]
    times: Times
    options: Options
    reverse: Options


def checked_call(
    rhs: Callable[..., Any],
    y0: Any,
    leaf_types: Sequence[tuple[tuple[int, ...], str]],
    *,
    t0: Any,
    save_at: Any,
    discontinuities: Iterable[float] = (),
    jump_times: Iterable[float] = (),
    jump: Callable[..., Any] | None = None,
    jacobian: Callable[..., Any] | None = None,
    **options: Any,
) -> Call:
    """The arguments of a call of the black box, checked: see :class:`BlackboxOptions`.

    Raises
    ------
    ValueError
        For arguments that make no sense, naming the argument, the value and the remedy.
    """
    shape, dtype = tuple(y0.shape), _name_of(y0.dtype)
    _check_types(dtype, leaf_types)
    check_jumps(jump_times, jump)
    forward, reverse = _checked_options(shape, **options)
    return Call(
        (rhs, jacobian, jump),
        shape,
        dtype,
        tuple(leaf_types),
        _checked_times(t0, save_at, discontinuities, jump_times, dtype),
        forward,
        reverse,
    )


def _checked_options(
    shape: tuple[int, ...],
    *,
    solver: str = "dop853",
    rtol: Any = 1e-6,
    atol: Any = 1e-9,
    adjoint_solver: str | None = None,
    adjoint_rtol: Any = None,
    adjoint_atol: Any = None,
    first_step: float | None = None,
    max_steps: int = 16384,
) -> tuple[Options, Options]:
    """Options of both solves, with tuples in place of arrays."""
    for argument, name in (("solver", solver), ("adjoint_solver", adjoint_solver or solver)):
        check_name(argument, name, SCIPY_SOLVERS)
    tolerances = {
        "rtol": rtol,
        "atol": atol,
        "adjoint_rtol": rtol if adjoint_rtol is None else adjoint_rtol,
        "adjoint_atol": atol if adjoint_atol is None else adjoint_atol,
    }
    rtol, atol, adjoint_rtol, adjoint_atol = (
        _hashable(tolerance(argument, value, shape)) for argument, value in tolerances.items()
    )
    steps = positive_int("max_steps", max_steps)
    first_step = None if first_step is None else positive("first_step", first_step)
    return (
        Options(solver, rtol, atol, steps, first_step),
        Options(adjoint_solver or solver, adjoint_rtol, adjoint_atol, steps),
    )


def _name_of(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _check_types(dtype: str, leaf_types: Sequence[tuple[tuple[int, ...], str]]) -> None:
    if dtype not in ("float32", "float64"):
        raise ValueError(f"y0 has dtype {dtype}; {REAL_DTYPES}")
    for _, leaf in leaf_types:
        if leaf.startswith("complex"):
            raise ValueError(f"params has an array of dtype {leaf}; {REAL_DTYPES}")


def _checked_times(
    t0: Any, save_at: Any, discontinuities: Iterable[float], jump_times: Iterable[float], dtype: str
) -> Times:
    start, saves = number("t0", t0), np.atleast_1d(np.asarray(save_at, dtype=np.float64))
    check_times(saves, start)
    # Of the rounded times too: those of one number are one time from here on.
    rounded = saves.astype(dtype)
    check_times(rounded, float(np.asarray(start, dtype)))
    return Times(
        float(np.asarray(start, dtype)),
        tuple(rounded.tolist()),
        tuple(float(t) for t in discontinuities),
        tuple(float(t) for t in jump_times),
    )


def _hashable(tolerance: float | np.ndarray) -> Any:
    """A number, or a tuple in place of an array, so that options can be a key."""
    return float(tolerance) if np.ndim(tolerance) == 0 else tuple(np.ravel(tolerance).tolist())


def _with_arrays(options: Options) -> Options:
    """`options` with arrays again in place of tuples."""
    rtol, atol = flat_tolerance(options.rtol), flat_tolerance(options.atol)
    return replace(options, rtol=rtol, atol=atol)


def solve_of_call(call: Call, unflatten: Callable[[list[Any]], Any]) -> AdjointSolve:
    """The equations of a call on flat vectors, and how they are solved.

    Parameters
    ----------
    call : Call
    unflatten : callable
        Makes the parameters as the functions take them from the list of their leaves.
    """
    rhs, jacobian, jump = call.functions

    def arguments(theta: Any, constants: Any) -> Any:
        del constants
        leaves, start = [], 0
        for leaf_shape, dtype in call.leaf_types:
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
        shape=call.shape,
        n=int(np.prod(call.shape, dtype=int)),
        sizes=tuple(int(np.prod(s, dtype=int)) for s, _ in call.leaf_types),
        constants={},
        jump_function=jump,
        jacobian_function=jacobian,
    )
    t0, save_at, discontinuities, jump_times = call.times
    plan = make_schedule(t0, np.array(save_at), discontinuities, jump_times, call.dtype)
    return AdjointSolve(
        system, fixed_plan(plan), _with_arrays(call.options), _with_arrays(call.reverse)
    )
