"""``Preset``: a task with everything that its training needs, fixed beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .task import Task


@dataclass(frozen=True)
class Schedule:
    """A coefficient over the epochs: from `start` to `end`, exponentially; constant by default."""

    start: float
    end: float | None = None

    def at(self, epoch: int, epochs: int) -> float:
        """The value for epoch number `epoch`, counted from 0, of `epochs`."""
        if self.end is None or self.start == 0.0:
            return self.start
        return self.start * (self.end / self.start) ** (epoch / epochs)


@dataclass(frozen=True)
class Optimizer:
    """Which optimiser, and its numbers.

    Attributes
    ----------
    name : {"sgd", "adam", "adamax", "adamw", "adabelief"}
    learning_rate : float
    momentum : float
        Of ``"sgd"``.
    decay : float
        The learning rate is divided by ``1 + decay * steps``.
    """

    name: str
    learning_rate: float
    momentum: float = 0.9
    decay: float = 0.0

    def rate(self, step: int) -> float:
        """The learning rate of step number `step`, counted from 0."""
        return self.learning_rate / (1.0 + self.decay * step)


@dataclass(frozen=True)
class Preset:
    """A task and how it is trained.

    Attributes
    ----------
    name, about : str
    task : callable
        ``task(seed=, dtype=) -> Task``.
    optimizer : Optimizer
    epochs : int
    rtol, atol : float
    dtype : str
    solver : str or None
        The method's default for the problem where ``None``.
    max_steps : int
        Attempts allowed in one solve; also what storage is reserved for.
    coefficients : mapping of str to tuple of Schedule
        For each regulariser one schedule a term.
    reduction : str or None
        Of the estimates over the steps, where the published code does not take the mean of the
        errors and the largest stiffness.
    stochastic : bool
        Whether the task's problem is a stochastic differential equation.
    """

    name: str
    about: str
    task: Callable[..., Task]
    optimizer: Optimizer
    epochs: int
    rtol: float
    atol: float
    dtype: str = "float32"
    solver: str | None = None
    max_steps: int = 256
    coefficients: Mapping[str, tuple[Schedule, ...]] = field(default_factory=dict)
    reduction: str | None = None
    stochastic: bool = False
