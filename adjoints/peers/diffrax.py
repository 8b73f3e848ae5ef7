"""Diffrax [1]_: what most JAX users would pick, through its public interface.

What is mapped to what: the solvers ``"tsit5"``, ``"dopri5"``, ``"dopri8"`` (Prince and Dormand's
pair of orders 8 and 7; not Hairer's DOP853, but of its class) and ``"kvaerno5"`` (an ESDIRK) to the
classes of these names; tolerances to ``PIDController(rtol, atol)`` with its default coefficients,
which are those of plain integral control; discontinuities to ``jump_ts``, which may be traced and
then has the right derivative; saves to ``SaveAt(ts=...)``, which reads them off the dense output;
``max_steps`` as it is, and ``throw=False`` with the result codes turned into a status.

What differs from the open solvers here: the step size is held fixed in the derivative (Diffrax
stops the gradient in its controller); its default adjoint knows the errors of its steps
(:mod:`.diffrax_estimates`) and so the regularisers made of them; where the state jumps, at an event
or a declared time, it is begun again (:mod:`.diffrax_events`), but for the continuous adjoint,
which is refused such problems; evaluations of the right-hand side are not counted by Diffrax and
stay ``None``; a right-hand side that turns NaN makes it reject steps until ``max_steps``.

References
----------
.. [1] P. Kidger, "On Neural Differential Equations", PhD thesis, Oxford 2021;
   https://github.com/patrick-kidger/diffrax.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix

from ...problems import Problem
from ...problems.moving_times import times_at
from ..jax.compile_cache import static_settings
from ..jax.compiled_loss import CompiledLoss, LossProgram, value_and_forward_gradient
from ..jax.sides import Clip
from ..program import Settings, Work, failed_result, gradient_result
from ..regularizers.regularized import COEFFICIENT
from ..result import STATUSES, GradientResult, Stats
from .diffrax_estimates import penalty, summed_errors
from .diffrax_events import Solve, from_stop_to_stop, newton, restarts, with_constants
from .refusals import refuse_jumps

SOLVERS = {
    "tsit5": diffrax.Tsit5,
    "dopri5": diffrax.Dopri5,
    "dopri8": diffrax.Dopri8,
    "kvaerno5": diffrax.Kvaerno5,
}

#: Diffrax's results by our names; whatever else it may say is "failed".
RESULTS = {
    "ok": ("successful", "event_occurred"),
    "max_steps": ("max_steps_reached", "max_steps_rejected"),
    "step_too_small": ("dt_min_reached",),
    "nonfinite": ("nonfinite_input", "nonfinite"),
    "linear_solve": ("singular", "breakdown", "stagnation", "conlim"),
    "newton": ("nonlinear_max_steps_reached", "nonlinear_divergence"),
}


#: The constant that holds the tolerances and the first step: no other program for other ones.
NUMBERS = " numbers of the solver"

#: Makes the adjoint of its numbers.
MakeAdjoint = Callable[[Mapping[str, Any]], diffrax.AbstractAdjoint]


def prepare_recursive_checkpoint(problem: Problem, settings: Settings) -> DiffraxProgram:
    """``RecursiveCheckpointAdjoint``: the derivative of the steps, with online checkpoints."""
    adjoint = diffrax.RecursiveCheckpointAdjoint(checkpoints=settings.checkpoints)
    return DiffraxProgram(problem, settings, lambda numbers: adjoint, root_finder=newton(problem))


def prepare_direct(problem: Problem, settings: Settings) -> DiffraxProgram:
    """``DirectAdjoint``: automatic differentiation of bounded loops."""
    return DiffraxProgram(
        problem, settings, lambda numbers: diffrax.DirectAdjoint(), root_finder=newton(problem)
    )


def prepare_backsolve(problem: Problem, settings: Settings) -> DiffraxProgram:
    """``BacksolveAdjoint``: state and adjoint integrated backwards together."""

    def adjoint(numbers: Mapping[str, Any]) -> diffrax.AbstractAdjoint:
        controller = _controller(problem, numbers["adjoint_rtol"], numbers["adjoint_atol"])
        return diffrax.BacksolveAdjoint(
            solver=SOLVERS[settings.adjoint_solver](),
            stepsize_controller=controller,
            # The first step forward may be longer than the way back to the next save.
            dt0=None,
        )

    return DiffraxProgram(problem, settings, adjoint)


def prepare_forward(problem: Problem, settings: Settings) -> DiffraxProgram:
    """``ForwardMode``: forward-mode differentiation through the steps."""
    return DiffraxProgram(
        problem,
        settings,
        lambda numbers: diffrax.ForwardMode(),
        differentiate=value_and_forward_gradient,
        root_finder=newton(problem),
    )


def prepare_rounded(problem: Problem, settings: Settings) -> DiffraxProgram:
    """As the default adjoint, with events at ends of steps: ``Event`` without a root finder.

    No method: its gradients are wrong, and this shows it.
    """
    adjoint = diffrax.RecursiveCheckpointAdjoint(checkpoints=settings.checkpoints)
    return DiffraxProgram(problem, settings, lambda numbers: adjoint)


class DiffraxProgram(LossProgram):
    """A gradient by ``diffrax.diffeqsolve``, compiled."""

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        adjoint: MakeAdjoint,
        *,
        differentiate: Callable[..., Any] = jax.value_and_grad,
        root_finder: optimistix.AbstractRootFinder | None = None,
    ) -> None:
        if settings.regularizer is not None or settings.method.goes_back:
            refuse_jumps(problem, settings)
        constants: dict[str, Any] = {**problem.constants, NUMBERS: _numbers(problem, settings)}
        if settings.regularizer is not None:
            constants[COEFFICIENT] = np.asarray(settings.coefficient, problem.dtype)
        compiled = CompiledLoss(
            _loss(problem, settings, adjoint, root_finder),
            problem,
            settings.device,
            constants=constants,
            differentiate=differentiate,
            key=(static_settings(settings), root_finder is None),
        )
        super().__init__(problem, compiled, COEFFICIENT if settings.regularizer else None)

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""
        try:
            loss, report, (dparams, dy0) = self.loss.gradient(params, y0)
        except jax.errors.JaxRuntimeError as error:
            return failed_result(self.problem, *_breakdown(error))
        stats = Stats(
            steps=int(report["steps"]),
            rejected=int(report["rejected"]),
            compile_s=self.loss.compile_s,
            derivatives="jax",
        )
        status = STATUSES[int(report["status"])]
        return gradient_result(self.problem, loss, dparams, dy0, forward=status, stats=stats)

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        try:
            loss, report = self.loss.primal(params, y0)
        except jax.errors.JaxRuntimeError as error:
            _breakdown(error)
            return float("nan")
        return float("nan") if report["status"] else float(loss)

    def status_and_work(self, report: Any, *extra: Any) -> tuple[Any, Work]:
        """From Diffrax's own counts."""
        del extra
        return report["status"], Work(report["steps"], report["rejected"])


