"""Mass matrices on PyTorch: consistent values, and the slopes of a solution."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..mass.algebraic import (
    INDEX,
    MOST_ITERATIONS,
    POLISHING,
    Update,
    constraint_matrix,
    has_settled,
    is_regular,
    is_rounding,
    newton_update,
    slope_system,
    step_size,
)
from ..mass.matrix import MassMatrix, product
from ..mass.solvers import check_takes_mass, mass_of
from ..steps.acceptance import CODES, RUNNING
from .device import dtype_name
from .schedule import CONSISTENT, Schedule
from .state import Config, Tensors
from .transforms import unwrapped

Function = Callable[[torch.Tensor], torch.Tensor]


def checked_mass_of(mass: Any, y0: torch.Tensor, config: Config, adjoint: str) -> MassMatrix | None:
    """The mass matrix of a solve, refused where it is nothing for what else was asked.

    Raises
    ------
    ValueError
    """
    if mass is None:
        return None
    check_takes_mass(config.solver)
    if adjoint not in ("discrete", "tape", "forward"):
        raise ValueError(
            f"adjoint={adjoint!r} does not take a mass matrix; use adjoint='discrete', 'tape' or "
            "'forward'"
        )
    known = mass.detach().cpu().numpy() if isinstance(mass, torch.Tensor) else mass
    found = mass_of(known, y0.numel(), dtype_name(y0))
    check_compile(found, compile=config.compile)
    return found


def check_compile(mass: MassMatrix | None, *, compile: bool) -> None:
    """Refuse to compile loops with a mass matrix.

    Raises
    ------
    ValueError
    """
    if compile and mass is not None:
        raise ValueError("compile=True: loops with a mass matrix run eagerly; leave compile out")


def step_matrix(config: Config, jacobian: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """``M / gamma - h J``, as the system keeps it; for a step of size zero regular all the same."""
    gamma, mass = config.tableau.gamma, config.mass
    if mass is None:
        return config.system.shifted(jacobian, 1 / gamma, -h)

    def known(matrix: np.ndarray) -> torch.Tensor:
        return torch.asarray(
            config.system.entries(matrix), dtype=jacobian.dtype, device=jacobian.device
        )

    return torch.where(h == 0, known(mass.unit), known(mass.matrix)) / gamma - h * jacobian


def mass_times(config: Config, u: torch.Tensor, *, transposed: bool = False) -> torch.Tensor:
    """The product with the mass matrix, or with its transpose, of a tensor like the state."""
    mass = config.mass
    if mass is None:
        return u
    return mass.transposed_times(u) if transposed else mass.times(u)


def first_slope(config: Config, slope: torch.Tensor) -> torch.Tensor:
    """``y'`` from the right-hand side, its algebraic components left out: for a first guess."""
    return slope if config.mass is None else product(config.mass.inverse, slope)


def slope_by_state(
    config: Config, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
) -> torch.Tensor:
    """``y'`` of a solution that goes through a consistent state; differentiable."""
    mass, slope = config.mass, config.rhs(t, y, params)
    if mass is None:
        return slope
    if not mass.algebraic:
        return product(mass.inverse, slope)
    derivatives = config.derivatives
    jacobian = derivatives.jacobian(lambda y: config.rhs(t, y, params), y)
    in_time = derivatives.jvp(lambda t: config.rhs(t, y, params), t, torch.ones_like(t))
    matrix, right = slope_system(mass, slope, jacobian, in_time)
    return torch.linalg.solve(matrix, right).reshape(y.shape)


