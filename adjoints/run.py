"""``Run``: a prepared gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..problems import Problem
from ..problems.moving_times import moves
from .arguments import check_name, like
from .events.held_times import held_times
from .program import (
    Array,
    BareGradient,
    BareLoss,
    Named,
    Program,
    Settings,
    TrainingGradient,
    failed_result,
)
from .result import GradientResult


class Run:
    """A prepared gradient: compiled once, called often.

    Call it for a :class:`GradientResult`, with other parameters or start values if wanted;
    nothing is compiled again.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        program: Program,
        prepared: Problem | None = None,
    ) -> None:
        self.problem = problem
        #: What the program computes: the problem, with a regulariser in it where there is one.
        self.prepared = problem if prepared is None else prepared
        self.settings = settings
        self._program = program

    def __call__(
        self, params: Mapping[str, Any] | None = None, y0: Any | None = None
    ) -> GradientResult:
        """Loss and gradient, at the problem's own parameters and start value by default.

        Parameters
        ----------
        params : mapping of str to array_like, optional
            New values for some or all parameters, in the problem's shapes.
        y0 : array_like, optional
            A new start value, in the problem's shape.

        Raises
        ------
        ValueError
            Where a name is unknown, a shape does not fit, or a value is not finite.
        """
        inputs = self._inputs(params, y0)
        if self._undefined(inputs[0]):
            return failed_result(self.problem, "event", "forward")
        return self._program.gradient(*inputs)

    def primal(self, params: Mapping[str, Any] | None = None, y0: Any | None = None) -> float:
        """The loss alone: same solver, same settings, no gradient. NaN after a breakdown."""
        inputs = self._inputs(params, y0)
        return float("nan") if self._undefined(inputs[0]) else self._program.primal(*inputs)

    @property
    def compiled(self) -> BareGradient:
        """The bare compiled call on backend arrays, ``(params, y0) -> (loss, dparams, dy0)``."""
        return self._program.compiled

    @property
    def compiled_primal(self) -> BareLoss:
        """The bare compiled loss on backend arrays, ``(params, y0) -> loss``."""
        return self._program.compiled_primal

    @property
    def engine(self) -> str | None:
        """What runs it, as ``stats.engine`` will tell; ``None`` where nothing is to be chosen."""
        return getattr(self._program, "engine", None)

    def training_gradient(
        self, params: Named, y0: Array, constants: Named, coefficients: Sequence[float] | Array
    ) -> TrainingGradient:
        """Loss and gradient inside a training: see :class:`~adjointbench.adjoints.program.Program`.

        `constants` are those of :attr:`prepared`; everything is an array of the backend.
        """
        return self._program.training_gradient(params, y0, constants, coefficients)

    def _undefined(self, params: Mapping[str, np.ndarray]) -> bool:
        """Whether the times that `params` decide lie where they have no derivative."""
        return moves(self.problem) and not held_times(self.problem, params).defined

    def _inputs(
        self, params: Mapping[str, Any] | None, y0: Any | None
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        problem = self.problem
        if params is not None and not isinstance(params, Mapping):
            raise ValueError(f"params={params!r} must be a dict of arrays by their names")
        merged = dict(problem.params)
        for name, value in (params or {}).items():
            check_name("params", name, tuple(problem.params))
            merged[name] = like(f"params[{name!r}]", value, problem.params[name])
        start = problem.y0 if y0 is None else like("y0", y0, problem.y0)
        return merged, start