def _loss(
    problem: Problem,
    settings: Settings,
    adjoint: MakeAdjoint,
    root_finder: optimistix.AbstractRootFinder | None,
) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """``loss(params, y0, constants) -> (loss, report)`` by ``diffeqsolve``."""

    def loss(params: Any, y0: Any, constants: Any) -> tuple[Any, Any]:
        constants = dict(constants)
        numbers = constants.pop(NUMBERS)
        solve = _solver_of(problem, settings, adjoint, numbers, params)
        if restarts(problem):
            ys, seen, last = from_stop_to_stop(problem, params, y0, solve, root_finder)
            report = {"status": last.status, "steps": last.steps, "rejected": last.rejected}
            return problem.loss(ys, {**params, **constants, **seen}), report
        times = jnp.asarray(problem.save_at)
        solution, status = solve(
            jnp.asarray(problem.t_span[0], times.dtype),
            times[-1],
            y0,
            saveat=diffrax.SaveAt(ts=times, solver_state=settings.regularizer is not None),
        )
        report = {
            "status": status,
            "steps": solution.stats["num_accepted_steps"],
            "rejected": solution.stats["num_rejected_steps"],
        }
        value = problem.loss(solution.ys, {**params, **constants})
        if settings.regularizer is not None:
            value = value + penalty(solution, settings.regularizer, constants[COEFFICIENT])
        return value, report

    return loss


