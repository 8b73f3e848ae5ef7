"""What happens at a time that moves, as a jump at a time that is held.

A solve steps onto a time ``t`` that is held, whatever is differentiated. Where what happens there
happens at ``t + dt`` instead, the state is carried there along its flow, jumps, and is carried back
along the flow behind:

    y(t) behind = flow(-dt) after jump after flow(dt) (y(t) before)

``dt`` is zero, or of the size of the solver's error, but has a derivative: for an event, whose
``when(t + dt, y(t + dt), p)`` is zero, that of the implicit function theorem. So the derivative of
this map is the saltation matrix, and every adjoint that knows jumps knows events.

Nothing here knows a framework.

References
----------
M. A. Aizerman, F. R. Gantmacher, J. Appl. Math. Mech. 22 (1958) 1065 (saltation);
R. Serban, A. Recuero, J. Comput. Nonlinear Dynam. 14 (2019) 121005 (adjoints of hybrid systems).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from array_api_compat import array_namespace

#: An array of whatever framework runs the equations.
Array = Any
#: ``rhs(t, y)`` on one side of a time.
Slope = Callable[[Array, Array], Array]
#: ``derivative(function, x) -> (value, slope)`` of a function of one number.
Derivative = Callable[[Callable[[Array], Array], Array], tuple[Array, Array]]
#: ``hold(x)``: the same number, without a derivative.
Hold = Callable[[Array], Array]

#: Steps of Newton's method: those that only find the value, and those that are differentiated. Two
#: of these are right to the third derivative.
HELD, DIFFERENTIATED = 2, 2


class Sides(NamedTuple):
    """The right-hand side just before a time and just behind it."""

    before: Slope
    behind: Slope


class Passed(NamedTuple):
    """What happened at a time that moves.

    Attributes
    ----------
    time : array
        When it really happened.
    before, after : array
        The states just before and just after, there.
    held : array
        The state behind, at the time that is held: where the solve goes on.
    """

    time: Array
    before: Array
    after: Array
    held: Array


def carried(rhs: Slope, t: Array, y: Array, dt: Array) -> Array:
    """The state a very short time `dt` later: the midpoint rule, right to second derivatives."""
    half = 0.5 * dt
    return y + dt * rhs(t + half, y + half * rhs(t, y))


def pass_event(
    when: Callable[[Array, Array], Array],
    jump: Callable[[Array, Array], Array] | None,
    sides: Sides,
    t: Array,
    y: Array,
    derivative: Derivative,
    hold: Hold,
) -> Passed:
    """What an event that was located at `t` does.

    Parameters
    ----------
    when, jump : callable
        ``when(t, y)`` and ``jump(t, y)``, with their parameters.
    sides : Sides
    t : array
        The time that is held.
    y : array
        The state that the solve has there, before.
    derivative, hold : callable
        The framework's.
    """

    def value(dt: Array) -> Array:
        return when(t + dt, carried(sides.before, t, y, dt))

    dt = 0 * t
    for i in range(HELD + DIFFERENTIATED):
        dt = hold(dt) if i <= HELD else dt
        found, slope = derivative(value, dt)
        dt = dt - found / _not_zero(slope)
    return _passed(jump, sides, t, y, dt)


def pass_declared(
    jump: Callable[[Array, Array], Array] | None, sides: Sides, t: Array, y: Array, time: Array
) -> Passed:
    """What happens at a declared `time` that moves; its value is that of `t`."""
    return _passed(jump, sides, t, y, time - t)


def _passed(
    jump: Callable[[Array, Array], Array] | None, sides: Sides, t: Array, y: Array, dt: Array
) -> Passed:
    time, before = t + dt, carried(sides.before, t, y, dt)
    after = before if jump is None else jump(time, before)
    return Passed(time, before, after, carried(sides.behind, time, after, -dt))


def _not_zero(x: Array) -> Array:
    xp = array_namespace(x)
    return xp.where(x == 0, xp.ones_like(x), x)
