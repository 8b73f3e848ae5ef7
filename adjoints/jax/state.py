"""What a solve reads, and what it carries from attempt to attempt."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax

from ..steps.acceptance import Terms

Tree = Any

#: The open interval between two stops; ``None`` if endless.
Limits = tuple[jax.Array, jax.Array] | None


class StopArrays(NamedTuple):
    """The stops of a solve; those with a number of ``first`` to ``last`` are met, the last ends it.

    ``sided`` says of each whether the right-hand side may differ before and after it, and a row
    of ``jumps`` has the numbers of the jumps there, filled up with -1.
    """

    times: jax.Array
    first: jax.Array
    last: jax.Array
    sided: jax.Array
    jumps: jax.Array

    @property
    def end(self) -> jax.Array:
        """The end of the solve."""
        return self.times[self.last]


class StepArrays(NamedTuple):
    """Steps to take with no control.

    ``rows`` are of start and size; the first ``taken`` are taken, each cut into ``pieces``.
    """

    rows: jax.Array
    taken: jax.Array
    pieces: jax.Array


class Operands(NamedTuple):
    """What a solve reads. ``save_at`` ends with the end of the solve.

    ``params`` are differentiated; ``constants`` reach the right-hand side too and are not.
    ``reverse_rtol`` and ``reverse_atol`` are for the reverse solve of a continuous adjoint.
    ``limit`` is a time to step onto and pause at. ``sound`` is false where arguments whose
    values were not known before make no sense. ``begins`` is the status that the start value has:
    running, unless no consistent one was found.
    """

    params: Tree
    constants: Tree
    t0: jax.Array
    stops: StopArrays
    save_at: jax.Array
    rtol: jax.Array
    atol: jax.Array
    first_step: jax.Array | None = None
    max_step: jax.Array | None = None
    steps: StepArrays | None = None
    reverse_rtol: jax.Array | None = None
    reverse_atol: jax.Array | None = None
    limit: jax.Array | None = None
    sound: jax.Array | None = None
    begins: jax.Array | None = None


class EventState(NamedTuple):
    """What is known of events: their stops, the signs that change at the next ones, how many.

    ``stops`` are all stops of the solve, with room for more.
    """

    stops: StopArrays
    signs: jax.Array
    number: jax.Array


class State(NamedTuple):
    """What one attempt hands to the next.

    ``phase`` says how a solver that switches goes on: see
    :func:`~adjointbench.adjoints.jax.phases.next_phase`. ``radius`` is the norm of the last
    Jacobian that it knows; ``None`` for others. ``events`` is ``None`` where none are looked for.
    """

    t: jax.Array
    y: jax.Array
    slope: jax.Array
    h: jax.Array
    previous_error: jax.Array
    stop: jax.Array
    saved: jax.Array
    save_row: jax.Array
    accepted: jax.Array
    attempts: jax.Array
    linear_solves: jax.Array
    phase: jax.Array
    radius: jax.Array | None
    status: jax.Array
    events: EventState | None = None


class Trial(NamedTuple):
    """A step to try, or to take again.

    ``t1`` is its end: ``t + h``, or exactly the stop that it reaches. ``slope`` is the right-hand
    side at its start, where that is known, and ``limits`` the interval on this side of
    discontinuities in which stage times are kept. ``phase`` says which method is next, for a
    solver that switches. ``y1`` is the state at its end, where that is known.
    """

    t: jax.Array
    y: jax.Array
    h: jax.Array
    t1: jax.Array
    slope: jax.Array | None
    limits: Limits
    phase: jax.Array | None
    y1: jax.Array | None = None


class Row(NamedTuple):
    """An accepted step: from where, how far, towards which stop, and whether it got there.

    ``save_row`` is the row of dense output that it wrote (-1: none). ``slope`` is kept for
    diagonally implicit methods, whose slopes are not quite those at the state, and ``phase`` for
    a solver that switches.
    """

    t: jax.Array
    h: jax.Array
    save_row: jax.Array
    stop: jax.Array
    reaches: jax.Array
    y: jax.Array
    slope: jax.Array | None
    phase: jax.Array | None


class DenseRow(NamedTuple):
    """Dense output of a step."""

    t: jax.Array
    h: jax.Array
    y: jax.Array
    coefficients: jax.Array


class Attempt(NamedTuple):
    """What one attempt found out; ``error`` is the norm that decided."""

    state: State
    accept: jax.Array
    error: jax.Array
    row: Row
    dense: DenseRow | None
    terms: Terms
    before_stop: jax.Array
