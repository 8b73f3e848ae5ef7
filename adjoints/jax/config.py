"""What a solve does: all that is static, its solver included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import jax
from jax import lax

from ..mass.matrix import MassMatrix
from ..steps.acceptance import Step
from ..steps.runge_kutta import Rhs
from ..steps.tableau import Tableau
from .control_flow import cond_any
from .outcomes import Counts
from .sources import Sources, StepOutputs
from .state import Operands, Row, State, Trial
from .systems.system import DENSE, System

Tree = Any

#: Accepted steps kept as they are; older ones are recomputed from the start of their window.
WINDOW = 256

#: Steps of a chunk that is swept at once, at most and at least, and the numbers in a product of
#: their matrices: more would not fit into one kernel.
LONGEST_CHUNK, SHORTEST_CHUNK, CHUNK_NUMBERS = 64, 8, 4096


class ChunkSweep(Protocol):
    """Sweeps back over a chunk of steps at once."""

    def __call__(
        self,
        config: Config,
        rows: Row,
        index: jax.Array,
        ops: Operands,
        w: jax.Array,
        dparams: Tree,
        sources: Sources,
    ) -> tuple[jax.Array, Tree]:
        """The cotangents of the state before the chunk and of the parameters.

        Parameters
        ----------
        config : Config
        rows : Row
            The steps, stacked; a step of size zero does nothing.
        index : array
            Their numbers.
        ops : Operands
        w : array
            Cotangent of the state after the last step.
        dparams : pytree
            Cotangent of the parameters so far.
        sources : Sources
            Cotangents that enter at the steps.
        """
        ...


class StepPull(Protocol):
    """Takes one step backwards."""

    def __call__(
        self,
        config: Config,
        row: Row,
        ops: Operands,
        w: jax.Array,
        doutputs: StepOutputs,
        sources: Sources,
    ) -> tuple[jax.Array, Tree]:
        """The cotangents of the state before a recorded step and of the parameters.

        Parameters
        ----------
        config, row, ops
        w : array
            Cotangent of the state at the end of the step, jump included.
        doutputs : StepOutputs
            Cotangents of what the step yields besides.
        sources : Sources
            What of that there is.
        """
        ...


class Solver(Protocol):
    """A one-step method: how it steps, what a record of its steps needs, and what they cost.

    Solvers are compared by value and hashed, so that equal ones need no other program.
    """

    @property
    def tableau(self) -> Tableau:
        """Its coefficients."""
        ...

    @property
    def keeps_slopes(self) -> bool:
        """Whether a recorded step needs its first slope, which is not quite that at its state."""
        ...

    @property
    def first_same_as_last(self) -> bool:
        """Whether the last stage of a step is the first one of the next."""
        ...

    @property
    def chunked_states(self) -> int:
        """The largest state whose steps are swept in chunks."""
        ...

    def step(self, config: Config, trial: Trial, ops: Operands) -> Step:
        """Take one step."""
        ...

    def start_radius(
        self, config: Config, t0: jax.Array, y0: jax.Array, ops: Operands
    ) -> jax.Array | None:
        """The norm of the Jacobian at the start, for a solver that switches by it."""
        ...

    def rhs_evals(self, final: State) -> jax.Array:
        """Right-hand sides of a finished solve: the start, the first guess, the attempts."""
        ...

    def jacobian_evals(self, final: State) -> jax.Array:
        """Jacobians that a finished solve formed."""
        ...

    def sweep_counts(self, steps: jax.Array, final: State) -> Counts:
        """The work of sweeping back over so many steps."""
        ...

    @property
    def sweep_chunk(self) -> ChunkSweep | None:
        """What sweeps back over a chunk of its steps at once, if anything does."""
        ...

    @property
    def pull_step(self) -> StepPull | None:
        """What takes a step of a large state backwards, in place of JAX's derivative of it."""
        ...


