"""The loss of a problem through one solve by the open solver, before it is differentiated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from ...problems import Problem
from ...problems.moving_times import moves
from ..mass.solvers import mass_of
from ..native.loop import NativeLoop
from ..program import Settings
from ..regularizers.regularizer import estimates_of
from ..steps.acceptance import Terms
from ..steps.stops import Stops
from .call import Call, Counts, solved_of
from .device import find_device, put, put_named
from .discrete import passes_slopes
from .engines import Engine, engine_of
from .events.declared import check_stop_map, declared_stops
from .events.of_problem import events_of_problem, times_of_problem
from .events.stop_map import StopMap
from .forward_pass import Solved
from .mass import check_compile, check_index, with_consistent_values
from .outputs import Outputs, outputs_of, times_of_events
from .schedule import Schedule
from .solve import Reverse, new_call
from .state import Config, Tensors
from .systems.found import pattern_of_problem, with_system
from .user_functions import Field, Jump, Names
from .windows import window_size

Named = Mapping[str, torch.Tensor]


class Found(NamedTuple):
    """A loss and its gradients, with what both passes did; ``counts`` for a pass of our own."""

    loss: torch.Tensor
    dparams: Tensors
    dy0: torch.Tensor
    solved: Solved
    counts: Counts | None


class Fixed(NamedTuple):
    """What is not differentiated, and may differ from call to call all the same.

    ``coefficients`` has one number for each term of the regulariser.
    """

    constants: Tensors
    coefficients: torch.Tensor


class ProblemLoss:
    """A problem, its solve, and its loss; parameters are in the problem's order."""

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self.problem = problem
        self.settings = settings
        self.device = find_device(settings.device)
        self.names = Names(tuple(problem.params), tuple(problem.constants))
        #: The problem's own constants, and the coefficients asked for.
        self.fixed = self.fixed_of(
            put_named(problem.constants, self.device),
            put(np.zeros(0, problem.dtype), self.device).new_tensor(settings.coefficient),
        )
        self.call = self._new_call()
        params, y0 = self.own()
        with torch.no_grad():
            check_index(self.call.schedule, y0, params, self.fixed.constants)
        engine = engine_of(settings.engine, settings.method.adjoint, settings.linear_solver)
        self.call.engine = engine.find(
            self.call.config, self.call.schedule, y0, params, self.fixed.constants
        )
        self._without_system = self.call.config
        if not isinstance(self.call.engine.loop, NativeLoop):
            self.call.config = self._with_system(y0)

    def call_without_engine(self, y0: torch.Tensor) -> Call:
        """The call for other constants and shapes, whose values are in a native program."""
        return replace(self.call, engine=Engine(), config=self._with_system(y0))

    def fixed_of(self, constants: Named, coefficients: torch.Tensor) -> Fixed:
        """Constants and coefficients as the other methods take them."""
        return Fixed(tuple(constants[name] for name in self.names.constants), coefficients)

    def ordered(self, params: Named) -> Tensors:
        """The parameters as a tuple."""
        return tuple(params[name] for name in self.names.params)

    def named(self, params: Tensors) -> dict[str, torch.Tensor]:
        """Parameters, or their gradients, by their names."""
        return dict(zip(self.names.params, params, strict=True))

    def own(self) -> tuple[Tensors, torch.Tensor]:
        """The problem's own parameters and start value."""
        params = self.ordered(put_named(self.problem.params, self.device))
        return params, put(self.problem.y0, self.device)

    def solved(self, params: Tensors, y0: torch.Tensor, fixed: Fixed) -> Solved:
        """The forward pass, with no graph of autograd's."""
        call = self.at(self.call, params, fixed)
        return solved_of(call, y0, params, fixed.constants)

    def at(self, call: Call, params: Tensors, fixed: Fixed) -> Call:
        """A call of the loss's, with declared times where `params` put them.

        Steps that are given have been taken at `params`.
        """
        if not moves(self.problem) or call.config.given_steps:
            return call
        stops, stop_map = self._stops(params, fixed.constants)
        schedule = call.schedule._replace(stops=stops, stop_map=stop_map)
        return replace(call, schedule=schedule)

    def __call__(
        self,
        ys: torch.Tensor,
        totals: torch.Tensor,
        times: torch.Tensor,
        params: Tensors,
        fixed: Fixed,
    ) -> torch.Tensor:
        """The loss of saves, estimates and times of events, with the regulariser."""
        named = self.names(params, fixed.constants)
        loss = self.problem.loss(ys, {**named, **self.problem.events_seen_by_loss(times)})
        if self.settings.regularizer is None:
            return loss
        for number, name in enumerate(self.settings.regularizer.terms):
            loss = loss + fixed.coefficients[number] * totals[Terms._fields.index(name)]
        return loss

    def of_outputs(self, out: Outputs, params: Tensors, fixed: Fixed) -> torch.Tensor:
        """The loss of a solve."""
        return self(out.ys, out.totals, times_of_events(out), params, fixed)

    def alone(self, params: Tensors, y0: torch.Tensor) -> torch.Tensor:
        """The loss at `params` and `y0`, with no gradient."""
        with torch.no_grad():
            solved = self.solved(params, y0, self.fixed)
            return self.of_outputs(outputs_of(self.call.config, solved), params, self.fixed)

    def _stops(self, params: Tensors, constants: Tensors) -> tuple[Stops, StopMap | None]:
        """When the solve stops, and what happens there where more does than a held jump."""
        problem, names = self.problem, self.names
        breaks, jumps = (
            times_of_problem(times, names, params, constants)
            for times in (problem.discontinuities, problem.jump_times)
        )
        stop_map = StopMap(
            rhs=Field(problem.rhs, names),
            jump=None if problem.jump is None else Jump(problem.jump, names),
            events=events_of_problem(problem, names),
            max_events=problem.max_events,
        )
        own = (stop_map, problem.t_span[0], problem.save_at.tolist(), problem.dtype)
        stops, stop_map = declared_stops(breaks, jumps, *own)
        needed = problem.events or moves(problem)
        return stops, stop_map if needed else None

    def _new_call(self) -> Call:
        problem, settings = self.problem, self.settings
        stops, stop_map = self._stops(self.own()[0], self.fixed.constants)
        if stop_map is not None:
            check_stop_map(stop_map, given=None, dense_output=False, compile=settings.compile)
        inner = int((problem.save_at < problem.save_at[-1]).sum())
        dtype = put(problem.y0, self.device).dtype
        tensor = partial(torch.as_tensor, dtype=dtype, device=self.device)
        schedule = Schedule(
            t0=tensor(problem.t_span[0]),
            stops=stops,
            save_at=tensor(problem.save_at.copy()),
            inner=inner,
            rtol=tensor(settings.rtol),
            atol=tensor(settings.atol),
            first_step=None if settings.first_step is None else tensor(settings.first_step),
            jump=None if problem.jump is None else Jump(problem.jump, self.names),
            stop_map=stop_map,
        )
        reverse = Reverse(
            settings.method.adjoint,
            settings.adjoint_solver,
            tensor(settings.adjoint_rtol),
            tensor(settings.adjoint_atol),
        )
        config = self._config(
            breaks=stops.breaks or stop_map is not None,
            dense=inner > 0 or bool(problem.events),
        )
        window = window_size(config, settings.method.adjoint, settings.checkpoints)
        config = replace(config, window=window)
        passed = settings.method.adjoint == "discrete" and passes_slopes(config, problem.n_states)
        config = replace(config, first_slopes=passed)
        schedule = with_consistent_values(config, schedule)
        return new_call(config, schedule, len(self.names.params), reverse)

    def _with_system(self, y0: torch.Tensor) -> Config:
        """The configuration with what solves the linear systems of a state of the shape of `y0`."""
        problem = self.problem
        sparsity = problem.jacobian_sparsity if y0.shape == problem.y0.shape else None
        look = partial(pattern_of_problem, problem, tuple(y0.shape))
        return with_system(self.settings.linear_solver, self._without_system, y0, sparsity, look)

    def _config(self, **known: Any) -> Config:
        problem, settings = self.problem, self.settings
        mass = mass_of(problem.mass, problem.n_states, problem.dtype)
        check_compile(mass, compile=settings.compile)
        error_norm, reduction = estimates_of(settings.regularizer)
        return Config(
            rhs=Field(problem.rhs, self.names),
            solver=settings.solver,
            max_steps=settings.max_steps,
            terms=settings.regularizer is not None,
            error_norm=error_norm,
            reduction=reduction,
            through_step_size=settings.differentiate_step_size,
            jacobian=None if problem.jacobian is None else Field(problem.jacobian, self.names),
            compile=settings.compile,
            mass=mass,
            **known,
        )
