"""What a compiled solve is told, what it reads, and what it carries from attempt to attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from ..steps.error_test import Terms
from ..steps.runge_kutta import Rhs
from ..steps.tableau import Tableau
from ..steps.tableaus import tableau

Tree = Any

#: Accepted steps kept as they are; older ones are recomputed from the start of their window.
WINDOW = 256


@dataclass(frozen=True)
class Config:
    """What a compiled solve does; everything here is static.

    Attributes
    ----------
    rhs : callable
        ``rhs(t, y, params)``.
    solver : str
        A name of :mod:`~adjointbench.adjoints.steps.tableaus`.
    on_stop : callable, optional
        ``on_stop(which, t, y, params)``: the state just after a stop; ``which`` is the row of
        ``Operands.jumps`` that belongs to it.
    on_accept : callable, optional
        ``on_accept(t, h, y, coefficients, y1, params)``: the state at the end of an accepted
        step from its dense output (a quadrature along the way).
    adjoint, adjoint_solver : str
        How it is differentiated, and the solver of a continuous adjoint's reverse solve.
    breaks : bool
        Whether there are times at which the right-hand side may be discontinuous.
    repeats : bool
        Whether save times may be repeated.
    max_steps : int
        Attempts allowed.
    window : int
        Accepted steps recorded as they are.
    error_norm, reduction : str
        How ``error_estimate`` and its like are formed.
    components : int, optional
        Only the first ones of a flat state count in the error norm (a seminorm).
    passive_from : int, optional
        The components of a flat state from this number on do not move by themselves, and
        nothing depends on them: an implicit solver leaves them out of its systems.
    given_steps : bool
        Replays given steps: no control.
    through_step_size : bool
        Whether derivatives flow through the step size.
    jacobian : callable, optional
        ``jacobian(t, y, params)``, the matrix that an implicit solver takes; by default it is
        formed by forward mode.
    newton_tolerance : float
        Share of the tolerance to which the stages of a diagonally implicit step converge.
    plain : bool
        Whether JAX itself differentiates the loop body, so that only plain loops and branches
        may be used, dearer under ``vmap``.
    """

    rhs: Rhs
    solver: str
    on_stop: Callable[..., jax.Array] | None = None
    on_accept: Callable[..., jax.Array] | None = None
    adjoint: str = "discrete"
    adjoint_solver: str = ""
    breaks: bool = False
    repeats: bool = False
    max_steps: int = 4096
    window: int = WINDOW
    error_norm: str = "scaled"
    reduction: str = "sum"
    components: int | None = None
    passive_from: int | None = None
    given_steps: bool = False
    through_step_size: bool = False
    jacobian: Callable[..., jax.Array] | None = None
    newton_tolerance: float = 1e-2
    plain: bool = False

    @property
    def tableau(self) -> Tableau:
        """The coefficients of the solver."""
        return tableau(self.solver)

    @property
    def controlled(self) -> bool:
        """Whether the embedded error controls the step size."""
        return self.tableau.adaptive and not self.given_steps

    @property
    def keeps_slopes(self) -> bool:
        """Whether a recorded step needs its first slope."""
        return self.tableau.kind == "dirk"

    @property
    def switches(self) -> bool:
        """Whether the solver switches between an explicit and an implicit method."""
        return self.tableau.kind == "auto"

    @property
    def windows(self) -> int:
        """Windows that ``max_steps`` accepted steps can fill."""
        return -(-self.max_steps // self.window)


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


class Operands(NamedTuple):
    """What a solve reads. ``save_at`` ends with the end of the solve.

    ``params`` are differentiated; ``constants`` reach the right-hand side too and are not.
    ``reverse_rtol`` and ``reverse_atol`` are for the reverse solve of a continuous adjoint.
    ``limit`` is a time to step onto and pause at. ``sound`` is false where arguments whose
    values were not known before make no sense.
    """

    params: Tree
    constants: Tree
    t0: jax.Array
    stops: StopArrays
    save_at: jax.Array
    rtol: jax.Array
    atol: jax.Array
    first_step: jax.Array | None = None
    steps: tuple[jax.Array, jax.Array] | None = None
    reverse_rtol: jax.Array | None = None
    reverse_atol: jax.Array | None = None
    limit: jax.Array | None = None
    sound: jax.Array | None = None


class State(NamedTuple):
    """What one attempt hands to the next.

    ``phase`` says how a solver that switches goes on: see
    :func:`~adjointbench.adjoints.jax.switching.next_phase`. ``radius`` is the norm of the last
    Jacobian that it knows; ``None`` for others.
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
