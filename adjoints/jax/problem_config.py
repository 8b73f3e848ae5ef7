"""What a solve of a problem does: its stops, and the static part of its configuration."""

from __future__ import annotations

from ...problems import Problem
from ...problems.moving_times import moves
from ..mass.solvers import mass_of
from ..program import Settings
from ..regularizers.regularizer import estimates_of
from ..steps.stops import Stops
from .config import Config
from .events.declared import with_problem_events
from .solve import window_size
from .solvers import find_solver
from .times import find_stops
from .user_functions import Field, Jacobian, Jump, TracedOnce, UserFunction, merge_named


def configure(problem: Problem, settings: Settings) -> tuple[Stops, Config]:
    """The stops of a problem that do not move, and the static part of its solve."""
    declared = ((), ()) if moves(problem) else (problem.discontinuities, problem.jump_times)
    stops = find_stops(*declared, problem.t_span[0], problem.save_at[-1], problem.dtype)
    jump = problem.jump
    error_norm, reduction = estimates_of(settings.regularizer)
    config = Config(
        rhs=TracedOnce(Field(problem.rhs, merge_named)),
        solver=find_solver(settings.solver),
        on_stop=None
        if jump is None
        else Jump(UserFunction(jump, merge_named), len(problem.jump_times)),
        adjoint=settings.method.adjoint,
        adjoint_solver=find_solver(settings.adjoint_solver),
        breaks=stops.breaks,
        max_steps=settings.max_steps,
        window=window_size(settings.max_steps, settings.checkpoints),
        jacobian=None if problem.jacobian is None else Jacobian(problem.jacobian, merge_named),
        through_step_size=settings.differentiate_step_size,
        mass=mass_of(problem.mass, problem.n_states, problem.dtype),
        error_norm=error_norm,
        reduction=reduction,
    )
    return stops, with_problem_events(config, problem)
