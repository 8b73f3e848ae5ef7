"""What a solve is told, what it reads, and what it carries from attempt to attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ..mass.matrix import MassMatrix
from ..steps.acceptance import STRETCH_GIVEN, stretch_of
from ..steps.runge_kutta import Rhs
from ..steps.tableau import Tableau
from ..steps.tableaus import tableau
from .derivatives import TRANSFORMS, Derivatives
from .systems.system import DENSE, System

Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Config:
    """What a solve does; everything here is static, and what is compiled is kept by it.

    Attributes
    ----------
    rhs : callable
        ``rhs(t, y, (params, constants))``, both tuples of tensors.
    solver : str
        A name of :mod:`~adjointbench.adjoints.steps.tableaus`.
    max_steps : int
        Attempts allowed.
    breaks : bool
        Whether there are stops before the end, where the right-hand side may be discontinuous.
    given_steps : bool
        Replays given steps: no control.
    max_step : float, optional
        No step is longer.
    dense : bool
        Whether dense output is wanted.
    dense_output : bool
        Whether the states from which the steps start are returned, after those at the saves.
    terms : bool
        Whether the terms of the regularisers are wanted.
    first_slopes : bool
        Whether the steps are recorded with their first slopes, for a sweep that passes the
        cotangents of slopes from step to step; it computes them again otherwise.
    error_norm, reduction : str
        How ``error_estimate`` and its like are formed.
    components : int, optional
        Only the first ones of a flat state count in the error norm (a seminorm).
    through_step_size : bool
        Whether derivatives flow through the step size.
    jacobian : callable, optional
        ``jacobian(t, y, (params, constants))``, the matrix that an implicit solver takes.
    system : System
        How an implicit solver forms its matrices, and solves with them.
    mass : MassMatrix, optional
        ``M`` of ``M y' = rhs``, which a Rosenbrock method takes.
    window : int, optional
        How many states are kept at the end of the record; of as many before only the first is.
    compile : bool
        Whether the loops are compiled.
    look_every : int
        Attempts between two looks at the status.
    lanes : int
        How many solves there are, in one loop.
    derivatives : Derivatives
        How derivatives of the right-hand side are taken.
    """

    rhs: Rhs
    solver: str
    max_steps: int = 4096
    breaks: bool = False
    given_steps: bool = False
    max_step: float | None = None
    dense: bool = False
    dense_output: bool = False
    terms: bool = False
    first_slopes: bool = False
    error_norm: str = "scaled"
    reduction: str = "sum"
    components: int | None = None
    through_step_size: bool = False
    jacobian: Callable[..., torch.Tensor] | None = None
    system: System = DENSE
    mass: MassMatrix | None = None
    window: int | None = None
    compile: bool = False
    look_every: int = 1
    lanes: int = 1
    derivatives: Derivatives = TRANSFORMS

    @property
    def tableau(self) -> Tableau:
        """The coefficients of the solver."""
        return tableau(self.solver)

    def __post_init__(self) -> None:
        if self.compile and self.tableau.kind == "dirk":
            raise ValueError(
                f"compile=True: solver={self.solver!r} runs eagerly only, as Newton's iterations "
                "end by what they find; leave compile out, or use 'rodas5p'"
            )

    @property
    def estimates_stiffness(self) -> bool:
        """Whether there is an estimate; with a mass matrix the Jacobian alone tells nothing."""
        return self.tableau.stiffness_stages is not None and self.mass is None

    @property
    def keeps_slopes(self) -> bool:
        """Whether a step's first slope is the last one's stage, and not quite that at its state."""
        return self.tableau.stiffly_accurate

    @property
    def controlled(self) -> bool:
        """Whether the embedded error controls the step size."""
        return self.tableau.adaptive and not self.given_steps

    @property
    def stretch(self) -> float:
        """A step ends on the next stop where so many times its size would reach it."""
        return stretch_of(self.tableau) if self.max_step is None else STRETCH_GIVEN

    def limited(self, h: torch.Tensor) -> torch.Tensor:
        """A step size, or the largest that is allowed."""
        return h if self.max_step is None else torch.clamp(h, max=self.max_step)


class Operands(NamedTuple):
    """What the attempts up to the next stop read.

    ``params`` are differentiated; ``constants`` reach the right-hand side too and are not.
    ``lower`` and ``upper`` bound the times at which the right-hand side may be evaluated.
    """

    params: Tensors
    constants: Tensors
    rtol: torch.Tensor
    atol: torch.Tensor
    stop: torch.Tensor
    lower: torch.Tensor
    upper: torch.Tensor


class State(NamedTuple):
    """What one attempt hands to the next; all counts are 64-bit integers."""

    t: torch.Tensor
    y: torch.Tensor
    slope: torch.Tensor
    h: torch.Tensor
    previous_error: torch.Tensor
    accepted: torch.Tensor
    attempts: torch.Tensor
    status: torch.Tensor


class Row(NamedTuple):
    """An attempted step, as a reverse pass needs it: numbers of the step, and its start.

    ``times`` are start, size, end, and the bounds of the right-hand side's times; and then the
    first slope, flat, for a solver that keeps slopes. ``slope`` is the first slope, where it is
    recorded.
    """

    times: torch.Tensor
    y: torch.Tensor
    slope: torch.Tensor | None = None


class Attempt(NamedTuple):
    """What one attempt found out.

    ``state`` is the one after the step if it is accepted. ``coefficients`` are those of the dense
    output, ``terms`` the regularisers' terms, one number each (NaN where the method has none);
    ``None`` where they are not wanted. ``iterations`` are Newton's, where there are any.
    """

    state: State
    accept: torch.Tensor
    row: Row
    coefficients: torch.Tensor | None
    terms: torch.Tensor | None
    iterations: torch.Tensor | None = None