@dataclass(frozen=True)
class Config:
    """What a solve does; everything here is static.

    Attributes
    ----------
    rhs : callable
        ``rhs(t, y, params)``.
    solver : Solver
        From :func:`~adjointbench.adjoints.jax.solvers.find_solver`.
    on_stop : callable, optional
        ``on_stop(which, t, y, params)``: the state just after a stop; ``which`` is the row of
        ``Operands.jumps`` that belongs to it.
    events : Detection, optional
        The events that are looked for on every step: see
        :mod:`~adjointbench.adjoints.jax.events.detection`.
    on_accept : callable, optional
        ``on_accept(t, h, y, coefficients, y1, params)``: the state at the end of an accepted
        step from its dense output (a quadrature along the way).
    adjoint : str
        How it is differentiated.
    adjoint_solver : Solver, optional
        Of a continuous adjoint's reverse solve; by default the same.
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
    dense_output : bool
        Whether all accepted steps are returned, so that the solution can be read off them: the
        window is as long as the solve then.
    given_steps, constant_steps : bool
        Replays given steps, or takes steps of one size: no control.
    through_step_size : bool
        Whether derivatives flow through the step size.
    jacobian : callable, optional
        ``jacobian(t, y, params)``, the matrix that an implicit solver takes; by default it is
        formed by forward mode.
    system : System
        How an implicit solver forms that matrix by itself, and solves with it.
    mass : MassMatrix, optional
        ``M`` of ``M y' = rhs``, which a Rosenbrock method takes.
    native : NativeLoop, optional
        The program that solves and pulls back in place of what JAX compiles: see
        :mod:`~adjointbench.adjoints.jax.native.engine`.
    jax_differentiates : bool
        Whether JAX itself differentiates the loop body, so that only plain loops and branches
        may be used, dearer under ``vmap``.
    """

    rhs: Rhs
    solver: Solver
    on_stop: Callable[..., jax.Array] | None = None
    events: Any = None
    on_accept: Callable[..., jax.Array] | None = None
    adjoint: str = "discrete"
    adjoint_solver: Solver | None = None
    breaks: bool = False
    repeats: bool = False
    max_steps: int = 4096
    window: int = WINDOW
    error_norm: str = "scaled"
    reduction: str = "sum"
    components: int | None = None
    passive_from: int | None = None
    dense_output: bool = False
    given_steps: bool = False
    constant_steps: bool = False
    through_step_size: bool = False
    jacobian: Callable[..., Any] | None = None
    system: System = DENSE
    mass: MassMatrix | None = None
    native: Any = None
    jax_differentiates: bool = False

    @property
    def tableau(self) -> Tableau:
        """The coefficients of the solver."""
        return self.solver.tableau

    @property
    def controlled(self) -> bool:
        """Whether the embedded error controls the step size."""
        return self.tableau.adaptive and not (self.given_steps or self.constant_steps)

    @property
    def estimates_stiffness(self) -> bool:
        """Whether there is an estimate; with a mass matrix the Jacobian alone tells nothing."""
        return self.tableau.stiffness_stages is not None and self.mass is None

    @property
    def moves_at_stops(self) -> bool:
        """Whether a state may change at a stop: by a jump, or to fulfil algebraic equations."""
        algebraic = self.mass is not None and self.mass.algebraic > 0
        return self.on_stop is not None or (algebraic and self.breaks)

    @property
    def choose(self) -> Callable[..., Any]:
        """``cond`` in the form that is cheap under ``vmap``, where JAX allows it."""
        return lax.cond if self.jax_differentiates else cond_any

    @property
    def windows(self) -> int:
        """Windows that ``max_steps`` accepted steps can fill."""
        return -(-self.max_steps // self.window)

    def chunk_length(self, states: int) -> int:
        """Steps to sweep over at once; 1 where they are swept step by step."""
        solver = self.solver
        large = states > solver.chunked_states
        if solver.sweep_chunk is None or large or self.moves_at_stops:
            return 1
        return max(SHORTEST_CHUNK, min(LONGEST_CHUNK, CHUNK_NUMBERS // states**3))

    def passes_slopes(self, states: int) -> bool:
        """Whether a step's last slope is the first one of the next, in a sweep step by step."""
        same = self.solver.first_same_as_last and not self.breaks
        return same and self.chunk_length(states) == 1
