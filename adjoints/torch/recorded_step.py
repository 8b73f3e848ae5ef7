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
    """Cotangents of state and parameters so far, and what the sweep cost.

    ``dslope`` is that of the slope there, where a sweep passes it from step to step.
    """

    dy0: torch.Tensor
    dparams: Tensors
    dslope: torch.Tensor | None = None
    compile_s: float = 0.0
    compiled: str = ""

    @property
    def carried(self) -> Tensors:
        """What is carried from step to step: the cotangents of the state and of the slope."""
        return (self.dy0,) if self.dslope is None else (self.dy0, self.dslope)

    def carried_on(self, carried: Tensors, dparams: Tensors) -> Swept:
        """The same with what was found on the way."""
        return self._replace(dy0=carried[0], dslope=(*carried[1:], None)[0], dparams=dparams)


def step_outputs(
    config: Config,
    ops: Operands,
    times: torch.Tensor,
    y: torch.Tensor,
    params: Tensors,
    slope: torch.Tensor | None = None,
) -> Tensors:
    """What a recorded step yields: the new state, dense output and terms, if wanted.

    From a known `slope` it yields the new slope as well, after the new state.
    """
    ops = ops._replace(params=params)
    step = take(config, times, y, slope, ops, order=1)
    found = [step.y1] if slope is None else [step.y1, step.slope]
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
    first: torch.Tensor | None,
    carried: Tensors,
    own: Sources,
) -> tuple[Tensors, Tensors]:
    """The cotangents before a step, from those after it and those that enter at it.

    Parameters
    ----------
    config, ops
    times, y : tensor
        The row of the step.
    first : tensor, optional
        Its first slope, where it was recorded.
    carried : tuple of tensor
        The cotangent of the state at its end, and that of the slope where it is passed on.
    own : Sources
    """
    entering = (*carried, *(x for x in own[1:] if x is not None))
    if len(carried) == 1:
        _, pull = config.derivatives.vjp(partial(step_outputs, config, ops, times), y, ops.params)
        dy, dparams = pull(entering)
        before = (dy,)
    else:
        if first is None:
            first = config.rhs(times[0], y, (ops.params, ops.constants))

        def outputs(y: torch.Tensor, slope: torch.Tensor, params: Tensors) -> Tensors:
            return step_outputs(config, ops, times, y, params, slope)

        _, pull = config.derivatives.vjp(outputs, y, first, ops.params)
        *before, dparams = pull(entering)
    dy, *slope = before
    return (dy if own.y is None else dy + own.y, *slope), dparams


def pull_slope(
    config: Config, ops: Operands, t: torch.Tensor, y: torch.Tensor, swept: Swept
) -> Swept:
    """The cotangents with that of the slope at `(t, y)` pulled back, where there is one."""
    if swept.dslope is None:
        return swept

    def slope(y: torch.Tensor, params: Tensors) -> torch.Tensor:
        return config.rhs(t, y, (params, ops.constants))

    dy, dparams = config.derivatives.vjp(slope, y, ops.params)[1](swept.dslope)
    whole = plus(swept.dparams, dparams)
    return swept._replace(dy0=swept.dy0 + dy, dparams=whole, dslope=None)


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
        return schedule.jumped(jumped.number, jumped.t, y, (p, constants), derivatives)

    dy, dparams = derivatives.vjp(after, jumped.before, params)[1](w)
    return (dy if jumped.dbefore is None else dy + jumped.dbefore), dparams


def plus(a: Tensors, b: Tensors) -> Tensors:
    """The sums of tensors, one by one."""
    return tuple(x + y for x, y in zip(a, b, strict=True))
