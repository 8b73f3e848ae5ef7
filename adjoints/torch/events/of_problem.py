"""The events of a problem and its declared times, as the loop reads them."""

from __future__ import annotations

from typing import Any

import torch

from ....problems import Problem
from ....problems.moving_times import MovingTimes
from ...events.when_event import WhenEvent
from ..state import Tensors
from ..user_functions import EventJump, Names, When
from .declared import Declared, slopes_of


def events_of_problem(problem: Problem, names: Names) -> tuple[WhenEvent, ...]:
    """The events of a problem."""
    return tuple(
        WhenEvent.of(event, lambda when: When(when, names), lambda jump: EventJump(jump, names))
        for event in problem.events
    )


def times_of_problem(times: Any, names: Names, params: Tensors, constants: Tensors) -> Declared:
    """Declared times of a problem, where its parameters put them."""
    if not isinstance(times, MovingTimes):
        return Declared(tuple(times), (False,) * len(times))

    def of(params: tuple[Tensors, Tensors]) -> torch.Tensor:
        return times.at(names(*params))

    with torch.no_grad():
        values = of((params, constants))
    slopes = slopes_of(lambda params: of((params, constants)), params)
    moving = tuple(bool(slope.any()) for slope in slopes)
    return Declared(tuple(values.tolist()), moving, of, slopes)
