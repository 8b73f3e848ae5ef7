"""What a solve is given, checked: start value, tolerances, functions and names."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..arguments import (
    REAL_DTYPES,
    as_real,
    check_choices,
    check_jacobian,
    check_like_state,
    listed,
    number,
    positive,
    positive_int,
    tolerance,
)
from ..mass.matrix import MassMatrix
from ..mass.solvers import check_takes_mass, mass_of
from ..steps.stops import Stops
from .config import Config
from .continuous import CONTINUOUS
from .differentiable import ADJOINTS
from .times import known

#: More steps of one size would take hours, and are a slip.
MOST_STEPS = 10_000_000


def checked_array(argument: str, value: Any, dtype: Any = None) -> jax.Array:
    """`value` as an array, traced where its elements are: others stay known under ``jit``."""
    traced = any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(value))
    try:
        if value is None or isinstance(value, str | bool):
            raise TypeError(value)
        with nullcontext() if traced else jax.ensure_compile_time_eval():
            return jnp.asarray(value, dtype)
    except (TypeError, ValueError):
        as_real(argument, value)
        raise


def checked_state(y0: Any) -> jax.Array:
    """The start value as a floating array."""
    start = checked_array("y0", y0)
    if not start.size:
        raise ValueError(f"y0 has shape {start.shape}, no elements")
    if jnp.issubdtype(start.dtype, jnp.complexfloating):
        raise ValueError(f"y0 has dtype {start.dtype}; {REAL_DTYPES}")
    if not jnp.issubdtype(start.dtype, jnp.floating):
        return start.astype(jnp.result_type(float))
    return start


def checked_tolerance(argument: str, value: Any, y0: jax.Array, *, optional: bool = False) -> Any:
    """`value`, refused where it is known and no tolerance."""
    if optional and value is None:
        return None
    if (found := known(value)) is not None:
        tolerance(argument, found, y0.shape, y0.dtype)
    return value


def checked_steps(
    steps: Any, dtype: Any, *, backwards: bool = False
) -> tuple[jax.Array, jax.Array] | None:
    """Starts and sizes of given steps, in the direction of the solve."""
    if steps is None:
        return None
    parts = listed("steps", steps)
    if len(parts) != 2:
        raise ValueError(f"steps has {len(parts)} parts; pass (t, h), as solution.steps gives them")
    starts, sizes = (checked_array("steps", part, dtype) for part in parts)
    if starts.ndim != 1 or starts.shape != sizes.shape:
        raise ValueError(
            f"steps has shapes {starts.shape} and {sizes.shape}; pass two lists of one length, "
            "(t, h)"
        )
    if not starts.size:
        raise ValueError("steps has no step in it; pass some that lead from t0 to save_at[-1]")
    return (-starts, -sizes) if backwards else (starts, sizes)


def checked_size(argument: str, value: Any) -> Any:
    """`value`, refused where it is known and no step size."""
    if value is not None and (found := known(value)) is not None:
        positive(argument, found)
    return value


def constant_size(
    step_size: Any, number_of_steps: Any, t0: jax.Array, end: jax.Array, **others: Any
) -> Any:
    """The size of steps with no control; ``None`` where none are asked for.

    The `others` are arguments that would have their say in the size as well.
    """
    if step_size is None and number_of_steps is None:
        return None
    given = {"step_size": step_size, "number_of_steps": number_of_steps, **others}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise ValueError(f"{named[0]} and {named[1]} are both given; pass one of them")
    if number_of_steps is not None:
        return (end - t0) / positive_int("number_of_steps", number_of_steps)
    return checked_size("step_size", step_size)


def steps_needed(size: Any, t0: jax.Array, stops: Stops) -> int:
    """How many steps of one size there are from stop to stop, as far as that is known."""
    width, start = known(size), known(t0)
    times = np.array(stops.times[stops.first :])
    if width is None or start is None or not np.isfinite(times).all():
        return 0
    spans = np.diff(np.concatenate([[float(start)], times]))
    needed = np.ceil(spans / float(width)).sum() + len(times)
    if needed > MOST_STEPS:
        raise ValueError(f"{needed:g} constant steps are too many; take at most {MOST_STEPS:g}")
    return int(needed)


def checked_newton_tolerance(value: Any) -> float:
    """A share of the tolerance."""
    found = number("newton_tolerance", value)
    if not 0 < found < 1:
        raise ValueError(f"newton_tolerance={value!r} must lie between 0 and 1, as 0.01 does")
    return found


def checked_mass_of(mass: Any, y0: jax.Array, solver: str, adjoint: str) -> MassMatrix | None:
    """The mass matrix, refused where it is not known, or nothing for the solver or the adjoint."""
    if mass is None:
        return None
    if (held := known(mass)) is None:
        raise ValueError("mass is traced; it must be known, and is not differentiated")
    check_takes_mass(solver)
    if adjoint in CONTINUOUS:
        raise ValueError(
            f"adjoint={adjoint!r} does not take a mass matrix; use adjoint='discrete' or 'forward'"
        )
    return mass_of(held, y0.size, y0.dtype)


def check_config(
    config: Config, y0: jax.Array, smooth: list[jax.Array], constants: list[jax.Array]
) -> None:
    """Refuse names that are not known, what does not combine, and a misshapen right-hand side."""
    check_choices(config.adjoint, tuple(ADJOINTS), config.error_norm, config.reduction)
    if config.through_step_size and config.adjoint in CONTINUOUS:
        raise ValueError(
            f"differentiate_step_size=True: adjoint={config.adjoint!r} does not differentiate "
            "the steps; use adjoint='discrete' or 'forward'"
        )
    t = jax.ShapeDtypeStruct((), y0.dtype)
    slope = jax.eval_shape(config.rhs, t, y0, (smooth, constants))
    check_like_state("rhs", slope, y0)
    if config.jacobian is not None:
        matrix = jax.eval_shape(config.jacobian, t, y0, (smooth, constants))
        check_jacobian(matrix.shape, y0.size)
