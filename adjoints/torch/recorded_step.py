"""A recorded step as a function to differentiate, and the cotangents that enter at it."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch

from .attempt import terms_of_step
from .derivatives import Derivatives
from .forward_pass import Jumped
from .schedule import Schedule
from .state import Config, Operands, Row, Tensors
from .stepping import dense_of_step, take


class Sources(NamedTuple):
    """Cotangents that enter at the steps themselves, with one row a step; ``None`` for none."""

    y: torch.Tensor | None
    coefficients: torch.Tensor | None
    terms: torch.Tensor | None


class Swept(NamedTuple):
    """Cotangents of the start value and the parameters, and what the sweep cost."""

    dy0: torch.Tensor
    dparams: Tensors
    compile_s: float = 0.0
    compiled: str = ""


def step_outputs(
    config: Config, ops: Operands, times: torch.Tensor, y: torch.Tensor, params: Tensors
) -> Tensors:
    """What a recorded step yields: the new state, dense output and terms, if wanted."""
    ops = ops._replace(params=params)
    step = take(config, times, y, None, ops, order=1)
    found = [step.y1]
    if config.dense:
        found.append(dense_of_step(config, Row(times, y), step, ops))
    if config.terms:
        found.append(terms_of_step(config, step, y, times[1], ops))
    return tuple(found)


def pull_step(
    config: Config,
    ops: Operands,
    times: torch.Tensor,
    y: torch.Tensor,
    w: torch.Tensor,
    own: Sources,
) -> tuple[torch.Tensor, Tensors]:
    """The cotangents before a step, from those after it and those that enter at it."""
    _, pull = config.derivatives.vjp(partial(step_outputs, config, ops, times), y, ops.params)
    dy, dparams = pull((w, *(x for x in own[1:] if x is not None)))
    return dy if own.y is None else dy + own.y, dparams


def jump_cotangent(
    derivatives: Derivatives,
    schedule: Schedule,
    jumped: Jumped,
    w: torch.Tensor,
    params: Tensors,
    constants: Tensors,
) -> tuple[torch.Tensor, Tensors]:
    """The cotangent ``w`` pulled back through a jump, and what the jump adds to the parameters'."""

    def after(y: torch.Tensor, p: Tensors) -> torch.Tensor:
        return schedule.jumped(jumped.number, jumped.t, y, (p, constants))

    return derivatives.vjp(after, jumped.before, params)[1](w)


def plus(a: Tensors, b: Tensors) -> Tensors:
    """The sums of tensors, one by one."""
    return tuple(x + y for x, y in zip(a, b, strict=True))
