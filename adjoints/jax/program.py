"""Gradients of a whole problem in one compiled JAX function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...problems import Problem
from ...problems.moving_times import moves
from ..error_bars.pieces import words_of
from ..program import (
    Settings,
    TrainingGradient,
    Work,
    compiled_ahead,
    gradient_result,
    of_problem,
)
from ..result import STATUSES, GradientResult, Stats
from ..steps.acceptance import Terms
from . import storage
from .compile_cache import Built, build, static_settings
from .config import Config
from .device import find_device
from .differentiable import puller, recorder, undifferentiated
from .engines import choose_engine
from .events.outputs import events_of
from .forward_mode import solve_forward
from .mass import begun, check_index
from .outcomes import Met
from .problem_config import configure
from .record import bytes_of, bytes_of_step
from .solve import operands, solve
from .state import Operands
from .stats import Report, pack_report, stats_of
from .steps_again import again_config, finer_operands, joined_operands, room_for
from .systems.found import solved_how, with_system
from .user_functions import merge_named

Tree = Any


def prepare(problem: Problem, settings: Settings) -> JaxProgram:
    """Compile the gradient of `problem` by the method named in `settings`."""
    return JaxProgram(problem, settings)


class Tuning(NamedTuple):
    """The numbers that a compiled program takes as arguments: others need no other program."""

    rtol: Any
    atol: Any
    reverse_rtol: Any
    reverse_atol: Any
    first_step: Any
    coefficient: Any


def tuning(settings: Settings, dtype: Any) -> Tuning:
    """The numbers of `settings`, as arrays of `dtype`."""
    numbers = Tuning(
        rtol=settings.rtol,
        atol=settings.atol,
        reverse_rtol=settings.adjoint_rtol,
        reverse_atol=settings.adjoint_atol,
        first_step=settings.first_step,
        coefficient=np.asarray(settings.coefficient),
    )
    return jax.tree.map(lambda number: np.asarray(number, dtype), numbers)


class Fixed(NamedTuple):
    """What does not change from call to call; ``tuning`` packed, as each argument costs time."""

    constants: Tree
    tuning: Any


class JaxProgram:
    """A compiled gradient; the loss alone is compiled when it is first asked for.

    Programs for the same problem that differ in tolerances alone share what is compiled. The
    solver knows up to which size of the state the reverse sweep takes steps in chunks;
    `chunked_states` is for those who measure that.
    """

    def __init__(
        self, problem: Problem, settings: Settings, *, chunked_states: int | None = None
    ) -> None:
        self.problem = problem
        self.settings = settings
        self.device = find_device(settings.device)
        self._x64 = problem.dtype == np.float64
        self._tuning = tuning(settings, problem.dtype)
        packed = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(self._tuning)])
        self._fixed: Fixed = self._put(Fixed(dict(problem.constants), packed))
        with self._context():
            self.stops, config = configure(problem, settings)
            if chunked_states is not None:
                solver: Any = config.solver
                config = replace(config, solver=replace(solver, chunked_states=chunked_states))
            self._without_engine = config
            config, self.engine = choose_engine(
                settings.engine,
                config,
                self._put(problem.y0),
                (dict(problem.params), dict(problem.constants)),
                self.stops,
                self.device.platform,
                settings.checkpoints,
                settings.linear_solver,
                **{"a solve with events": bool(problem.events)},
                **{"a solve with times that move": moves(problem)},
            )
            own = self._put(problem.y0), dict(problem.params), dict(problem.constants)
            self.config = self._with_system(config, *own)
            check_index(self.config, *self._at_own_values())
        if compiled_ahead():
            _ = self._built

    def _at_own_values(self) -> tuple[jax.Array, jax.Array, Operands]:
        """Start time and value, and what a solve at the problem's own values reads."""
        ops = self._operands(dict(self.problem.params), self._fixed)
        return ops.t0, self._put(self.problem.y0), ops

    def _with_system(self, config: Config, y0: jax.Array, params: Tree, constants: Tree) -> Config:
        """The configuration with what solves the linear systems, where that is not the engine."""
        problem = self.problem
        sparsity = problem.jacobian_sparsity if y0.shape == problem.y0.shape else None
        settings, platform = self.settings, self.device.platform
        return with_system(
            settings.linear_solver, config, y0, (params, constants), sparsity, platform
        )

    @cached_property
    def _built(self) -> Built:
        """The gradient, compiled."""
        return self._ahead(self._with_second if self.settings.error_bar else self._gradient)

    def gradient(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> GradientResult:
        """Loss and gradient as NumPy arrays, with status and counts."""
        return self._result(
            *self._built.call(self._put(dict(params)), self._put(y0), self._fixed)[:4]
        )

    @property
    def order(self) -> int:
        """The order of the solver."""
        return self.config.tableau.order

    @property
    def how_second(self) -> str:
        """In words, how the steps of the second gradient differ."""
        return words_of(self.settings)

    def with_second(
        self, params: Mapping[str, np.ndarray], y0: np.ndarray
    ) -> tuple[GradientResult, GradientResult]:
        """The gradient, and that of the same steps cut or joined: of what was built for both."""
        out = self._built.call(self._put(dict(params)), self._put(y0), self._fixed)
        return self._result(*out[:4]), self._result(*out[4:])

    def in_pieces(
        self, params: Mapping[str, np.ndarray], y0: np.ndarray, pieces: int, steps: int
    ) -> GradientResult:
        """The gradient of the same steps, each cut into so many pieces."""
        fixed = (self._fixed, self._put(np.int32(pieces)))
        room = room_for(pieces * steps)
        call, _ = self._ahead(partial(self._in_pieces, room), fixed, ("in pieces", room))
        return self._result(*call(self._put(dict(params)), self._put(y0), fixed))

    def _result(self, *out: Any) -> GradientResult:
        """The result of what a compiled gradient returned."""
        loss, dparams, dy0, counts = jax.tree.map(np.asarray, out)
        report = Report(*counts.tolist())
        known = Stats(
            saved_bytes=self._bytes_kept(report),
            compile_s=self._built.compile_s,
            derivatives="jax",
            engine=self.engine,
            linear_solver=solved_how(self.config),
        )
        directions = self.problem.n_params + self.problem.n_states
        stats = stats_of(self.config, report, directions, known)
        return gradient_result(
            self.problem,
            loss,
            dparams,
            dy0,
            forward=STATUSES[report.status],
            reverse="ok" if report.reverse_status < 0 else STATUSES[report.reverse_status],
            stats=stats,
        )

    def primal(self, params: Mapping[str, np.ndarray], y0: np.ndarray) -> float:
        """The loss alone; NaN after a breakdown."""
        return float(self.compiled_primal(self._put(dict(params)), self._put(y0)))

    @property
    def compiled(self) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
        """``(params, y0) -> (loss, dparams, dy0)`` on JAX arrays, compiled ahead of time."""
        call, fixed = self._built.call, self._fixed
        return lambda params, y0: call(params, y0, fixed)[:3]

    @cached_property
    def compiled_primal(self) -> Callable[[Any, Any], Any]:
        """``(params, y0) -> loss`` on JAX arrays, compiled ahead of time."""
        call, fixed = self._ahead(self._loss_alone).call, self._fixed
        return lambda params, y0: call(params, y0, fixed)

    def training_gradient(
        self, params: Tree, y0: jax.Array, constants: Tree, coefficients: Sequence[float] | Any
    ) -> TrainingGradient:
        """Loss and gradient inside somebody else's program, with other constants."""
        numbers = self._tuning._replace(coefficient=coefficients)
        packed = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(numbers)])
        fixed = Fixed(constants, packed)
        config = self.config
        if self.problem.constants or y0.shape != self.problem.y0.shape:
            # The values of the problem's constants and its shapes are in a native program.
            config = self._with_system(self._without_engine, y0, params, constants)
        ops = self._operands(params, fixed)
        loss, dparams, dy0, found, _ = self._gradient_of(config, False, params, y0, ops, fixed)
        report = Report(*found)
        status = jnp.where(report.status == 0, report.reverse_status, report.status)
        return TrainingGradient(
            loss,
            dparams,
            dy0,
            jnp.where(report.reverse_status < 0, report.status, status),
            Work(
                report.steps,
                report.attempts - report.steps,
                report.rhs_evals,
                report.reverse_rhs_evals + report.vjp_evals,
            ),
        )

    def _ahead(self, function: Callable[..., Any], fixed: Any = None, name: Any = None) -> Built:
        """`function` compiled ahead of time, or what was compiled for it before.

        It is known by its own name, or by another.
        """
        shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(self._tuning))
        named = name or function.__name__
        key = (named, static_settings(self.settings), shapes, self.config.solver)
        arguments = (*self._example(), self._fixed if fixed is None else fixed)
        with self._context():
            return build(self.problem, key, function, arguments, self.device)

    def _gradient(self, params: Tree, y0: jax.Array, fixed: Fixed) -> tuple[Any, ...]:
        ops = self._operands(params, fixed)
        return self._gradient_of(self.config, False, params, y0, ops, fixed)[:4]

    def _with_second(self, params: Tree, y0: jax.Array, fixed: Fixed) -> tuple[Any, ...]:
        """The gradient, and that of the same steps cut in two, or joined in pairs."""
        ops = self._operands(params, fixed)
        *first, out = self._gradient_of(self.config, True, params, y0, ops, fixed)
        room = self.config.max_steps
        if self.settings.error_bar == "joined":
            again = joined_operands(self.config, ops, out)
        else:
            again, room = finer_operands(self.config, ops, out, 2), 2 * room
        config = again_config(self.config, room)
        return *first, *self._gradient_of(config, False, params, y0, again, fixed)[:4]

    def _in_pieces(
        self, room: int, params: Tree, y0: jax.Array, fixed: tuple[Fixed, jax.Array]
    ) -> tuple[Any, ...]:
        """The gradient of the steps of a solve, each in so many pieces, `room` of them at most."""
        own, pieces = fixed
        ops = self._operands(params, own)
        start, ops = begun(self.config, ops.t0, y0, ops)
        out = undifferentiated(self.config, True, start, ops)
        ops = finer_operands(self.config, ops, out, pieces)
        config = again_config(self.config, room)
        return self._gradient_of(config, False, params, y0, ops, own)[:4]

    def _gradient_of(
        self,
        config: Config,
        keep_steps: bool,
        params: Tree,
        y0: jax.Array,
        ops: Operands,
        fixed: Fixed,
    ) -> tuple[Any, ...]:
        """Loss, gradients and report of one solve, and what the solve returned."""
        if config.adjoint == "forward":
            return self._forward_gradient(config, keep_steps, params, y0, ops, fixed)
        start, pull_start, ops = self._begun(config, params, y0, ops)
        out, kept = recorder(config)(config, keep_steps, start, ops)
        value = jax.value_and_grad(partial(self._total, out.met), argnums=(0, 1, 2, 3))
        loss, (dys, dtotals, direct, dbefore) = value(out.ys, out.totals, params, out.before, fixed)
        wanted = self._wanted(dtotals)
        pulled = puller(config)(config, kept, dys, wanted, None, dbefore)
        dparams = jax.tree.map(jnp.add, direct, pulled.dparams)
        if pull_start is None:
            return loss, dparams, pulled.dy0, pack_report(config, out.final, pulled.counts), out
        dy0, of_start = pull_start(pulled.dy0)
        dparams = jax.tree.map(jnp.add, dparams, of_start)
        return loss, dparams, dy0, pack_report(config, out.final, pulled.counts), out

    def _begun(
        self, config: Config, params: Tree, y0: jax.Array, ops: Operands
    ) -> tuple[jax.Array, Callable[..., Any] | None, Operands]:
        """A start value that fulfils the algebraic equations, and what pulls back to `y0`."""
        if config.mass is None or not config.mass.algebraic:
            return y0, None, ops

        def begin(y0: jax.Array, params: Tree) -> tuple[jax.Array, Any]:
            start, after = begun(config, ops.t0, y0, ops._replace(params=params))
            return start, after.begins

        start, pull, begins = jax.vjp(begin, y0, params, has_aux=True)
        return start, pull, ops._replace(begins=begins)

    def _forward_gradient(
        self,
        config: Config,
        keep_steps: bool,
        params: Tree,
        y0: jax.Array,
        ops: Operands,
        fixed: Fixed,
    ) -> tuple[Any, ...]:
        def total(params: Tree, y0: jax.Array) -> tuple[jax.Array, Any]:
            start, moved = begun(config, ops.t0, y0, ops._replace(params=params))
            out = solve_forward(config, keep_steps, start, moved)
            loss = self._total(out.met, out.ys, out.totals, params, out.before, fixed)
            return loss, (loss, out)

        jacobian = jax.jacfwd(total, argnums=(0, 1), has_aux=True)
        (dparams, dy0), (loss, out) = jacobian(params, y0)
        return loss, dparams, dy0, pack_report(config, out.final, None), out

    def _loss_alone(self, params: Tree, y0: jax.Array, fixed: Fixed) -> jax.Array:
        ops = self._operands(params, fixed)
        out = undifferentiated(self.config, False, *begun(self.config, ops.t0, y0, ops))
        return self._total(out.met, out.ys, out.totals, params, out.before, fixed)

    def _total(
        self,
        met: Met | None,
        ys: jax.Array,
        totals: Terms,
        params: Tree,
        before: jax.Array | None,
        fixed: Fixed,
    ) -> jax.Array:
        """The loss, with the regulariser; `before` are the states before the stops."""
        p = merge_named(params, fixed.constants)
        if met is not None and before is not None:
            met = met._replace(before=before)
            times = events_of(self.config.events, met, (params, fixed.constants)).times
            p |= self.problem.events_seen_by_loss(times)
        loss = self.problem.loss(ys, p)
        if self.settings.regularizer is None:
            return loss
        values = jnp.stack([getattr(totals, name) for name in self.settings.regularizer.terms])
        return loss + jnp.sum(self._unpacked(fixed).coefficient * values)

    def _wanted(self, dtotals: Terms) -> Terms:
        """Cotangents of the regularisers in use only, so that the others cost nothing."""
        if self.settings.regularizer is None:
            return Terms(None, None, None)
        names = self.settings.regularizer.terms
        return Terms(**{n: d if n in names else None for n, d in dtotals._asdict().items()})

    def _unpacked(self, fixed: Fixed) -> Tuning:
        return storage.unpack(fixed.tuning, self._tuning)

    def _operands(self, params: Tree, fixed: Fixed) -> Operands:
        problem, tuning = self.problem, self._unpacked(fixed)
        times = getattr(self.config.on_stop, "times", None)
        ops = operands(
            problem.dtype,
            t0=problem.t_span[0],
            stops=self.stops,
            moving=None if times is None else times((params, fixed.constants)),
            save_at=problem.save_at,
            constants=fixed.constants,
            rtol=tuning.rtol,
            atol=tuning.atol,
            first_step=tuning.first_step,
            reverse_rtol=tuning.reverse_rtol,
            reverse_atol=tuning.reverse_atol,
        )
        return ops._replace(params=params)

    def _bytes_kept(self, report: Report) -> int:
        """Bytes handed to the reverse pass, as far as they were written."""
        loop, config = self.config.native, self.config
        if loop is None:
            storage, row = self._storage_of_record
            room = min(config.window, config.max_steps)
            return storage - row * max(0, room - report.steps)
        record = loop.record_bytes(report.steps, config.window)
        return record + 2 * report.steps * self.problem.dtype.itemsize

    @cached_property
    def _storage_of_record(self) -> tuple[int, int]:
        """Bytes that the forward pass hands to the reverse pass, counted from their shapes.

        And those of a step of the last window: of steps that were not taken nothing is written.
        """
        if self.config.adjoint == "forward":
            return 0, 0

        def kept(params: Tree, y0: jax.Array, fixed: Fixed) -> Any:
            ops = self._operands(params, fixed)
            return recorder(self.config)(self.config, False, y0, ops)[1][0]

        with self._context():
            found = jax.eval_shape(kept, *self._example(), self._fixed)
        return bytes_of(found), bytes_of_step(found)

    def _example(self) -> tuple[Tree, jax.Array]:
        return self._put(dict(self.problem.params)), self._put(self.problem.y0)

    def _put(self, tree: Tree) -> Tree:
        with self._context():
            return jax.device_put(tree, self.device)

    def _context(self) -> Any:
        return jax.enable_x64(self._x64)


def accepted_times(problem: Problem, solver: str, rtol: Any, atol: Any) -> np.ndarray:
    """The times from which the accepted steps of a problem's solve start."""
    with jax.enable_x64(problem.dtype == np.float64):
        solution = solve(
            problem.rhs,
            problem.y0,
            problem.save_at,
            problem.merged(),
            solver=solver,
            rtol=rtol,
            atol=atol,
            **of_problem(problem),
            mass=problem.mass,
        )
        return np.asarray(solution.steps[0])
