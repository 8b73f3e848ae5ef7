"""gradsolve [1]_: steps recorded by an adaptive solve, then replayed as a scan that JAX reverses.

What is mapped to what: the solvers ``"tsit5"``, ``"vern7"`` and ``"rodas5p"`` (a Rosenbrock method,
with a Jacobian by forward mode) to its engines of these names; tolerances to its recorder's, which
are single numbers; ``first_step`` to ``dt0``, by default a hundredth of the span; ``max_steps`` to
the attempts of one recording; saves to ``saveat``, which takes one more step for each save, or,
where the end alone is saved, to its replay without them.

``gradsolve-record-replay`` records at the parameters that it is given, and is right there.
``gradsolve-replay`` records once, at the problem's own, and keeps these steps whatever it is
given: what a user of its ``grad_closure`` does between two recordings. Nothing controls the error
of a replay, so that :meth:`ReplayProgram.gradient` and :meth:`ReplayProgram.primal` estimate it at
every step, and say so where it is beyond :data:`STALE` times the tolerance; the bare calls are what
a user has, without a look at the error.

Its best settings are taken, which are not its defaults. ``grad_closure`` makes a new function with
each recording, which JAX compiles anew: over a second a gradient. Here its recorder and its replay
are called themselves, compiled once, the replay for a length of which there are few (steps of size
zero fill it up, as the library does for an ensemble). And a single trajectory on a CPU would be
recorded by a loop in Python (Lotka-Volterra at rtol 1e-6: 50 to 100 ms); here it is always the
compiled recorder, which the library takes for 32 trajectories and more (0.15 ms).

What differs from the open solvers here: the step size is held fixed in the derivative; the error is
that of plain integral control; everything is in double precision, so that problems in single
precision are solved in double and rounded; it knows of no jump and no discontinuity, so that
problems with either are refused. Its explicit recorders tell a value that is not finite as they
tell attempts that are used up. A recording leaves the compiled program, which no training can.

References
----------
.. [1] A. Spurio Mancini, "GRADSOLVE: fast exact gradients for ODE ensembles on GPUs",
   arXiv:2609.02876; https://github.com/ECLIPSE-AI4Science/gradsolve.
"""

from __future__ import annotations

import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...problems import Problem
from ..program import Settings, TrainingGradient, failed_result, gradient_result
from ..result import GradientResult, Stats
from .gradsolve_recorder import (
    SOLVERS,
    Breakdown,
    Recorder,
    Steps,
    equations_of,
    padded,
    vmap_saveat,
)
from .refusals import refuse_arrays, refuse_stops

#: A step of a replay is told to be stale where its error is so many times the tolerance; the
#: recorder accepted it with an error of one at most.
STALE = 10.0


def prepare_record_replay(problem: Problem, settings: Settings) -> RecordReplayProgram:
    """Steps recorded at the parameters of each call, then replayed."""
    return RecordReplayProgram(problem, settings)


def prepare_replay(problem: Problem, settings: Settings) -> ReplayProgram:
    """Steps recorded once, at the problem's own parameters."""
    return ReplayProgram(problem, settings)


