"""Declared times that move, as jumps at times that are held.

At given parameters the times are known. What happens there is then a jump with a derivative of its
own (:func:`~.crossing.pass_declared`): so are times without a jump, at which only the right-hand
side changes. Whatever solves problems with jumps solves these too.

Times that coincide by chance, and not because the parameters put them at one place whatever their
values, have no derivative, and neither has one that moves and lies at the start or the end of the
span or at a save: what is saved would be before it if it came a little later.
:attr:`HeldTimes.defined` tells.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from ...problems import Problem
from ...problems.moving_times import MovingTimes, moves, times_at
from .crossing import Sides, Slope, pass_declared

#: An array of whatever framework runs the problem.
Array = Any
#: ``jump(i, t, y, p)``.
Jump = Callable[[int, Array, Array, Mapping[str, Array]], Array]

#: Relative change of the parameters by which times are told apart that only happen to coincide,
#: and by how much of it they are then apart at least.
MOVED, APART = 1e-7, 1e-4

#: Times of a float format that differ by so many units of rounding are the same.
_SAME = 4.0


@dataclasses.dataclass(frozen=True)
class HeldTimes:
    """The declared times of a problem at some parameters.

    Attributes
    ----------
    discontinuities : tuple of float
        Those that do not move.
    jump_times : tuple of float
        The declared times of jumps, and then the discontinuities that move: the numbers of
        :func:`held_jump`.
    defined : bool
        Whether there is a derivative by the times that move.
    """

    discontinuities: tuple[float, ...]
    jump_times: tuple[float, ...]
    defined: bool = True


def held_times(problem: Problem, params: Mapping[str, np.ndarray]) -> HeldTimes:
    """The declared times of `problem` at `params`, on NumPy."""
    found = _held_times(problem, params)
    if not moves(problem):
        return found
    return HeldTimes(found.discontinuities, found.jump_times, _defined(problem, params, found))


def _held_times(problem: Problem, params: Mapping[str, np.ndarray]) -> HeldTimes:
    p = problem.merged(params)
    jumps = _floats(times_at(problem.jump_times, p))
    breaks = _floats(times_at(problem.discontinuities, p))
    if isinstance(problem.discontinuities, MovingTimes):
        return HeldTimes((), jumps + breaks)
    return HeldTimes(breaks, jumps)


def _floats(times: Any) -> tuple[float, ...]:
    return tuple(np.real(np.asarray(times)).astype(np.float64).tolist())


def _defined(problem: Problem, params: Mapping[str, np.ndarray], held: HeldTimes) -> bool:
    """Whether the derivative is defined, see above.

    What coincides must do so where all parameters are a little different as well.
    """
    times = np.hstack([held.jump_times, held.discontinuities])
    fixed = np.hstack([problem.t_span[0], problem.save_at.astype(np.float64)])
    rounding = _SAME * np.finfo(problem.dtype).eps * np.abs(times[:, None])
    together = np.abs(times[:, None] - np.hstack([times, fixed])) <= rounding
    if np.count_nonzero(together) == times.size:
        return True
    rng = np.random.default_rng(0)
    moved = {
        name: _moved(np.real(value), rng) if value.dtype.kind in "fc" else value
        for name, value in params.items()
    }
    there = _held_times(problem, moved)
    then = np.hstack([there.jump_times, there.discontinuities])
    enough = APART * MOVED * np.maximum(np.abs(times[:, None]), MOVED)
    apart = np.abs(then[:, None] - np.hstack([then, fixed])) > enough
    inside = np.isfinite(then) & (problem.t_span[0] <= times) & (times <= problem.t_span[1])
    return not (together & apart & inside[:, None]).any()


def _moved(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    by = MOVED * rng.uniform(1, 2, value.shape)
    return value.astype(np.float64) * (1 + by) + np.where(value == 0, by, 0)


def held_jump(problem: Problem, dtype: Any) -> Jump | None:
    """What happens at the times of :class:`HeldTimes`: ``jump(i, t, y, p)`` at a held ``t``.

    Parameters
    ----------
    problem : Problem
    dtype : dtype
        In which times are told apart: that of the solve.
    """
    if not moves(problem):
        return problem.jump
    first = _first_moving(problem)

    def jump(i: int, t: Array, y: Array, p: Mapping[str, Array]) -> Array:
        before, behind = beside(t, dtype)
        if i > first:
            # What has happened at this time already was the first to see the side before.
            times = _moving(problem, p)[: i - first]
            xp = array_namespace(times)
            near = xp.abs(times - t) <= _SAME * np.finfo(dtype).eps * xp.abs(t)
            before = xp.where(xp.any(near), behind, before)
        return _declared(problem, i, t, y, p, before, behind)

    return jump


def held_problem(problem: Problem, params: Mapping[str, np.ndarray], held: HeldTimes) -> Problem:
    """`problem` with its times held where `params` put them, which is where `held` says."""
    start, end = problem.t_span
    times = np.asarray(held.jump_times, problem.dtype)
    stops = np.unique(times[(start < times) & (times <= end)])
    groups = [np.flatnonzero(times == stop).tolist() for stop in stops]

    def jump(k: int, t: Array, y: Array, p: Mapping[str, Array]) -> Array:
        before, behind = beside(t, problem.dtype)
        for i in groups[k]:
            y = _declared(problem, i, t, y, p, before, behind)
            before = behind
        return y

    return dataclasses.replace(
        problem,
        params=params,
        discontinuities=held.discontinuities,
        jump_times=tuple(stops.tolist()),
        jump=jump if groups else None,
    )


def _declared(
    problem: Problem,
    i: int,
    t: Array,
    y: Array,
    p: Mapping[str, Array],
    before: Array,
    behind: Array,
) -> Array:
    given = problem.jump if i < len(problem.jump_times) else None
    place = i - _first_moving(problem)
    if place < 0:
        assert given is not None
        return given(i, t, y, p)
    jump = None if given is None else lambda t, y: given(i, t, y, p)

    def rhs(t: Array, y: Array) -> Array:
        return problem.rhs(t, y, p)

    # An array still where an element of one would be none, as in equations that are traced.
    times = _moving(problem, p)
    time = array_namespace(times).reshape(times[place : place + 1], ())
    return pass_declared(jump, seen_from(rhs, before, behind), t, y, time).held


def _first_moving(problem: Problem) -> int:
    """The number of the first time that moves."""
    return 0 if isinstance(problem.jump_times, MovingTimes) else len(problem.jump_times)


def _moving(problem: Problem, p: Mapping[str, Array]) -> Array:
    """The times that move, in one array: those of jumps first."""
    declared = (problem.jump_times, problem.discontinuities)
    parts = [times.at(p) for times in declared if isinstance(times, MovingTimes)]
    return parts[0] if len(parts) == 1 else array_namespace(parts[0]).concat(parts)


def seen_from(rhs: Slope, before: Array, behind: Array) -> Sides:
    """The right-hand side on the two sides of a time, as at two times beside it.

    What time adds on the way across is of second order in a step that is zero.
    """
    return Sides(lambda t, y: rhs(before, y), lambda t, y: rhs(behind, y))


def beside(t: Array, dtype: Any) -> tuple[Array, Array]:
    """The next times before and behind `t`, of a `dtype` in which they are told apart."""
    xp = array_namespace(t)
    info = np.finfo(dtype)
    apart = float(info.eps) * xp.abs(t) + float(info.tiny)
    return t - apart, t + apart
