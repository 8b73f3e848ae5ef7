"""Events and jumps by Diffrax: it stops at an event, and its user begins again behind it [1]_.

``diffrax.Event`` ends a solve: where it has a root finder, at the time at which the condition is
zero on the step's interpolant, and else at the end of the step on which its sign has changed. There
is nothing to happen then; its author says to put the solve into a loop [2]_, which is done here:
each turn solves from the last stop to the next event or declared jump, and lets the state jump.
Both ends of a turn are traced, so that Diffrax differentiates them like any other numbers. For the
loop to have a reverse mode it is a ``scan``, of as many turns as there may be stops; those that are
left over solve nothing.

With a root finder that is right: its derivative is that of the implicit function theorem on the
interpolant, of a lower order than the steps. What a user has to know, or the gradient is silently
wrong (``suite/claims/event_traps.py`` measures the first, the third and the last of these):

- Without ``root_finder``, which is the default, the time of an event is the end of a step, and so
  has no derivative; the state there is beyond the threshold, and so are saves on that step.
- A condition that is true or false is one without a root finder, whatever is given.
- Where two events are on one step, the first of the list is taken, not the first in time.
- Where the next solve begins, the value is zero but for rounding, and may have either sign: a value
  that goes on in the same direction is an event again, or a second time.
- The state where a solve has stopped, ``SaveAt(t1=True)``, is not the last of ``sol.ys`` where some
  ``ts`` lie behind it: these are infinite, and follow it.
- Where the equations switch at the event, the step that found it has gone over the switch. The
  state is right to the tolerance all the same; its gradient is not, and no tolerance helps.

References
----------
.. [1] P. Kidger, https://docs.kidger.site/diffrax/api/events/.
.. [2] P. Kidger, https://github.com/patrick-kidger/diffrax/issues/492; see also issues 451 and 729.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import optimistix
from jax import lax

from ...problems import Event, Problem
from ...problems.moving_times import times_at
from ..events.location import armed, resolution_of
from ..jax.sides import beside, clipper
from ..result import STATUSES

#: ``solve(t0, t1, y0, clip, saveat=..., event=...) -> (solution, status)``: one turn, with the
#: times that the right-hand side sees through `clip`; a status is an index into ``STATUSES``.
Solve = Callable[..., tuple[diffrax.Solution, jax.Array]]

#: Of events, by the sign of their direction here: whether values rise.
DIRECTIONS = {-1: False, 0: None, 1: True}

#: The root finder's tolerances, in units of rounding: what it can reach on states of 100.
_FOUND_TO = 4096


class Turn(NamedTuple):
    """What the next turn begins with: ``events`` have happened so far."""

    t: jax.Array
    y: jax.Array
    ys: jax.Array
    event_times: jax.Array
    events: jax.Array
    status: jax.Array
    steps: jax.Array
    rejected: jax.Array


def with_constants(problem: Problem, params: Mapping[str, Any]) -> dict[str, Any]:
    """`params`, and the constants as values: nothing is differentiated by them."""
    return {**params, **{name: jnp.asarray(value) for name, value in problem.constants.items()}}


def restarts(problem: Problem) -> bool:
    """Whether a problem has stops at which Diffrax has to begin again."""
    return bool(problem.events or problem.jump_times)


def newton(problem: Problem) -> optimistix.AbstractRootFinder:
    """The root finder of the documentation, to rounding."""
    tolerance = _FOUND_TO * float(jnp.finfo(problem.dtype).eps)
    return optimistix.Newton(rtol=tolerance, atol=tolerance)


def from_stop_to_stop(
    problem: Problem,
    params: Mapping[str, Any],
    y0: jax.Array,
    solve: Solve,
    root_finder: optimistix.AbstractRootFinder | None,
) -> tuple[jax.Array, dict[str, jax.Array], Turn]:
    """The states at the saves, what the loss gets of the events, and how the solve ended.

    Parameters
    ----------
    problem : Problem
    params : mapping of str to array
    y0 : array
    solve : callable
    root_finder : optimistix.AbstractRootFinder or None
        Of the events.
    """
    p = with_constants(problem, params)
    jumps = jnp.asarray(times_at(problem.jump_times, p), problem.dtype)
    end = jnp.asarray(problem.save_at[-1])
    none = jnp.zeros((), jnp.int32)
    first = Turn(
        t=jnp.asarray(problem.t_span[0], y0.dtype),
        y=y0,
        ys=jnp.zeros((len(problem.save_at), *y0.shape), y0.dtype),
        event_times=jnp.full(problem.max_events, jnp.inf, y0.dtype),
        events=none,
        status=none,
        steps=none,
        rejected=none,
    )

    def one(turn: Turn, _: None) -> tuple[Turn, None]:
        until = jnp.min(jnp.where(jumps > turn.t, jumps, end), initial=end)
        solution, status = _solved(problem, turn, until, solve, root_finder)
        return _passed(problem, p, turn, jumps, until, solution, status), None

    room = problem.max_events + 1 if problem.events else 1
    last, _ = lax.scan(one, first, None, length=room + len(jumps))
    return last.ys, problem.events_seen_by_loss(last.event_times), last


def _solved(
    problem: Problem,
    turn: Turn,
    until: jax.Array,
    solve: Solve,
    root_finder: optimistix.AbstractRootFinder | None,
) -> tuple[diffrax.Solution, jax.Array]:
    """One turn by Diffrax, with the saves that lie on it, and apart from them where it stops."""
    low, high = lax.stop_gradient((turn.t, until))
    at_saves = diffrax.SubSaveAt(ts=jnp.clip(jnp.asarray(problem.save_at), low, high))
    return solve(
        turn.t,
        until,
        turn.y,
        clipper((beside(low, high), beside(high, low))),
        saveat=diffrax.SaveAt(subs=[at_saves, diffrax.SubSaveAt(t1=True)]),
        event=_event(problem, turn, root_finder),
    )


def _event(
    problem: Problem, turn: Turn, root_finder: optimistix.AbstractRootFinder | None
) -> diffrax.Event | None:
    """All events of the problem as one of Diffrax, armed where a turn begins.

    A turn begins where a value was zero, and Diffrax takes its sign there as rounding has it: a
    value that goes on in the same direction would be an event once more.
    """
    if not problem.events:
        return None

    def condition(event: Event) -> Callable[..., Any]:
        def value(t: Any, y: Any, args: Any, **_: Any) -> Any:
            found = event.when(t, y, with_constants(problem, args))
            held, sign = _armed(problem, event, turn, args)
            return found + jnp.where(t <= turn.t, sign * (2 * jnp.abs(held) + 1), 0)

        return value

    return diffrax.Event(
        [condition(event) for event in problem.events],
        root_finder,
        [DIRECTIONS[event.direction] for event in problem.events],
    )


def _armed(problem: Problem, event: Event, turn: Turn, params: Any) -> tuple[jax.Array, jax.Array]:
    """The value of an event where a turn begins, and the sign that is to change."""
    t, y, params = lax.stop_gradient((turn.t, turn.y, params))
    p = with_constants(problem, params)
    slope = problem.rhs(t, y, p)

    def value(dt: jax.Array) -> jax.Array:
        return event.when(t + dt, y + dt * slope, p)

    found, by_time = jax.jvp(value, (jnp.zeros_like(t),), (jnp.ones_like(t),))
    end = jnp.asarray(problem.save_at[-1])
    return found, armed(found, by_time, resolution_of(t, end))


def _passed(
    problem: Problem,
    p: Mapping[str, Any],
    turn: Turn,
    jumps: jax.Array,
    until: jax.Array,
    solution: diffrax.Solution,
    status: jax.Array,
) -> Turn:
    """What the next turn begins with: the state behind the stop, and what was saved before it."""
    save_at, end = jnp.asarray(problem.save_at), jnp.asarray(problem.save_at[-1])
    ((_, (time,)), (ys, (y,))) = solution.ts, solution.ys  # type: ignore[misc]
    ok = status == STATUSES.index("ok")
    happened = ok & diffrax.is_event(solution.result)
    declared = ok & ~happened & (turn.t < end)
    ends, after = jnp.asarray(False), y
    for event, here in zip(problem.events, solution.event_mask or (), strict=True):
        ends = ends | (here & event.terminal)
        if event.jump is not None:
            after = jnp.where(here, event.jump(time, y, p), after)
    for i in range(len(jumps)):
        assert problem.jump is not None
        here = declared & (until == jumps[i])
        after = jnp.where(here, problem.jump(i, time, y, p), after)
    more = happened | (declared & (until < end))
    of_this = (save_at >= turn.t) & ((save_at < time) | ~more)
    held = ends & (save_at >= time)
    columns = (..., *(None,) * y.ndim)
    ys = jnp.where(held[columns], after, jnp.where(of_this[columns], ys, turn.ys))
    found = jnp.where(happened, time, jnp.inf)
    full = happened & (turn.events == problem.max_events)
    status = jnp.where(full, STATUSES.index("max_events"), status)
    return Turn(
        t=jnp.where(more & ~ends, time, end),
        y=after,
        ys=ys,
        event_times=turn.event_times.at[turn.events].set(found, mode="drop"),
        events=jnp.where(happened, turn.events + 1, turn.events),
        status=jnp.where(turn.status == STATUSES.index("ok"), status, turn.status),
        steps=turn.steps + solution.stats["num_accepted_steps"],
        rejected=turn.rejected + solution.stats["num_rejected_steps"],
    )