class _Program(ABC):
    """A gradient by a replay of recorded steps."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        refuse_stops(problem, settings)
        refuse_arrays(settings)
        self._problem = problem
        self._settings = settings
        self._equations = equations_of(problem)
        self.record = Recorder(problem, settings, self._equations)
        self._replays: dict[tuple[bool, int], Callable[..., Any]] = {}
        self._compile_s = 0.0
        begin = time.perf_counter()
        try:
            steps = self.steps_at(problem.params, problem.y0)
        except Breakdown:
            # Told when a gradient is asked for.
            return
        self._compile_s = time.perf_counter() - begin
        self._replayed(steps, problem.params, problem.y0, slopes=True)

    @abstractmethod
    def steps_at(self, params: Mapping[str, Any], y0: Any) -> Steps:
        """The steps to replay at `params` and `y0`; ``Breakdown`` where there are none."""

    def check(self, steps: Steps, params: Mapping[str, Any], y0: Any) -> str:
        """What is wrong with `steps` at `params` and `y0`, in a sentence; empty if nothing."""
        del steps, params, y0
        return ""

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient at `params` and `y0`."""
        try:
            steps = self.steps_at(params, y0)
        except Breakdown as error:
            stats = Stats(compile_s=self._compile_s, derivatives="jax")
            return failed_result(self._problem, error.status, "forward", error.message, stats)
        found = jax.device_get(self._replayed(steps, params, y0, slopes=True))
        stats = Stats(
            steps=steps.accepted,
            rejected=steps.rejected,
            reverse_steps=steps.accepted,
            compile_s=self._compile_s,
            derivatives="jax",
        )
        wrong = self.check(steps, params, y0)
        if wrong:
            return failed_result(self._problem, "failed", "forward", wrong, stats)
        return gradient_result(self._problem, *found, stats=stats)

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        try:
            steps = self.steps_at(params, y0)
        except Breakdown:
            return float("nan")
        loss = float(self._replayed(steps, params, y0, slopes=False))
        return float("nan") if self.check(steps, params, y0) else loss

    def compiled(self, params: Mapping[str, Any], y0: Any) -> tuple[Any, Any, Any]:
        """``(params, y0) -> (loss, dparams, dy0)`` on JAX arrays; NaN after a breakdown."""
        try:
            return self._replayed(self.steps_at(params, y0), params, y0, slopes=True)
        except Breakdown:
            with jax.enable_x64(True):
                given = (np.zeros((), self._problem.dtype), dict(params), y0)
                return jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), given)

    def compiled_primal(self, params: Mapping[str, Any], y0: Any) -> Any:
        """``(params, y0) -> loss`` on JAX arrays; NaN after a breakdown."""
        try:
            return self._replayed(self.steps_at(params, y0), params, y0, slopes=False)
        except Breakdown:
            with jax.enable_x64(True):
                return jnp.full((), jnp.nan, self._problem.dtype)

    def training_gradient(
        self, params: Any, y0: Any, constants: Any, coefficients: Any
    ) -> TrainingGradient:
        """Refused."""
        raise ValueError(
            f"method={self._settings.method.name!r} records its steps outside of compiled "
            "programs, and a training is one; use method='jax-discrete', or "
            "'diffrax-recursive-checkpoint' for a peer"
        )

    def _replayed(self, steps: Steps, params: Mapping[str, Any], y0: Any, *, slopes: bool) -> Any:
        """``(loss, dparams, dy0)`` of a replay, or the loss alone, on JAX arrays."""
        length = steps.sizes.shape[1]
        with jax.enable_x64(True):
            arguments = (dict(params), y0, steps.sizes)
            if (slopes, length) not in self._replays:
                begin = time.perf_counter()
                function = self._value_and_slopes if slopes else self._loss
                self._replays[slopes, length] = jax.jit(function).lower(*arguments).compile()
                self._compile_s += time.perf_counter() - begin
            return self._replays[slopes, length](*arguments)

    def _value_and_slopes(self, params: Any, y0: Any, sizes: Any) -> tuple[Any, Any, Any]:
        loss, slopes = jax.value_and_grad(self._loss, argnums=(0, 1))(params, y0, sizes)
        return loss, *slopes

    def _loss(self, params: Any, y0: Any, sizes: Any) -> Any:
        problem, equations = self._problem, self._equations
        method, replay = SOLVERS[self._settings.solver]
        start, theta = self._flat(params, y0)
        if np.array_equal(problem.save_at, [problem.t_span[1]]):
            ys = replay(equations, start[None], theta[None], sizes)
        else:
            saves = problem.save_at.astype(np.float64)
            _, ys = vmap_saveat(
                equations.f_jax,
                equations.t0,
                start[None],
                theta[None],
                sizes,
                saves,
                method.advance,
            )
            ys = ys[0]
        return equations.loss(ys, theta).astype(problem.dtype)

    def _flat(self, params: Mapping[str, Any], y0: Any) -> tuple[Any, Any]:
        """Start value and parameters as vectors in double precision."""
        # By name: JAX hands over the entries of a mapping in the order of the alphabet.
        arrays = (params[name] for name in self._problem.params)
        start, *leaves = (jnp.ravel(x).astype(jnp.float64) for x in (y0, *arrays))
        return start, jnp.concatenate([jnp.zeros(0), *leaves])


class RecordReplayProgram(_Program):
    """Recorded anew at every call."""

    def steps_at(self, params: Mapping[str, Any], y0: Any) -> Steps:
        """Recorded here and now, filled up with steps of size zero."""
        steps = self.record(params, y0)
        more = padded(steps.accepted) - steps.accepted
        return steps._replace(sizes=np.pad(steps.sizes, ((0, 0), (0, more))))


class ReplayProgram(_Program):
    """Recorded once, at the problem's own parameters and start value."""

    _recorded: Steps | Breakdown | None = None

    def steps_at(self, params: Mapping[str, Any], y0: Any) -> Steps:
        """The recorded steps, whatever the parameters."""
        if self._recorded is None:
            try:
                self._recorded = self.record(params, y0)
            except Breakdown as error:
                self._recorded = error
        if isinstance(self._recorded, Breakdown):
            raise self._recorded
        return self._recorded

    def check(self, steps: Steps, params: Mapping[str, Any], y0: Any) -> str:
        """Whether the recorded steps keep the tolerance at `params` and `y0`, about."""
        with jax.enable_x64(True):
            worst = float(self._worst(dict(params), y0, steps.sizes[0]))
        if worst <= STALE:
            return ""
        return (
            f"steps that were recorded at the problem's own parameters have errors of {worst:.1e} "
            "times the tolerance at these; use method='gradsolve-record-replay', which records "
            "anew, or prepare the problem with these parameters"
        )

    @functools.cached_property
    def _worst(self) -> Callable[..., Any]:
        return jax.jit(self._largest_error)

    def _largest_error(self, params: Any, y0: Any, sizes: Any) -> Any:
        """The largest error of a step as its recorder measures it; infinite where it is none."""
        equations, settings = self._equations, self._settings
        method = SOLVERS[settings.solver][0]
        start, theta = self._flat(params, y0)

        def step(state: Any, size: Any) -> Any:
            t, y = state
            tried = method.trial_step(equations.f_jax, t, y, size, theta)
            scale = settings.atol + settings.rtol * jnp.maximum(jnp.abs(y), jnp.abs(tried.y_next))
            error = jnp.sqrt(jnp.mean((tried.y_err / scale) ** 2))
            return (t + size, tried.y_next), jnp.where(jnp.isfinite(error), error, jnp.inf)

        _, errors = jax.lax.scan(step, (jnp.asarray(equations.t0, start.dtype), start), sizes)
        return errors.max()
