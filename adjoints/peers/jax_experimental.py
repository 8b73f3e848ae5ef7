"""``jax.experimental.ode.odeint``: what comes with JAX itself, through its public interface.

What is mapped to what: the only solver, ``"dopri5"``, to the one there is; tolerances to ``rtol``
and ``atol``, which are single numbers; the start of the span and the saves to its times;
``max_steps`` to ``mxstep``, which limits the attempts *between two saves*, on the way back too.

What differs from the open solvers here. The derivative is its own continuous adjoint: state,
adjoint, the derivative in time and the quadrature are integrated backwards together, from save to
save, all of them in the error norm and at the tolerances of the forward solve. Saves are read off
a quartic through each step, and the last step goes beyond the end of the span, so that the
right-hand side must have a value there. It cannot step onto a discontinuity: it does not know of
``discontinuities`` and finds them by rejecting steps. There is no jump of the state, so that
problems with jumps are refused. It counts nothing, so that all counts stay ``None``.

It tells no breakdown either. Where a step is NaN, or where ``mxstep`` is used up, it stops and
reads the saves that it did not get to off the quartic of the last step it accepted: numbers that
look like any others. Hence a second program watches beside the first, in
:meth:`OdeintProgram.gradient` and :meth:`OdeintProgram.primal` and nowhere else: the same solve
with a larger limit, and with a check of every value of the right-hand side. A value that is not
finite is the status ``"nonfinite"``, since ``odeint`` never recovers from one; numbers that change
with the limit are the status ``"max_steps"``. The bare calls (``compiled``, ``compiled_primal``)
are what a user of ``odeint`` has, extrapolation included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import checkify
from jax.experimental.ode import odeint

from ...problems import Problem
from ..jax.compiled_loss import CompiledLoss, LossProgram
from ..program import Settings, Work, failed_result, gradient_result
from ..result import GradientResult, Stats
from .refusals import refuse_arrays, refuse_jumps

#: Attempts that the watching solve is allowed at least beyond the limit: as many rejected ones
#: in a row would have brought the step size to zero.
MORE_STEPS = 64

#: How far numbers may differ, relative, that the limit has no part in: two programs round
#: differently, in units of the rounding of the problem's dtype.
ROUNDINGS = 1e5

_OUT_OF_STEPS = (
    "odeint used up mxstep between two saves and read the later ones off the last step it had; "
    "raise max_steps, loosen the tolerances, or use an implicit solver if the problem is stiff"
)


def prepare(problem: Problem, settings: Settings) -> OdeintProgram:
    """The gradient of `problem` by ``odeint`` and its continuous adjoint, compiled.

    Raises
    ------
    ValueError
        Where the state jumps, or a tolerance is an array.
    """
    refuse_jumps(problem, settings)
    refuse_arrays(settings)
    return OdeintProgram(problem, settings)


class OdeintProgram(LossProgram):
    """A gradient by ``jax.experimental.ode.odeint``, compiled."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        limit = settings.max_steps
        loss = _loss(problem, settings, limit)
        super().__init__(problem, CompiledLoss(loss, problem, settings.device))
        self._watching = CompiledLoss(
            _watched(_loss(problem, settings, max(2 * limit, limit + MORE_STEPS), check=True)),
            problem,
            settings.device,
            differentiate=_watched_gradient,
        )

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`; computed twice, to find breakdowns."""
        stats = Stats(compile_s=self.loss.compile_s, derivatives="jax")
        loss, _, gradients = self.loss.gradient(params, y0)
        again, error, others = self._watching.gradient(params, y0)
        status, phase, message = "ok", "forward", ""
        if not np.isfinite(loss):
            status = "nonfinite"
        elif error.get() is not None:
            ahead = self._watching.primal(params, y0)[1].get() is not None
            status, phase = "nonfinite", "forward" if ahead else "reverse"
        elif not self._same(loss, again):
            status, message = "max_steps", _OUT_OF_STEPS
        elif not np.isfinite(_flat(gradients)).all():
            status, phase = "nonfinite", "reverse"
        elif not self._same(_flat(gradients), _flat(others)):
            status, phase, message = "max_steps", "reverse", _OUT_OF_STEPS
        if status != "ok":
            return failed_result(self.problem, status, phase, message, stats)
        return gradient_result(self.problem, loss, *gradients, stats=stats)

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown. Computed twice, as the gradient."""
        loss, _ = self.loss.primal(params, y0)
        again, error = self._watching.primal(params, y0)
        sound = error.get() is None and self._same(loss, again)
        return float(loss) if sound else float("nan")

    def status_and_work(self, report: Any, *extra: Any) -> tuple[Any, Work]:
        """Nothing is told, and not watched for: what is extrapolated counts as found."""
        del report, extra
        return jnp.int32(0), Work()

    def _same(self, one: Any, other: Any) -> bool:
        """Whether two results differ by rounding only."""
        # Without squares, which large numbers of single precision do not have.
        size, apart = (np.max(np.abs(x)) for x in (one, np.subtract(one, other)))
        return bool(apart <= ROUNDINGS * np.finfo(self.problem.dtype).eps * size)


def _loss(
    problem: Problem, settings: Settings, limit: int, *, check: bool = False
) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """``loss(params, y0, constants) -> (loss, None)`` by ``odeint``, with `limit` attempts."""

    # The equations' constants come in as values: in the arguments of `odeint`, or as what is
    # traced, an adjoint would be computed for them.
    def rhs(y: Any, t: Any, params: Any) -> Any:
        known = {name: jnp.asarray(value) for name, value in problem.constants.items()}
        slope = problem.rhs(t, y, {**params, **known})
        if check:
            checkify.check(jnp.isfinite(slope).all(), "the right-hand side is not finite")
        return slope

    start = problem.t_span[0]
    saved_start = bool(problem.save_at[0] == start)
    saves = problem.save_at if saved_start else np.hstack([start, problem.save_at])

    def loss(params: Any, y0: Any, constants: Any) -> tuple[Any, Any]:
        times = jnp.asarray(saves, problem.dtype)
        rtol, atol = float(settings.rtol), float(settings.atol)
        ys = odeint(rhs, y0, times, params, rtol=rtol, atol=atol, mxstep=limit)
        return problem.loss(ys if saved_start else ys[1:], {**params, **constants}), None

    return loss


def _watched(loss: Callable[..., tuple[Any, Any]]) -> Callable[..., tuple[Any, Any]]:
    """`loss` with what its checks found as its report."""

    def call(*arguments: Any) -> tuple[Any, Any]:
        error, (value, _) = checkify.checkify(loss)(*arguments)
        return value, error

    call.unwatched = loss  # type: ignore[attr-defined]
    return call


def _watched_gradient(
    function: Any, argnums: tuple[int, ...], has_aux: bool = False
) -> Callable[..., Any]:
    """As ``jax.value_and_grad`` of what :func:`_watched` made, the checks in reverse included."""
    assert has_aux
    gradient = jax.value_and_grad(function.unwatched, argnums=argnums, has_aux=True)

    def call(*arguments: Any) -> Any:
        error, ((value, _), gradients) = checkify.checkify(gradient)(*arguments)
        return (value, error), gradients

    return call


def _flat(gradients: tuple[Mapping[str, np.ndarray], np.ndarray]) -> np.ndarray:
    dparams, dy0 = gradients
    return np.concatenate([np.ravel(value) for value in (*dparams.values(), dy0)])
