"""Times that the parameters decide: when an input switches, or a dose is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from .functions import joined

#: An array of whatever framework runs the problem: NumPy, JAX or PyTorch.
Array = Any


class MovingTimes(tuple[float, ...]):
    """Declared times that are functions of the parameters.

    A tuple of their values at a problem's own parameters.

    Attributes
    ----------
    given : callable or tuple
        What was declared: ``times(p)``, or numbers and names of parameters.
    """

    given: Any

    def __new__(cls, given: Any, p: Mapping[str, np.ndarray]) -> MovingTimes:
        """Evaluate `given` at `p`."""
        found = super().__new__(cls, ())
        found.given = given
        values = np.asarray(found.at(p))
        if values.dtype.kind != "f":
            raise ValueError(f"times that are functions of p must be floating, got {values.dtype}")
        made = super().__new__(cls, values.tolist())
        made.given = given
        return made

    def at(self, p: Mapping[str, Array]) -> Array:
        """The times at the parameters `p`: one axis, in their namespace, in declared order."""
        if callable(self.given):
            like = next(value for value in p.values() if _is_floating(value))
            found = self.given(p)
            if isinstance(found, list | tuple):
                found = joined(list(found), _flat(like))
            return _flat(found)
        like = next(p[name] for name in self.given if isinstance(name, str))
        xp = array_namespace(like)
        parts = [
            _flat(p[part]) if isinstance(part, str) else xp.full_like(_flat(like)[:1], part)
            for part in self.given
        ]
        return xp.concat(parts)


def moving_or_given(
    argument: str, times: Any, params: Mapping[str, np.ndarray], p: Mapping[str, np.ndarray]
) -> Any:
    """`times` as :class:`MovingTimes` where parameters decide them, else as they are.

    Raises
    ------
    ValueError
        For a name that is no parameter's, or a function that fails.
    """
    if isinstance(times, MovingTimes):
        times = times.given
    given = times if callable(times) else _with_names(argument, times, params)
    if given is None:
        return times
    try:
        found = MovingTimes(given, p)
    except Exception as error:
        raise ValueError(
            f"{argument} raised {type(error).__name__} ({error}); as a function it is called as "
            f"{argument}(p), and returns the times as one array or a list of them"
        ) from error
    if not np.isfinite(found).all():
        raise ValueError(f"{argument} has {list(found)}; every time must be finite")
    return found


def _with_names(
    argument: str, times: Any, params: Mapping[str, np.ndarray]
) -> tuple[float | str, ...] | None:
    """The declared times, where a name is among them."""
    listed: Any = [times] if isinstance(times, str) else times
    if isinstance(listed, np.ndarray) or not any(isinstance(part, str) for part in listed):
        return None
    for part in listed:
        if isinstance(part, str) and part not in params:
            raise ValueError(
                f"{argument} has {part!r}, which is no parameter; params has {', '.join(params)}"
            )
    return tuple(part if isinstance(part, str) else float(part) for part in listed)


def times_at(times: Any, p: Mapping[str, Array]) -> Any:
    """Declared times at the parameters `p`: an array where they move, else as declared."""
    return times.at(p) if isinstance(times, MovingTimes) else times


def moves(problem: Any) -> bool:
    """Whether parameters decide any declared time of `problem`."""
    declared = (problem.discontinuities, problem.jump_times)
    return any(isinstance(times, MovingTimes) for times in declared)


def _flat(value: Array) -> Array:
    return array_namespace(value).reshape(value, (-1,))


def _is_floating(value: Array) -> bool:
    # Complex where a complex step perturbs a parameter, and objects where equations are traced.
    return not array_namespace(value).isdtype(value.dtype, ("integral", "bool"))
