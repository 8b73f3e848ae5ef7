"""Where the Jacobians of a problem have entries, found by JAX."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ...problems import Problem
from ..linear_systems.choice import FEWEST_FOR_SUPERLU, has_few_entries
from ..linear_systems.colored_pattern import ColoredPattern, colored
from ..linear_systems.discovery import pattern_of, unseen_by_jax
from ..linear_systems.pattern import Pattern
from .flat import flat_system, pack
from .sparsity import Sparsity

Array = Any


@lru_cache(maxsize=64)
def sparsity_of(problem: Problem) -> Sparsity | None:
    """The patterns that JAX finds; ``None`` where dense matrices serve as well, or nobody knows."""
    own = problem.n_states < FEWEST_FOR_SUPERLU or problem.jacobian is not None
    if own or unseen_by_jax(problem):
        return None
    import jax

    system, n = flat_system(problem), problem.n_states
    theta = pack(problem.params)

    def by_state(t: Array, y: Array, read: tuple[Array, Any]) -> Array:
        return system.rhs(t, y, *read)

    def by_all(t: Array, z: Array, constants: Any) -> Array:
        return jax.numpy.concatenate([system.rhs(t, z[:n], z[n:], constants), 0.0 * z[n:]])

    with jax.enable_x64(True):
        state = _sparse(pattern_of(by_state, np.ravel(problem.y0), (theta, system.constants)))
        if state is None:
            return None
        z = np.hstack([np.ravel(problem.y0), theta])
        return Sparsity(state, _sparse(pattern_of(by_all, z, system.constants)))


def _sparse(found: Pattern | str) -> ColoredPattern | None:
    if isinstance(found, str):
        return None
    known = colored(found)
    return known if has_few_entries(known) else None
