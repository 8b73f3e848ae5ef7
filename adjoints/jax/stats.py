"""Status and counts of both passes: as a program returns them, and as a user reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..result import Stats
from .config import Config
from .outcomes import Counts
from .state import State


class Report(NamedTuple):
    """Status and counts of both passes; the reverse ones are -1 for forward mode."""

    status: int
    steps: int
    attempts: int
    rhs_evals: int
    jacobian_evals: int
    linear_solves: int
    reverse_status: int
    reverse_steps: int
    reverse_rejected: int
    reverse_rhs_evals: int
    vjp_evals: int
    reverse_jacobian_evals: int
    reverse_linear_solves: int


def pack_report(config: Config, final: State, reverse: Counts | None) -> jax.Array:
    """The fields of :class:`Report` in one array: each output of a program costs time."""
    solver = config.solver
    ahead = (final.status, final.accepted, final.attempts, solver.rhs_evals(final))
    ahead += (solver.jacobian_evals(final), final.linear_solves)
    back = (jnp.int32(-1),) * 7
    if reverse is not None:
        back = (reverse.status, *reverse[:-1])
    return jnp.stack([jnp.asarray(count, jnp.int32) for count in (*ahead, *back)])


def stats_of(config: Config, report: Report, directions: int, ahead: Stats) -> Stats:
    """The counts of a :class:`Report`.

    Parameters
    ----------
    config : Config
    report : Report
    directions : int
        How many derivatives forward mode carries along.
    ahead : Stats
        What is known without it.
    """
    ahead = replace(
        ahead,
        steps=report.steps,
        rejected=report.attempts - report.steps,
        rhs_evals=report.rhs_evals,
    )
    solves = (report.jacobian_evals, report.linear_solves)
    if report.reverse_status < 0:
        # Every direction is carried through every solve, with the matrix at hand.
        both = _linear(config, solves[0], solves[1] * (1 + directions))
        return replace(ahead, **both, jvp_evals=directions * report.rhs_evals)
    both = _linear(
        config, solves[0] + report.reverse_jacobian_evals, solves[1] + report.reverse_linear_solves
    )
    return replace(
        ahead,
        **both,
        reverse_steps=report.reverse_steps,
        reverse_rejected=report.reverse_rejected,
        reverse_rhs_evals=report.reverse_rhs_evals,
        vjp_evals=report.vjp_evals,
    )


def _linear(config: Config, jacobian_evals: int, linear_solves: int) -> dict[str, int]:
    """The counts of an implicit method; an explicit one has none."""
    solvers = (config.solver, config.adjoint_solver or config.solver)
    if not any(solver.tableau.implicit for solver in solvers):
        return {}
    return {"jacobian_evals": jacobian_evals, "linear_solves": linear_solves}