def _solver_of(
    problem: Problem,
    settings: Settings,
    adjoint: MakeAdjoint,
    numbers: Mapping[str, Any],
    params: Any,
) -> Solve:
    """``diffeqsolve`` with all that is the same from one solve to the next."""

    def solve(
        t0: Any, t1: Any, y0: Any, clip: Clip = lambda t: t, **options: Any
    ) -> tuple[diffrax.Solution, jax.Array]:
        # The equations' constants come in by closure and as values: in `args` an adjoint would be
        # computed for them, and `BacksolveAdjoint` can't close over what is traced.
        def rhs(t: Any, y: Any, params: Any) -> Any:
            return problem.rhs(clip(t), y, with_constants(problem, params))

        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(rhs),
            _solver(settings, numbers),
            t0=t0,
            t1=t1,
            dt0=numbers.get("first_step"),
            y0=y0,
            args=params,
            stepsize_controller=_controller(problem, numbers["rtol"], numbers["atol"], params),
            adjoint=adjoint(numbers),
            max_steps=settings.max_steps,
            throw=False,
            **options,
        )
        return solution, _status(solution.result)

    return solve


def _numbers(problem: Problem, settings: Settings) -> dict[str, np.ndarray]:
    """What the compiled program takes as arguments of its settings."""
    names = ("rtol", "atol", "adjoint_rtol", "adjoint_atol", "first_step")
    values = {name: getattr(settings, name) for name in names}
    return {
        name: np.asarray(value, problem.dtype)
        for name, value in values.items()
        if value is not None
    }


def _solver(settings: Settings, numbers: Mapping[str, Any]) -> diffrax.AbstractSolver:
    solver = SOLVERS[settings.solver]()
    if settings.regularizer is None:
        return solver
    return summed_errors(solver, settings.regularizer, numbers["rtol"], numbers["atol"])


def _controller(
    problem: Problem, rtol: Any, atol: Any, params: Mapping[str, Any] | None = None
) -> diffrax.AbstractStepSizeController:
    """Steps onto the discontinuities: those of `params`, where they move with them."""
    controller = diffrax.PIDController(rtol=rtol, atol=atol)
    if not problem.discontinuities:
        return controller
    declared = problem.discontinuities
    if params is not None:
        declared = times_at(declared, with_constants(problem, params))
    times = jnp.sort(jnp.asarray(declared, problem.dtype))
    return diffrax.ClipStepSizeController(controller, jump_ts=times)


def _status(result: Any) -> jax.Array:
    """Our status code of a result of Diffrax."""
    code = jnp.asarray(STATUSES.index("failed"), jnp.int32)
    for status, names in RESULTS.items():
        for name in names:
            said = result == getattr(diffrax.RESULTS, name)
            code = jnp.where(said, STATUSES.index(status), code)
    return code


def _breakdown(error: Exception) -> tuple[str, str, str]:
    """Status, phase and message where a linear system or its solution was not finite.

    ``throw=False`` silences the solver's own checks, not those of the linear solves by which the
    implicit function theorem differentiates a step. Any other error is raised again.
    """
    if not re.search("linear solver (returned|received) non-finite", str(error)):
        raise error
    return "linear_solve", "reverse", "a linear solve of the derivative was not finite"
