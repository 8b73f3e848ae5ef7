"""Where on a step an event happens first, by the values that its dense output gives.

A step is looked at in :data:`PIECES` pieces. In each, the cubic through values and slopes at its
ends says where a value that turns back is nearest to zero, and there it is looked at once more: so
two crossings on one step are found, down to about a sixteenth of it. What touches zero to within
the tolerance without a crossing beyond doubt, and two events at one time, have no defined effect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from array_api_compat import array_namespace, device

#: An array of whatever framework runs the equations.
Array = Any

#: Pieces of a step, and halvings of an interval in which a value changes its sign.
PIECES, HALVINGS = 8, 50

#: Times that differ by so many units of rounding are the same.
SAME_TIME = 100.0


class Path(Protocol):
    """The values of E events along one step, by fractions of it from 0 to 1."""

    def with_slopes(self, fractions: Sequence[float]) -> tuple[Array, Array]:
        """Values and their derivatives by the fraction, shapes ``(len(fractions), E)``."""
        ...

    def values(self, fractions: Array) -> Array:
        """Values of shape ``(k, E)`` at fractions of that shape, each event at its own."""
        ...

    def spreads(self, fractions: Array) -> Array:
        """By how much the tolerance moves each value at its fraction, shape ``(E,)``.

        ``sum(|dwhen/dy| (atol + rtol |y|))``.
        """
        ...


class Bracket(NamedTuple):
    """Where the values change their sign first, shapes ``(E,)``.

    Attributes
    ----------
    crosses : array of bool
    low, high : array
        The fractions between which.
    sign : array
        That of the value at `low`.
    touches : array
        The fraction at which the value touches zero to within the tolerance, before it crosses or
        as it does; infinite where it does not.
    signs : array
        At the end of the step, where nothing crosses.
    """

    crosses: Array
    low: Array
    high: Array
    sign: Array
    touches: Array
    signs: Array


class Located(NamedTuple):
    """The first event of a step.

    Attributes
    ----------
    happens : array of bool
    which : array of int
        The event's number.
    fraction : array
        Of the step.
    undefined : array of bool
        Whether what happens on the step is not defined.
    signs : array, shape ``(E,)``
        Of all values at the end of the step, where nothing happens.
    """

    happens: Array
    which: Array
    fraction: Array
    undefined: Array
    signs: Array


def armed(values: Array, slopes: Array, resolution: Array) -> Array:
    """The signs that change at the next events, from values and slopes by time at a start.

    Values that are zero but for the rounding of time, `resolution`, have the sign to which they
    move.
    """
    xp = array_namespace(values)
    return xp.sign(xp.where(xp.abs(values) <= xp.abs(slopes) * resolution, slopes, values))


def resolution_of(t: Array, end: Array) -> Array:
    """The times that count as the same, around `t` of a solve to `end`."""
    xp = array_namespace(t)
    return SAME_TIME * xp.finfo(t.dtype).eps * xp.maximum(xp.abs(t), xp.abs(end))


def bracketed(path: Path, signs: Array, directions: Array, resolution: Array) -> Bracket:
    """Where on a step each value first changes its sign in its direction.

    Parameters
    ----------
    path : Path
    signs : array, shape ``(E,)``
        At the start of the step, of :func:`armed` or of the step before.
    directions : array, shape ``(E,)``
        -1, 0 or 1.
    resolution : array
        Fractions that differ by less are the same: a value that comes so near to zero at the end
        of the step has crossed.
    """
    xp = array_namespace(signs)
    at = [j / PIECES for j in range(PIECES + 1)]
    values, slopes = path.with_slopes(at)
    nearest, turns = _nearest(values, slopes / PIECES)
    ends = xp.asarray(at, dtype=signs.dtype, device=device(signs))[:, None] + 0 * values
    between = ends[:-1, ...] + nearest / PIECES
    inner = path.values(between)
    last = values[-1, ...]
    arrives = (last * slopes[-1, ...] < 0) & (xp.abs(last) <= xp.abs(slopes[-1, ...]) * resolution)
    last = xp.where(arrives, 0 * last, last)
    # Two looks a piece, in order of time.
    fractions = _alternating(between, ends[1:, ...])
    looks = _alternating(inner, xp.concat([values[1:-1, ...], last[None, ...]]))
    now = xp.sign(looks)
    earlier = xp.concat([signs[None, ...], now[:-1, ...]])
    # A value of exactly zero has crossed.
    now = xp.where(now == 0, -earlier, now)
    earlier = xp.concat([signs[None, ...], now[:-1, ...]])
    counts = (earlier * now < 0) & ((directions == 0) | (directions == now))
    crosses = xp.any(counts, axis=0)
    number = xp.asarray(range(2 * PIECES), dtype=signs.dtype, device=device(signs))[:, None]
    place = xp.min(xp.where(counts, number, 2.0 * PIECES), axis=0)
    here, before = number == place, number + 1 == place
    low = xp.sum(xp.where(before, fractions, 0 * fractions), axis=0)
    high = xp.sum(xp.where(here, fractions, 0 * fractions), axis=0)
    sign = xp.sum(xp.where(here, earlier, 0 * earlier), axis=0)
    closer = turns & (2 * number[:PIECES, ...] <= place)
    closest = xp.where(closer, xp.abs(inner), xp.inf + 0 * inner)
    nearest = xp.min(closest, axis=0)
    touching = xp.min(xp.where(closest == nearest, between, 2 + 0 * between), axis=0)
    touches = xp.where(nearest <= path.spreads(touching), touching, xp.inf + 0 * signs)
    touches = xp.where(crosses & xp.isfinite(touches), xp.minimum(touches, low), touches)
    return Bracket(crosses, low, high, sign, touches, now[-1, ...])


def _alternating(first: Array, second: Array) -> Array:
    """The rows of two arrays by turns."""
    xp = array_namespace(first)
    return xp.reshape(xp.stack([first, second], axis=1), (2 * PIECES, -1))


def _nearest(values: Array, slopes: Array) -> tuple[Array, Array]:
    """In each piece, where the cubic through its ends turns back, and whether it does.

    Parameters
    ----------
    values, slopes : array, shape ``(pieces + 1, E)``
        The slopes are by the fraction of the piece.
    """
    xp = array_namespace(values)
    first, second = slopes[:-1, ...], slopes[1:, ...]
    rise = values[1:, ...] - values[:-1, ...]
    # The derivative of the cubic is first + 2 a u + 3 b u^2.
    a, b = 3 * rise - 2 * first - second, first + second - 2 * rise
    # Towards zero at the start of the piece, and away from it at its end.
    turns = (first * values[:-1, ...] < 0) & (second * values[1:, ...] > 0)
    root = xp.sqrt(xp.maximum(a * a - 3 * b * first, 0 * a))
    q = -(a + xp.where(a < 0, -root, root))
    q, b = xp.where(q == 0, xp.ones_like(q), q), xp.where(b == 0, xp.ones_like(b), b)
    near, far = first / q, q / (3 * b)
    inside = (near > 0) & (near < 1)
    u = xp.where(inside, near, far)
    return xp.where(turns & (u > 0) & (u < 1), u, 0.5 + 0 * u), turns


def located(
    path: Path,
    bracket: Bracket,
    resolution: Array,
    repeat: Callable[[int, Callable[[Any], Any], Any], Any],
) -> Located:
    """The first event of a step: between the ends of its bracket, by halving it.

    Parameters
    ----------
    path : Path
    bracket : Bracket
    resolution : array
        Fractions that differ by less are the same.
    repeat : callable
        ``repeat(times, turn, carry)``: the framework's loop.
    """
    xp = array_namespace(bracket.low)

    def halve(ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        beyond = path.values(middle[None, ...])[0, ...] * bracket.sign <= 0
        return xp.where(beyond, low, middle), xp.where(beyond, middle, high)

    _, high = repeat(HALVINGS, halve, (bracket.low, bracket.high))
    fractions = xp.where(bracket.crosses, high, xp.full_like(high, xp.inf))
    which = xp.argmin(fractions)
    first = xp.min(fractions)
    together = xp.sum(xp.astype(fractions <= first + resolution, high.dtype)) > 1
    happens = xp.any(bracket.crosses)
    undefined = xp.any(xp.isfinite(bracket.touches) & (bracket.touches <= first))
    undefined = undefined | (happens & together)
    return Located(happens, which, first, undefined, bracket.signs)
