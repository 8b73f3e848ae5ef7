"""Declared times that move: their stops, and whether derivatives by them are defined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from ..arguments import listed
from ..events.location import resolution_of
from ..steps.stops import Stops, stops_between
from .happenings import Happenings, TimesOf
from .inputs import checked_stops, is_wanted, number_of, refuse_lanes
from .state import Tensors


class Declared(NamedTuple):
    """Declared times in the direction of the solve.

    Attributes
    ----------
    values : tuple of float
    moving : tuple of bool
        For each, whether a derivative by it may be asked for.
    of : callable, optional
        The times as a function of ``(params, constants)``, where any of them moves.
    """

    values: tuple[float, ...]
    moving: tuple[bool, ...]
    of: TimesOf | None = None


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
    happenings: Happenings,
    start: float,
    saves: Sequence[float],
    dtype: Any,
) -> tuple[Stops, Happenings]:
    """The stops of a solve, and what happens there.

    What moves has a number among the jumps of its stop, discontinuities first: the right-hand side
    changes there, and jumps act behind.

    Parameters
    ----------
    discontinuities, jump_times : Declared
    happenings : Happenings
        With the functions.
    start : float
    saves : sequence of float
        Of which the last is the end.
    dtype : dtype
        Of the solve.
    """
    stops = stops_between(discontinuities.values, jump_times.values, start, saves[-1], dtype)
    kind, count = np.dtype(dtype).type, len(jump_times.values)
    breaks = [float(kind(t)) for t in discontinuities.values]
    both = [*(float(kind(t)) for t in jump_times.values), *breaks]
    moving = frozenset(i for i, does in enumerate(jump_times.moving + discontinuities.moving) if does)
    more = {i: both[i] for i in sorted(moving) if i >= count}
    jumps = tuple(
        (*(i for i, at in more.items() if at == t), *numbers)
        for t, numbers in zip(stops.times, stops.jumps, strict=True)
    )
    at = [both[i] for i in sorted(moving)]
    happenings = replace(
        happenings,
        jump_times=jump_times.of,
        discontinuities=discontinuities.of,
        jumps=count,
        breaks=len(breaks),
        moving=moving,
        breaks_held=frozenset(t for i, t in enumerate(breaks) if count + i not in moving),
        undefined=_are_undefined(at, [*more.values()], breaks, start, saves),
    )
    return replace(stops, jumps=jumps), happenings


def _are_undefined(
    moving: list[float],
    moving_breaks: list[float],
    breaks: list[float],
    start: float,
    saves: Sequence[float],
) -> bool:
    """Whether a time moves over the start or a save, or from one discontinuity away or over it."""
    several = Counter(breaks)
    if any(several[t] > 1 for t in moving_breaks):
        return True
    beside = np.array([start, *saves])
    end = np.asarray(saves[-1])
    return any(
        bool((np.abs(beside - t) <= resolution_of(np.asarray(t), end)).any()) for t in moving
    )


def moving_rows(of: Callable[[Tensors], torch.Tensor], params: Tensors) -> tuple[bool, ...]:
    """Which of the times that parameters decide have a derivative by any of them."""
    with torch.enable_grad():
        leaves = tuple(p.detach().requires_grad_() for p in params)
        times = of(leaves)
        return tuple(_has_derivative(t, leaves) for t in times.unbind())


def _has_derivative(time: torch.Tensor, leaves: Tensors) -> bool:
    if not time.requires_grad:
        return False
    slopes = torch.autograd.grad(time, leaves, retain_graph=True, allow_unused=True)
    return any(slope is not None and bool((slope != 0).any()) for slope in slopes)


def check_happenings(happenings: Happenings, *, given: Any, dense_output: bool, compile: bool) -> None:
    """Refuse what does not combine with events, or with times that move."""
    what = "events are" if happenings.events else "a time that moves is"
    if compile and (happenings.events or happenings.moving):
        raise ValueError(f"compile=True: {what} met by the eager loop alone; leave compile out")
    if not happenings.events:
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
