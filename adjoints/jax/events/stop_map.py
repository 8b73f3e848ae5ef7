"""What happens at a stop: declared jumps, times that move, and events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ....problems.moving_times import times_at
from ...events.calculus import calculus_of
from ...events.crossing import Passed, Sides, pass_declared, pass_event
from ...events.when_event import WhenEvent
from ..sides import beside

Tree = Any
#: Differentiable parameters, and others.
Params = tuple[Any, Any]
Field = Callable[[jax.Array, jax.Array, Params], jax.Array]


@dataclass(frozen=True)
class ParameterTimes:
    """Declared times at some of a solve's parameters: all of jumps, then all of discontinuities."""

    index: int

    def __call__(self, params: Params) -> jax.Array:
        """The times, which are one of the differentiable parameters."""
        return params[0][self.index]


@dataclass(frozen=True)
class ProblemTimes:
    """The same of a problem, as functions of its parameters."""

    jump_times: Any
    discontinuities: Any

    def __call__(self, params: tuple[dict[str, Any], dict[str, Any]]) -> jax.Array:
        """The times; those that do not move have no derivative."""
        p = {**params[0], **params[1]}
        dtype = next(leaf.dtype for leaf in p.values() if jnp.issubdtype(leaf.dtype, jnp.floating))
        parts = (times_at(times, p) for times in (self.jump_times, self.discontinuities))
        return jnp.concatenate([jnp.asarray(part, dtype) for part in parts])


@dataclass(frozen=True)
class StopMap:
    """The state just after a stop, seen from the time at which the solve stops.

    Attributes
    ----------
    rhs : callable
    jump : callable, optional
        The declared jumps, with numbers from 0 on.
    jumps : int
        How many there are.
    times : callable, optional
        Gives the times of what is declared, where they move: then discontinuities have numbers
        behind those of the jumps.
    declared : int
        How many numbers are of what is declared; those behind are of events.
    events : tuple of WhenEvent
    """

    rhs: Field
    jump: Callable[..., jax.Array] | None
    jumps: int
    times: Callable[[Any], jax.Array] | None
    declared: int
    events: tuple[WhenEvent, ...] = ()

    def __call__(self, which: jax.Array, t: jax.Array, y: jax.Array, params: Params) -> jax.Array:
        """The state behind the stop, where what happens there has the numbers `which`."""
        if not self.events:
            return self._declared(which, t, y, params)
        if not self.declared:
            return self._at_event(which, t, y, params)
        return lax.cond(
            which[0] >= self.declared, self._at_event, self._declared, which, t, y, params
        )

    def is_event(self, which: jax.Array) -> jax.Array:
        """Whether a row of numbers is of an event; of several rows, for each."""
        return which[..., 0] >= self.declared

    def passed(self, which: jax.Array, t: jax.Array, y: jax.Array, params: Params) -> Passed:
        """What the event in a row of numbers does; the first one's where there is none."""
        branches = [partial(self._passed, event) for event in self.events]
        number = jnp.clip(which[0] - self.declared, 0, len(self.events) - 1)
        return lax.switch(number, branches, t, y, params)

    def _at_event(self, which: jax.Array, t: jax.Array, y: jax.Array, params: Params) -> jax.Array:
        def held(event: WhenEvent, t: jax.Array, y: jax.Array, params: Params) -> jax.Array:
            passed = self._passed(event, t, y, params)
            return passed.after if event.terminal else passed.held

        branches = [lambda t, y, p: y, *(partial(held, event) for event in self.events)]
        number = jnp.maximum(which[0] - self.declared + 1, 0)
        return lax.switch(number, branches, t, y, params)

    def _passed(self, event: WhenEvent, t: jax.Array, y: jax.Array, params: Params) -> Passed:
        sides = self.sides(t, params)
        return pass_event(
            lambda t, y: event.when(t, y, params),
            lambda t, y: event.after(t, y, params),
            sides,
            t,
            y,
            *calculus_of(sides.before, t, y),
        )

    def _declared(self, which: jax.Array, t: jax.Array, y: jax.Array, params: Params) -> jax.Array:
        if self.times is None:
            return y if self.jump is None else self.jump(which, t, y, params)
        times = self.times(params)
        for place, number in enumerate(which):
            y = lax.cond(
                (number >= 0) & (number < self.declared),
                partial(self._moving, place == 0),
                lambda number, time, t, y, p: y,
                *(number, times[jnp.maximum(number, 0)], t, y, params),
            )
        return y

    def _moving(
        self,
        first: bool,
        number: jax.Array,
        time: jax.Array,
        t: jax.Array,
        y: jax.Array,
        params: Params,
    ) -> jax.Array:
        jump, sides = self.jump, self.sides(t, params)
        if not first:
            # What has happened at this time already was the one to see the side before.
            sides = Sides(sides.behind, sides.behind)
        # Its value is that of the time at which the solve stopped, whatever rounding did.
        time = t + (time - lax.stop_gradient(time))

        def after(t: jax.Array, y: jax.Array) -> jax.Array:
            if jump is None:
                return y
            row = jnp.where(number < self.jumps, number, -1)[None]
            return jump(row, t, y, params)

        return pass_declared(after, sides, t, y, time).held

    def sides(self, t: jax.Array, params: Params) -> Sides:
        """The right-hand side just before the time and behind it; its derivative by time stays."""
        held = lax.stop_gradient(t)
        infinity = jnp.full_like(held, jnp.inf)
        edges = beside(held, -infinity), beside(held, infinity)

        def slope(side: Any, edge: jax.Array, t: jax.Array, y: jax.Array) -> jax.Array:
            now = lax.stop_gradient(t)
            return self.rhs(side(now, edge) + (t - now), y, params)

        before, behind = map(partial, (slope, slope), (jnp.minimum, jnp.maximum), edges)
        return Sides(before, behind)