@dataclass(frozen=True)
class ConsistentValues:
    """Finds the consistent state with the same ``M y``.

    Attributes
    ----------
    config : Config
        With a singular mass matrix.
    sided : tuple of float
        The times behind which the equations may be others: what follows counts.
    end : float
        Behind which nothing follows.
    """

    config: Config
    sided: tuple[float, ...]
    end: float

    def __call__(
        self, t: torch.Tensor, y: torch.Tensor, params: tuple[Tensors, Tensors]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The state, NaN where none is found, and the status code: ``RUNNING`` if all is well.

        Newton's method goes to rounding with nothing differentiated; two steps more, from where it
        ends, carry the derivatives.
        """
        own, t = (tuple(p.detach() for p in params[0]), params[1]), self._beside(t)
        held, start = t.detach(), y.detach()
        found, code = self._root(lambda y: self.config.rhs(held, y, own), start)
        out = y + (found.detach() - start)
        for _ in range(POLISHING):
            out = out - self._update(lambda y: self.config.rhs(t, y, params), out).change
        return torch.where(code == RUNNING, out, math.nan), code

    def _beside(self, t: torch.Tensor) -> torch.Tensor:
        """The time, at a stop on the side that counts."""
        if not self.sided:
            return t
        own = t.detach()
        stops = torch.asarray(self.sided, dtype=t.dtype, device=t.device)
        towards = torch.where(own >= self.end, -math.inf, math.inf).to(t.dtype)
        moved = torch.where((own[None] == stops).any(), torch.nextafter(own, towards), own)
        return moved + (t - own)

    def _update(self, rhs: Function, y: torch.Tensor) -> Update:
        jacobian = self.config.derivatives.jacobian(rhs, y)
        return newton_update(self._mass, y, rhs(y), jacobian, _inverse)

    def _root(self, rhs: Function, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The state by Newton's method, in all lanes at once, and the status code."""
        found, before = y, torch.full_like(y.sum(), math.inf)
        done = small = torch.zeros_like(before, dtype=torch.bool)
        for _ in range(MOST_ITERATIONS):
            update = self._update(rhs, found)
            after = found - update.change
            now = is_rounding(after, update)
            found, small = torch.where(done, found, after), torch.where(done, small, now)
            done = done | has_settled(found, update, before) | ~torch.isfinite(after).all()
            before = step_size(found, update)
            if bool(unwrapped(done).all()):
                break
        there = small & torch.isfinite(found).all()
        at = torch.where(there, found, y)
        fit = is_regular(constraint_matrix(self._mass, self.config.derivatives.jacobian(rhs, at)))
        code = torch.where(there, RUNNING, CODES["newton"])
        return found, torch.where(fit, code, CODES["linear_solve"])

    @property
    def _mass(self) -> MassMatrix:
        assert self.config.mass is not None
        return self.config.mass


def _inverse(matrix: torch.Tensor) -> torch.Tensor:
    inverse, info = torch.linalg.inv_ex(matrix)
    return torch.where(info == 0, inverse, math.nan)


def with_consistent_values(config: Config, schedule: Schedule) -> Schedule:
    """The schedule of a solve that goes on with consistent values after its stops."""
    if config.mass is None or not config.mass.algebraic:
        return schedule
    stops = schedule.stops
    last, first = len(stops.times) - 1, stops.first
    jumps = tuple(
        (*numbers, CONSISTENT) if first <= i < last or (i == last and numbers) else numbers
        for i, numbers in enumerate(stops.jumps)
    )
    sided = tuple(t for t, two in zip(stops.times, stops.sided, strict=True) if two)
    return schedule._replace(
        stops=replace(stops, jumps=jumps),
        consistent=ConsistentValues(config, sided, stops.times[-1]),
    )


def by_config(schedule: Schedule, config: Config) -> Schedule:
    """The same schedule, for a configuration that takes derivatives otherwise."""
    found = schedule.consistent
    if not isinstance(found, ConsistentValues):
        return schedule
    return schedule._replace(consistent=replace(found, config=config))


def check_index(schedule: Schedule, y0: torch.Tensor, params: Tensors, constants: Tensors) -> None:
    """Refuse algebraic equations that do not determine their unknowns at known start values.

    Raises
    ------
    ValueError
    """
    if schedule.consistent is None:
        return
    _, code = schedule.consistent(schedule.t0, y0, (params, constants))
    if int(code) == CODES["linear_solve"]:
        raise ValueError(f"mass: {INDEX}")
