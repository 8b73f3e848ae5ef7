"""``Program``: what a backend makes of a problem and checked settings, and how its result is made.

A backend computes numbers, counts the work and tells the status of each of its two passes;
:func:`gradient_result` makes a result of them, with NaN in place of numbers that count for nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn, Protocol, runtime_checkable

import numpy as np

from ..problems import Problem
from .methods import Method
from .regularizers.regularizer import Regularizer
from .result import GradientResult, Stats, status_message

#: An array of the backend: of NumPy, JAX or PyTorch.
Array = Any
Named = Mapping[str, Array]
#: The bare call that is timed, ``(params, y0) -> (loss, dparams, dy0)``.
BareGradient = Callable[[Named, Array], tuple[Array, Named, Array]]
#: The bare loss, ``(params, y0) -> loss``.
BareLoss = Callable[[Named, Array], Array]


_ahead: ContextVar[bool] = ContextVar("programs are compiled as they are made", default=True)


def compiled_ahead() -> bool:
    """Whether a program is compiled as it is made, and not when it is first called."""
    return _ahead.get()


@contextmanager
def compiled_when_called() -> Iterator[None]:
    """Programs made inside may never be called: a training takes their gradient into its own."""
    before = _ahead.set(False)
    try:
        yield
    finally:
        _ahead.reset(before)


@dataclass(frozen=True)
class Settings:
    """The checked arguments of one gradient computation, defaults filled in."""

    method: Method
    solver: str
    rtol: float | np.ndarray
    atol: float | np.ndarray
    device: str
    regularizer: Regularizer | None
    coefficient: tuple[float, ...]
    adjoint_solver: str
    adjoint_rtol: float | np.ndarray
    adjoint_atol: float | np.ndarray
    checkpoints: int | None
    differentiate_step_size: bool
    first_step: float | None
    max_steps: int
    compile: bool
    error_bar: bool | str = False
    engine: str = "auto"
    linear_solver: str = "auto"


def scaled(settings: Settings, factor: float) -> Settings:
    """The same with all tolerances times `factor`."""
    tolerances = ("rtol", "atol", "adjoint_rtol", "adjoint_atol")
    return replace(settings, **{name: getattr(settings, name) * factor for name in tolerances})


class Work(NamedTuple):
    """What a step of a training counts; what a method does not tell stays 0.

    ``reverse_evals`` are the right-hand sides and vector-Jacobian products of the reverse pass.
    """

    steps: Array = 0
    rejected: Array = 0
    rhs_evals: Array = 0
    reverse_evals: Array = 0


class TrainingGradient(NamedTuple):
    """What a step of a training needs, on arrays of the backend.

    ``status`` is an index into :data:`~adjointbench.adjoints.result.STATUSES`. The numbers are
    as they come, whatever the status.
    """

    loss: Array
    dparams: Named
    dy0: Array
    status: Array
    work: Work


class Program(Protocol):
    """What a backend makes of a problem and settings; compiled once, called often."""

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`, arrays of the problem's shapes and dtype."""
        ...

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone, same solver and settings; NaN where the solve broke down."""
        ...

    @property
    def compiled(self) -> BareGradient:
        """The bare call on backend arrays."""
        ...

    @property
    def compiled_primal(self) -> BareLoss:
        """The bare loss on backend arrays."""
        ...

    def training_gradient(
        self, params: Named, y0: Array, constants: Named, coefficients: Sequence[float] | Array
    ) -> TrainingGradient:
        """Loss and gradient inside a training, where constants and coefficients change.

        On JAX it is traced into the program of a step. Methods that ``keeps_constants`` show the
        new constants to the loss alone.
        """
        ...


@runtime_checkable
class Refinable(Protocol):
    """A program that can take the steps it took again, cut into equal pieces or joined."""

    @property
    def order(self) -> int:
        """The power of the step size with which its gradient's error shrinks."""
        ...

    @property
    def how_second(self) -> str:
        """In words, how the steps of the second gradient differ."""
        ...

    def with_second(
        self, params: Mapping[str, np.ndarray], y0: np.ndarray
    ) -> tuple[GradientResult, GradientResult]:
        """The gradient, and that of the same steps cut in two, or joined in pairs."""
        ...

    def in_pieces(
        self, params: Mapping[str, np.ndarray], y0: np.ndarray, pieces: int, steps: int
    ) -> GradientResult:
        """The gradient of the same steps, so many as are known, each cut into so many pieces."""
        ...


