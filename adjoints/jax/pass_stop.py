"""What happens to state and slope at a stop."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from .config import Config
from .mass import after_stop
from .sides import clipper, time_limits
from .state import Operands, State

Tree = Any


def pass_stop(
    config: Config,
    state: State,
    ops: Operands,
    passes: jax.Array,
    t1: jax.Array,
    y1: jax.Array,
    slope: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """State and slope just after a stop, where the step passes one."""
    params = (ops.params, ops.constants)
    next_stop = jnp.minimum(state.stop + 1, ops.stops.last)
    after = y1
    if config.moves_at_stops:
        after = config.choose(
            passes,
            lambda number, t, y, ops: after_stop(config, number, t, y, ops),
            lambda number, t, y, ops: y,
            *(state.stop, t1, y1, ops),
        )
    if config.on_stop is None and not config.breaks:
        return after, slope
    sides = (time_limits(config, at, ops) for at in (state.stop, next_stop))
    before_clip, after_clip = map(clipper, sides)

    def renewed(before: Any, later: Any, y1: Any, after: Any, slope: Any, p: Tree) -> jax.Array:
        fresh = config.rhs(later, after, p)
        if not config.solver.keeps_slopes:
            return fresh
        # The slope of a diagonally implicit step is not quite that at its state: what a stiff
        # equation makes of the difference would be taken for an error of the next step.
        return slope + (fresh - config.rhs(before, y1, p))

    slope = config.choose(
        passes,
        renewed,
        lambda before, later, y1, after, slope, p: slope,
        *(before_clip(t1), after_clip(t1), y1, after, slope, params),
    )
    return after, slope
