"""What both backends train with: the gradient of the regularised problem, and its constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..adjoints.gradient import prepare
from ..adjoints.methods import get_method
from ..adjoints.options import may_compile
from ..adjoints.program import compiled_when_called
from ..adjoints.regularizers.regularized import PREFIX, draws
from ..adjoints.run import Run
from ..problems import Problem
from .settings import RunSettings
from .start import NOISE, WEIGHT, looped
from .start import draws as start_draws
from .task import Task


@dataclass(frozen=True)
class Evaluation:
    """A batch, solved with no gradient.

    Attributes
    ----------
    loss : float
    correct : ndarray of bool, or None
    status : str
    rhs_evals : int
    estimates : dict of str to float
        ``error``, ``error_squared`` and ``stiffness``: the solver's own estimates, the mean of
        the scaled ones over the steps, and the largest stiffness; NaN where the solver has none.
    accepted : ndarray
        The times from which the accepted steps start.
    """

    loss: float
    correct: np.ndarray | None
    status: str
    rhs_evals: int
    estimates: dict[str, float]
    accepted: np.ndarray


class LossGradient:
    """A task's problem with the regulariser of a run, prepared; and what changes in it by step."""

    def __init__(self, task: Task[Problem], settings: RunSettings) -> None:
        self.task, self.settings = task, settings
        preset, method = settings.preset, get_method(settings.method)
        options: dict[str, Any] = {"rtol": preset.rtol, "atol": preset.atol}
        options["device"] = settings.device
        options["max_steps"] = preset.max_steps
        #: Whether PyTorch's loops are compiled, of the method and of evaluations.
        self.compiles = may_compile(method, task.problem)
        if self.compiles:
            options["compile"] = True
        if settings.differentiate_step_size:
            options["differentiate_step_size"] = True
        if preset.solver is not None:
            options["solver"] = preset.solver
        self._options = options
        start = tuple(s.at(0, settings.epochs) for s in settings.coefficients)
        with compiled_when_called():
            run = prepare(
                task.problem,
                settings.method,
                regularizer=settings.regularizer,
                coefficient=start or 0.0,
                **options,
            )
        #: Of a step: see :class:`~adjointbench.adjoints.program.Program`.
        self.training_gradient = run.training_gradient
        self._own = run.prepared.constants

    def with_error_bar(self) -> Run:
        """The gradient on the first batch that estimates its error, without a regulariser.

        It runs eagerly on PyTorch: so few calls are not worth seconds of compiling.
        """
        options = {name: value for name, value in self._options.items() if name != "compile"}
        return prepare(self.task.problem, self.settings.method, error_bar=True, **options)

    @property
    def evaluation_solver(self) -> str:
        """The open solver that measures all runs alike, whatever they are trained with."""
        stiff = self.task.problem.stiff
        return self.settings.preset.solver or ("rodas5p" if stiff else "tsit5")

    def fixed_constants(self) -> dict[str, np.ndarray]:
        """Constants of the prepared problem that do not change from step to step."""
        changing = {*self.task.train, *self._drawn_names()}
        return {name: value for name, value in self._own.items() if name not in changing}

    def _drawn_names(self) -> tuple[str, ...]:
        """The names of the constants that :meth:`drawn` makes anew."""
        if not any(name.startswith(PREFIX) for name in self._own):
            return ()
        return tuple(self.drawn(0, np.random.RandomState(0)))

    def drawn(
        self, epoch: int, random: np.random.RandomState, shares: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """What a step draws: for start values, and for a regulariser within the problem."""
        problem, penalty = self.task.problem, self.settings.regularizer
        found = {}
        if self.task.start is not None:
            found = start_draws(problem.y0.shape, problem.dtype, epoch, random)
        if penalty is None or penalty.terms:
            return found
        (coefficient,) = self.coefficients(epoch)
        return found | draws(problem, penalty, coefficient, random, shares)

    def parts(
        self, params: Mapping[str, Any], constants: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """The problem's weights, those of the encoder of start values, the problem's constants."""
        own = {name: params[name] for name in self.task.problem.params}
        others = {name: value for name, value in params.items() if name not in own}
        drawn = (NOISE, WEIGHT)
        return own, others, {name: v for name, v in constants.items() if name not in drawn}

    def first(self, params: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], np.ndarray]:
        """The problem's weights and the start values of the first batch, at these weights."""
        problem, start = self.task.problem, self.task.start
        own, others, constants = self.parts(params, problem.constants)
        return own, problem.y0 if start is None else start.mean(others, constants, looped)

    def coefficients(self, epoch: int) -> tuple[float, ...]:
        """The coefficient of each term in an epoch; none without a regulariser."""
        return tuple(s.at(epoch, self.settings.epochs) for s in self.settings.coefficients)
