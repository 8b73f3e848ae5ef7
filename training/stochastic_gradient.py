"""The gradient of a neural stochastic differential equation, in the place of ``LossGradient``."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..adjoints.jax.compiled_loss import value_and_forward_gradient
from ..adjoints.jax.sde import solve_sde
from ..adjoints.methods import get_method
from ..adjoints.program import TrainingGradient, Work
from ..adjoints.regularizers.regularizer import Regularizer, estimates_of
from ..problems.stochastic import SdeProblem
from .settings import RunSettings
from .task import Task

#: The constant that has the key of the Brownian paths.
KEY = "path key"
#: Of ``jax.random``: the same numbers on every platform.
_GENERATOR = "threefry2x32"
#: How rows tell the estimates, as those of other trainings.
_MEASURED = Regularizer("error", norm="scaled", reduction="mean")


class StochasticGradient:
    """A task's equation with the regulariser of a run; the path is drawn anew at each step.

    The path of a step is the same for all regularisers of a seed.

    Parameters
    ----------
    task : Task
        Whose problem is an :class:`~adjointbench.problems.stochastic.SdeProblem`.
    settings : RunSettings
    """

    def __init__(self, task: Task[SdeProblem], settings: RunSettings) -> None:
        self.task, self.settings = task, settings
        self._adjoint = get_method(settings.method).adjoint
        if self._adjoint == "forward" and task.start is not None:
            raise ValueError(
                f"adjoint='forward': the task {task.name!r} has so many weights before the "
                "equation that forward mode would take hours; use adjoint='discrete'"
            )
        penalty = settings.regularizer
        self._terms = () if penalty is None else penalty.terms
        #: Of the evaluations, which no training sees.
        self._evaluation_key = jax.random.key_data(_key(np.array([settings.seed, 1], np.uint32)))

    def fixed_constants(self) -> dict[str, np.ndarray]:
        """Constants of the problem that do not change from step to step."""
        known = self.task.problem.constants
        return {name: value for name, value in known.items() if name not in self.task.train}

    def drawn(
        self, epoch: int, random: np.random.RandomState, shares: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """The key of the paths of a step."""
        return {KEY: random.randint(0, 2**32, size=2, dtype=np.uint32)}

    def coefficients(self, epoch: int) -> tuple[float, ...]:
        """The coefficient of each term in an epoch; none without a regulariser."""
        return tuple(s.at(epoch, self.settings.epochs) for s in self.settings.coefficients)

    def parts(self, params: Any, constants: Any) -> tuple[Any, Any, Any]:
        """The problem's weights, those of what makes the start values, the constants."""
        own = {name: params[name] for name in self.task.problem.params}
        return own, {name: v for name, v in params.items() if name not in own}, constants

    def training_gradient(
        self, params: Any, y0: Any, constants: Any, coefficients: Any
    ) -> TrainingGradient:
        """Loss and gradient on the paths of a step, traced into its program."""
        key, settings = _key(constants[KEY]), self.settings

        def loss(params: Any, y0: Any) -> tuple[Any, Any]:
            solution = self._solve(params, y0, key, settings.preset.max_steps, settings.regularizer)
            value = self.task.problem.loss(solution.ys, {**params, **constants})
            for coefficient, term in zip(coefficients, self._terms, strict=False):
                value = value + coefficient * solution.estimates[term]
            return value, (solution.status_code, _work(solution))

        if self._adjoint == "forward":
            differentiated = value_and_forward_gradient(loss, argnums=(0,), has_aux=True)
            found, (dparams,) = differentiated(params, y0)
            return TrainingGradient(found[0], dparams, jnp.full_like(y0, jnp.nan), *found[1])
        differentiated = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
        found, slopes = differentiated(params, y0)
        return TrainingGradient(found[0], *slopes, *found[1])

    def solution(self, params: Any, y0: Any, indices: Any) -> tuple[Any, Any]:
        """A solution with no gradient, on paths of the batch at `indices`, and its evaluations."""
        key = jax.random.fold_in(_key(self._evaluation_key), indices[0] if indices.size else 0)
        solution = self._solve(params, y0, key, 4 * self.settings.preset.max_steps, _MEASURED)
        return solution, _work(solution).rhs_evals

    def _solve(self, params: Any, y0: Any, key: Any, max_steps: int, form: Any) -> Any:
        problem, preset = self.task.problem, self.settings.preset
        known = problem.constants
        error_norm, reduction = estimates_of(form)
        return solve_sde(
            lambda t, y, p: problem.drift(t, y, {**p, **known}),
            lambda t, y, p: problem.diffusion(t, y, {**p, **known}),
            y0,
            problem.save_at,
            params,
            key=key,
            t0=problem.t_span[0],
            solver=preset.solver or "sosri2",
            adjoint=self._adjoint,
            rtol=preset.rtol,
            atol=preset.atol,
            max_steps=max_steps,
            error_norm=error_norm,
            reduction=reduction,
        )


def _key(data: Any) -> Any:
    return jax.random.wrap_key_data(jnp.asarray(data), impl=_GENERATOR)


def _work(solution: Any) -> Work:
    stats = solution.stats
    evals = stats["drift_evals"] + stats["diffusion_evals"]
    return Work(stats["steps"], stats["rejected"], evals)
