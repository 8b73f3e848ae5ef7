r"""Stochastic differential equations by Diffrax [1]_, through its public interface.

What is mapped to what: diagonal noise to ``ControlTerm`` with ``lineax.DiagonalLinearOperator``;
constant steps to ``ConstantStepSize``, tolerances to ``PIDController(rtol, atol)`` that steps onto
the saves (``ClipStepSizeController(step_ts=...)``), as states between steps are interpolated
linearly, which Brownian motion is not. ``throw=False`` with the result codes turned into a flag.

Most of its solvers converge to the Stratonovich solution. They get the drift of the same Itô
equation, :math:`f - \frac{1}{2} g \, \partial_y g`, by one product of a Jacobian and a vector:
right where component i of the diffusion depends on component i of the state alone.
``BacksolveAdjoint`` takes solvers of one term, as ``"heun"``, and none of the Runge-Kutta methods
that are made for noise.

References
----------
.. [1] P. Kidger, "On Neural Differential Equations", PhD thesis, Oxford 2021;
   https://github.com/patrick-kidger/diffrax. Its Brownian paths: A. Jelincic, J. Foster,
   P. Kidger, arXiv:2405.06464.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import diffrax
import equinox
import jax
import jax.numpy as jnp
import lineax

from ...problems.stochastic import SdeProblem
from ..arguments import check_name
from .refusals import refuse_multiplicative_noise

#: By name: the solver, and whether it is for additive noise alone.
SOLVERS: dict[str, tuple[Callable[[], diffrax.AbstractSolver], bool]] = {
    "ito-milstein": (diffrax.ItoMilstein, False),
    "heun": (diffrax.Heun, False),
    "spark": (diffrax.SPaRK, False),
    "slowrk": (diffrax.SlowRK, False),
    "shark": (diffrax.ShARK, True),
}

ADJOINTS: dict[str, Callable[[], diffrax.AbstractAdjoint]] = {
    "recursive-checkpoint": diffrax.RecursiveCheckpointAdjoint,
    "direct": diffrax.DirectAdjoint,
    "backsolve": diffrax.BacksolveAdjoint,
    "forward": diffrax.ForwardMode,
}

#: Its own path is drawn to so small a part of the span.
RESOLUTION = 2.0**-20


class GivenPath(diffrax.AbstractBrownianPath):
    """Another path, read by Diffrax.

    Attributes
    ----------
    increment : callable
        ``increment(key, t0, t1) -> (W, H)``: increment and space-time Lévy area.
    key : array
        What the path is drawn from.
    """

    key: Any
    increment: Callable[..., Any] = equinox.field(static=True)
    t0: Any
    t1: Any
    levy_area: Any = equinox.field(static=True, default=diffrax.SpaceTimeLevyArea)

    def evaluate(self, t0: Any, t1: Any = None, left: bool = True, use_levy: bool = False) -> Any:
        """The increment from `t0` to `t1`, with its area where that is asked for."""
        del left
        start, end = (self.t0, t0) if t1 is None else (t0, t1)
        w, area = self.increment(self.key, start, end)
        if not use_levy:
            return w
        return diffrax.SpaceTimeLevyArea(dt=jnp.asarray(end - start, w.dtype), W=w, H=area)


def own_path(problem: SdeProblem, key: Any) -> diffrax.AbstractBrownianPath:
    """``VirtualBrownianTree`` on the span of the problem."""
    t0, t1 = problem.t_span
    return diffrax.VirtualBrownianTree(
        t0,
        t1,
        tol=RESOLUTION * (t1 - t0),
        shape=jax.ShapeDtypeStruct(problem.y0.shape, problem.dtype),
        key=key,
        levy_area=diffrax.SpaceTimeLevyArea,
    )


def loss_function(
    problem: SdeProblem,
    *,
    solver: str,
    adjoint: str = "recursive-checkpoint",
    step: float | None = None,
    tol: float | None = None,
    max_steps: int = 4096,
) -> Callable[[Mapping[str, Any], Any, Any], tuple[Any, dict[str, Any]]]:
    """``loss(params, y0, path) -> (loss, {"ys", "steps", "rejected", "ok"})``, for JAX to reverse.

    Parameters
    ----------
    problem : SdeProblem
    solver, adjoint : str
        Of :data:`SOLVERS` and :data:`ADJOINTS`.
    step, tol : float, optional
        One of them: the constant step size, or the tolerance, relative and absolute; JAX may trace
        it.
    max_steps : int

    Raises
    ------
    ValueError
        Where a name is unknown, or Diffrax has no such combination.
    """
    check_name("solver", solver, tuple(SOLVERS))
    check_name("adjoint", adjoint, tuple(ADJOINTS))
    make_solver, additive = SOLVERS[solver]
    if additive:
        refuse_multiplicative_noise(problem, solver, "slowrk")
    if adjoint == "backsolve" and solver != "heun":
        raise ValueError(
            f"solver={solver!r} does not work with Diffrax's BacksolveAdjoint, which takes "
            "Stratonovich solvers of one term; pass solver='heun'"
        )

    def loss(params: Mapping[str, Any], y0: Any, path: Any) -> tuple[Any, dict[str, Any]]:
        solution = diffrax.diffeqsolve(
            _terms(problem, path, ito=solver == "ito-milstein"),
            make_solver(),
            *problem.t_span,
            dt0=_first_step(problem, step),
            y0=y0,
            args=params,
            saveat=diffrax.SaveAt(ts=jnp.asarray(problem.save_at)),
            stepsize_controller=_controller(problem, tol),
            adjoint=ADJOINTS[adjoint](),
            max_steps=max_steps,
            throw=False,
        )
        report = {
            "ys": solution.ys,
            "steps": solution.stats["num_accepted_steps"],
            "rejected": solution.stats["num_rejected_steps"],
            "ok": solution.result == diffrax.RESULTS.successful,
        }
        return problem.loss(solution.ys, problem.merged(params)), report

    return loss


def _terms(problem: SdeProblem, path: Any, *, ito: bool) -> diffrax.MultiTerm:
    def diffusion(t: Any, y: Any, params: Any) -> Any:
        return problem.diffusion(t, y, _merged(problem, params))

    def drift(t: Any, y: Any, params: Any) -> Any:
        slope = problem.drift(t, y, _merged(problem, params))
        if ito or problem.additive:
            return slope
        noise, push = jax.jvp(lambda y: diffusion(t, y, params), (y,), (diffusion(t, y, params),))
        del noise
        return slope - push / 2

    return diffrax.MultiTerm(
        diffrax.ODETerm(drift),
        diffrax.ControlTerm(
            lambda t, y, params: lineax.DiagonalLinearOperator(diffusion(t, y, params)), path
        ),
    )


def _merged(problem: SdeProblem, params: Mapping[str, Any]) -> dict[str, Any]:
    # As values: in `args` an adjoint would be computed for constants too.
    return {**params, **{name: jnp.asarray(value) for name, value in problem.constants.items()}}


def _first_step(problem: SdeProblem, step: float | None) -> float:
    """The constant step, or where to begin: Diffrax can't choose one for a path."""
    return (problem.t_span[1] - problem.t_span[0]) / 64 if step is None else step


def _controller(problem: SdeProblem, tol: float | None) -> diffrax.AbstractStepSizeController:
    if tol is None:
        return diffrax.ConstantStepSize()
    controller = diffrax.PIDController(rtol=tol, atol=tol)
    return diffrax.ClipStepSizeController(controller, step_ts=jnp.asarray(problem.save_at))
