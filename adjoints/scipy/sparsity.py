"""Jacobians of large systems by their entries, so that SciPy factorises sparse matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from ..linear_systems.colored_pattern import ColoredPattern

Array = Any


def entries_of(
    colored: ColoredPattern, function: Callable[[Array], Array], y: Array, jacfwd: Any
) -> Array:
    """Those of the Jacobian of `function` at `y`; rows that it does not have are zero."""
    xp, pattern = array_namespace(y), colored.pattern
    units = xp.asarray(colored.units.astype(float))
    columns = jacfwd(lambda along: function(y + along @ units))(
        xp.zeros(colored.products, dtype=y.dtype)
    )
    inside = pattern.rows < columns.shape[0]
    rows, colors = (np.where(inside, x, 0) for x in (pattern.rows, colored.colors[pattern.columns]))
    found = columns[xp.asarray(rows), xp.asarray(colors)]
    return found * xp.asarray(inside.astype(float))


class Sparsity(NamedTuple):
    """That of a system's Jacobian by its state, and by ``[y, theta]`` with empty rows below.

    The second is ``None`` where it is not sparse.
    """

    state: ColoredPattern
    whole: ColoredPattern | None
