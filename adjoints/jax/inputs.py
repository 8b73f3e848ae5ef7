"""What a solve is given, checked: start value, tolerances, functions and names."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ..arguments import REAL_DTYPES, check_choices, check_like_state, positive, tolerance
from .config import Config
from .continuous import CONTINUOUS
from .differentiable import ADJOINTS
from .times import known


def checked_state(y0: Any) -> jax.Array:
    """The start value as a floating array."""
    start = jnp.asarray(y0)
    if jnp.issubdtype(start.dtype, jnp.complexfloating):
        raise ValueError(f"y0 has dtype {start.dtype}; {REAL_DTYPES}")
    if not jnp.issubdtype(start.dtype, jnp.floating):
        return start.astype(jnp.result_type(float))
    return start


def checked_tolerance(argument: str, value: Any, y0: jax.Array) -> Any:
    """`value`, refused where it is known and no tolerance."""
    if value is not None and (found := known(value)) is not None:
        tolerance(argument, found, y0.shape)
    return value


def checked_first_step(value: Any) -> Any:
    """`value`, refused where it is known and no step size."""
    if value is not None and (found := known(value)) is not None:
        positive("first_step", found)
    return value


def checked_newton_tolerance(value: Any) -> float:
    """A share of the tolerance."""
    if not 0 < float(value) < 1:
        raise ValueError(f"newton_tolerance={value!r} must lie between 0 and 1, as 0.01 does")
    return float(value)


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
        if matrix.shape != (y0.size, y0.size):
            raise ValueError(
                f"jacobian returned shape {matrix.shape}; y0 has {y0.size} components, and "
                f"jacobian must return shape {(y0.size, y0.size)}"
            )