class NumpyProgram(ABC):
    """A program on NumPy arrays: ``gradient`` and ``primal`` are its bare calls as well."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @abstractmethod
    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""

    @abstractmethod
    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""

    @property
    def compiled(self) -> BareGradient:
        """``(params, y0) -> (loss, dparams, dy0)`` on NumPy arrays, NaN after a breakdown."""

        def call(params: Named, y0: Array) -> tuple[Array, Named, Array]:
            result = self.gradient(params, np.asarray(y0))
            return self.problem.dtype.type(result.loss), result.dparams, result.dy0

        return call

    @property
    def compiled_primal(self) -> BareLoss:
        """``(params, y0) -> loss`` on NumPy arrays, NaN after a breakdown."""
        return self.primal

    def training_gradient(
        self, params: Named, y0: Array, constants: Named, coefficients: Sequence[float] | Array
    ) -> TrainingGradient:
        """Refused."""
        refuse_training()


def refuse_training() -> NoReturn:
    """For programs on NumPy alone: a training runs inside a framework."""
    raise ValueError("this method is in no framework to train in; use one on 'jax' or 'torch'")


def gradient_result(
    problem: Problem,
    loss: Any,
    dparams: Mapping[str, np.ndarray],
    dy0: np.ndarray,
    *,
    forward: str = "ok",
    reverse: str = "ok",
    stats: Stats,
) -> GradientResult:
    """The result of a computation, from its numbers and the statuses of its two passes.

    Parameters
    ----------
    problem : Problem
    loss, dparams, dy0
        NumPy arrays, the parameters in any order.
    forward, reverse : str
        How each pass ended, a name of :data:`~adjointbench.adjoints.result.STATUSES`.
    stats : Stats
    """
    ended = _how_it_ended(forward, reverse, loss, dparams, dy0)
    if ended is not None:
        return failed_result(problem, *ended, stats=stats)
    return GradientResult(
        float(loss), {name: dparams[name] for name in problem.params}, dy0, stats=stats
    )


def failed_result(
    problem: Problem,
    status: str,
    phase: str,
    message: str = "",
    stats: Stats | None = None,
) -> GradientResult:
    """The result of a computation that broke down: NaN everywhere, and why.

    Parameters
    ----------
    problem : Problem
        Gives the shapes.
    status : str
        One of :data:`~adjointbench.adjoints.result.STATUSES`, not ``"ok"``.
    phase : str
        ``"forward"`` or ``"reverse"``.
    message : str
        One sentence; empty for the standard sentence of the status.
    stats : Stats, optional
        The work done until then.
    """
    nan = {name: np.full_like(value, np.nan) for name, value in problem.params.items()}
    return GradientResult(
        loss=float("nan"),
        dparams=nan,
        dy0=np.full_like(problem.y0, np.nan),
        status=status,
        phase=phase,
        message=message or status_message(status, phase),
        stats=stats if stats is not None else Stats(),
    )


def _how_it_ended(
    forward: str, reverse: str, loss: Any, dparams: Mapping[str, Any], dy0: Any
) -> tuple[str, str] | None:
    """Status and phase, from those of the two passes and their numbers; ``None`` where all is well.

    What came first counts: a loss that is not finite makes the reverse pass break down.
    """
    if forward != "ok":
        return forward, "forward"
    if not np.isfinite(loss).all():
        return "nonfinite", "forward"
    if reverse != "ok":
        return reverse, "reverse"
    finite = all(np.isfinite(g).all() for g in (*dparams.values(), dy0))
    return None if finite else ("nonfinite", "reverse")


def of_problem(problem: Problem) -> dict[str, Any]:
    """The arguments of ``solve`` by which an open solver solves a problem, but for its arrays."""
    return {
        "t0": problem.t_span[0],
        "discontinuities": problem.discontinuities,
        "jump_times": problem.jump_times,
        "jump": problem.jump,
    }
