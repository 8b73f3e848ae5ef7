"""Declared times that move: their stops, and whether derivatives by them are defined."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from ...arguments import listed
from ...events.location import resolution_of
from ...mass.solvers import NOT_WITH_MASS
from ...steps.stops import Stops, stops_between
from ..inputs import checked_stops, is_wanted, number_of, refuse_lanes
from ..state import Tensors
from .stop_map import StopMap, TimesOf

#: Derivatives of times that differ by less, relatively, are the same.
SAME_SLOPE = 1e-9


class Declared(NamedTuple):
    """Declared times in the direction of the solve.

    Attributes
    ----------
    values : tuple of float
    moving : tuple of bool
        For each, whether a derivative by it may be asked for.
    of : callable, optional
        The times as a function of ``(params, constants)``, where any of them moves.
    slopes : sequence of ndarray, optional
        The derivatives of each by the parameters, where they are known.
    """

    values: tuple[float, ...]
    moving: tuple[bool, ...]
    of: TimesOf | None = None
    slopes: Sequence[np.ndarray] | None = None

    @property
    def rows(self) -> Sequence[np.ndarray | None]:
        """The derivatives of each; that of a time that is held is zero."""
        if self.slopes is not None:
            return self.slopes
        return [None if moves else np.zeros(1) for moves in self.moving]


def declared_times(
    argument: str, times: Any, like: torch.Tensor, params: Tensors, *, backwards: bool
) -> tuple[Declared, Tensors]:
    """Times that a user declares, and the parameters with a tensor more where any of them moves."""
    found = listed(argument, times)
    moving = tuple(is_wanted(t) for t in found)
    if not any(moving):
        values = checked_stops(argument, found, backwards=backwards)
        return Declared(values, moving), params
    refuse_lanes(argument, found)
    tensors = [torch.as_tensor(t, dtype=like.dtype, device=like.device) for t in found]
    turned = torch.stack([-t if backwards else t for t in tensors])
    place = len(params)

    def of(params: tuple[Tensors, Tensors]) -> torch.Tensor:
        return params[0][place]

    return Declared(tuple(number_of(turned).tolist()), moving, of), (*params, turned)


def declared_stops(
    discontinuities: Declared,
    jump_times: Declared,
    stop_map: StopMap,
    start: float,
    saves: Sequence[float],
    dtype: Any,
) -> tuple[Stops, StopMap]:
    """The stops of a solve, and what happens there.

    What moves has a number among the jumps of its stop, discontinuities first: the right-hand side
    changes there, and jumps act behind.

    Parameters
    ----------
    discontinuities, jump_times : Declared
    stop_map : StopMap
        With the functions.
    start : float
    saves : sequence of float
        Of which the last is the end.
    dtype : dtype
        Of the solve.
    """
    stops = stops_between(discontinuities.values, jump_times.values, start, saves[-1], dtype)
    kind, count = np.dtype(dtype).type, len(jump_times.values)
    times = [float(kind(t)) for t in (*jump_times.values, *discontinuities.values)]
    moving = frozenset(np.flatnonzero(jump_times.moving + discontinuities.moving).tolist())
    acting = frozenset(i for i in moving if start <= times[i] <= saves[-1])
    breaks = [i for i in sorted(moving) if i >= count]
    jumps = tuple(
        (*(i for i in breaks if times[i] == t), *numbers)
        for t, numbers in zip(stops.times, stops.jumps, strict=True)
    )
    stop_map = replace(
        stop_map,
        jump_times=jump_times.of,
        discontinuities=discontinuities.of,
        jumps=count,
        breaks=len(discontinuities.values),
        moving=moving,
        undefined=_by_chance(times, acting, (jump_times, discontinuities))
        or _meet(times, acting, start, saves),
    )
    return replace(stops, jumps=jumps), stop_map


def _meet(times: list[float], moving: frozenset[int], start: float, saves: Sequence[float]) -> bool:
    """Whether a time moves over the start or a save."""
    beside, end = np.array([start, *saves]), np.asarray(saves[-1])
    return any(
        bool((np.abs(beside - times[i]) <= resolution_of(np.asarray(times[i]), end)).any())
        for i in moving
    )


def _by_chance(
    times: list[float], moving: frozenset[int], declared: tuple[Declared, Declared]
) -> bool:
    """Whether times are the same at these parameters, and not at others near by."""
    slopes = [row for one in declared for row in one.rows]
    jumps = len(declared[0].values)
    together: dict[float, list[int]] = {}
    for number, time in enumerate(times):
        together.setdefault(time, []).append(number)
    return any(
        _part(i, j, slopes, moving, jumps)
        for numbers in together.values()
        if not moving.isdisjoint(numbers)
        for i, j in itertools.combinations(numbers, 2)
    )


def _part(
    i: int,
    j: int,
    slopes: Sequence[np.ndarray | None],
    moving: frozenset[int],
    jumps: int,
) -> bool:
    """Whether two of them part, from their derivatives by the parameters."""
    a, b = slopes[i], slopes[j]
    if a is not None and b is not None:
        return not np.allclose(a, b, rtol=SAME_SLOPE, atol=0.0)
    # What is not known may be one time that is declared twice, for a jump and what else changes
    # there; but not where only one of both moves.
    return i >= jumps or (i in moving) != (j in moving)


def slopes_of(of: Callable[[Tensors], torch.Tensor], params: Tensors) -> list[np.ndarray]:
    """The derivatives of the times that parameters decide by all of these, flat."""
    with torch.enable_grad():
        leaves = tuple(p.detach().requires_grad_() for p in params)
        return [_slope_of(t, leaves) for t in of(leaves).unbind()]


def _slope_of(time: torch.Tensor, leaves: Tensors) -> np.ndarray:
    found = [torch.zeros_like(leaf) for leaf in leaves]
    if time.requires_grad:
        found = torch.autograd.grad(time, leaves, retain_graph=True, materialize_grads=True)
    return np.array(torch.cat([x.reshape(-1) for x in found]).tolist())


def check_stop_map(
    stop_map: StopMap, *, given: Any, dense_output: bool, compile: bool, mass: Any = None
) -> None:
    """Refuse what does not combine with events, or with times that move."""
    if mass is not None and (stop_map.events or stop_map.moving):
        raise ValueError(NOT_WITH_MASS)
    what = "events are" if stop_map.events else "a time that moves is"
    if compile and (stop_map.events or stop_map.moving):
        raise ValueError(f"compile=True: {what} met by the eager loop alone; leave compile out")
    if not stop_map.events:
        return
    if given is not None:
        raise ValueError(
            "events are located within the steps of a solve, and here the steps are given; leave "
            "out steps, step_size and number_of_steps (of rk4 and euler, first_step is the size)"
        )
    if dense_output:
        raise ValueError(
            "dense_output=True: a solve with events does not keep the solution between its saves; "
            "read it at save_at"
        )
