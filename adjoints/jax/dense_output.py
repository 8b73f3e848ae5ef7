"""The solution at any time: the stages of the step that holds it, computed again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..arguments import check_name
from ..state_layout import View
from ..steps.acceptance import CODES
from . import storage
from .config import Config
from .dense_record import coefficients_again
from .outcomes import Outputs
from .record import path_rows
from .saves import value_on
from .slopes_by_times import saves_by_time
from .state import DenseRow, Operands, State
from .times import known

SIDES = ("after", "before")


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["path", "y0", "y_end", "final", "ops", "jump_times"],
    meta_fields=["config", "view"],
)
@dataclass(frozen=True)
class DenseOutput:
    """The solution as a function of time; a pytree, which another solve may take as a parameter.

    Of every accepted step its start is kept, differentiable as a save is. The stages of the step
    in which a time lies are computed again when the solution is read there, so that derivatives by
    parameters flow through them too.

    Attributes
    ----------
    config : Config
    path : array
        The accepted steps, as they were recorded.
    y0, y_end : array
        The start value before any jump, and the last state after all.
    final : State
        How the solve ended.
    ops : Operands
    jump_times : array, shape ``(jumps,)``
    view : View
        How the user sees states and times; all others here are those of the solve.
    """

    config: Config
    path: jax.Array
    y0: jax.Array
    y_end: jax.Array
    final: State
    ops: Operands
    jump_times: jax.Array
    view: View

    def __call__(self, t: Any, *, side: str = "after") -> Any:
        """The solution at `t`.

        Parameters
        ----------
        t : array_like
            Times in the span of the solve, in any order and shape. The derivative by them is the
            right-hand side, as that of saves.
        side : {"after", "before"}
            Which value is meant at the time of a jump, in the direction of the solve.

        Returns
        -------
        array, shape ``(*t.shape, *y0.shape)``, or a structure of them
            NaN outside the span, where that is only known at run time, and after a breakdown.

        Raises
        ------
        ValueError
            For times that are known to lie outside the span, and for a batch of solutions.
        """
        check_name("side", side, SIDES)
        if self.path.ndim != 2:
            raise ValueError(
                "this is a batch of solutions; read them one by one, as in "
                "jax.vmap(lambda solution: solution(t))(solutions)"
            )
        times = jnp.asarray(t, self.path.dtype)
        self._check_inside(times)
        return self.view.structure(_read(side == "before", self, self.view.turned(times)))

    @property
    def before_jumps(self) -> Any:
        """The states before the jumps, shape ``(jumps, *y0.shape)``, in the order of `jump_times`.

        Of several jumps at one time each has the state before all of them; those outside the
        span, which do not act, have NaN.
        """
        return self.view.structure(_read(True, self, self.jump_times))

    def _check_inside(self, times: jax.Array) -> None:
        ends = (known(self.view.turned(x)) for x in (self.ops.t0, self.ops.stops.end))
        span = sorted(float(end) for end in ends if end is not None)
        found = known(times)
        if found is None or len(span) < 2:
            return
        outside = ~((found >= span[0]) & (found <= span[1]))
        if outside.any():
            raise ValueError(
                f"t has {np.ravel(found[outside])[0]}, which is not between {span[0]} and "
                f"{span[1]}, the span of the solve"
            )


def dense_output_of(
    config: Config, out: Outputs, y0: jax.Array, ops: Operands, jump_times: Any, view: View
) -> DenseOutput | None:
    """The dense output of a solve, where it is wanted; `ops` with their parameters."""
    if out.path is None or out.y_end is None:
        return None
    # Its state is differentiable as `y_end` alone.
    final = lax.stop_gradient(out.final)
    jumps = jnp.asarray(np.array(jump_times, float), y0.dtype)
    return DenseOutput(config, out.path, y0, out.y_end, final, ops, jumps, view)


def check_dense_output(config: Config, checkpoints: int | None) -> None:
    """Refuse what does not combine with dense output."""
    if config.dense_output and config.through_step_size:
        raise ValueError(
            "dense_output=True: the steps that are kept are held fixed; leave out "
            "differentiate_step_size, or read the solution at save_at"
        )
    if config.dense_output and checkpoints is not None:
        raise ValueError(
            f"checkpoints={checkpoints!r}: dense_output=True keeps every step; leave one out"
        )


@partial(jax.jit, static_argnums=0)
def _read(before: bool, dense: DenseOutput, t: jax.Array) -> jax.Array:
    """The solution at times of any shape; NaN outside the span and after a breakdown."""
    ops, y_end, times = dense.ops, dense.y_end, jnp.ravel(t)
    held = lax.stop_gradient(times)
    inside = (held >= ops.t0) & (held <= ops.stops.end)
    held = jnp.where(inside, held, ops.t0)
    ys = _interpolated(dense, held, before=before)
    if not before:
        ys = _where(held >= ops.stops.end, y_end, ys)
    moving = jnp.where(inside, times, ops.t0)
    ys = saves_by_time(dense.config, moving, ys, ops, before=before)
    if before:
        ys = _where(held <= ops.t0, dense.y0, ys)
    ok = inside & (dense.final.status == CODES["ok"])
    return _where(~ok, jnp.nan, ys).reshape(*t.shape, *y_end.shape)


def _interpolated(dense: DenseOutput, times: jax.Array, *, before: bool) -> jax.Array:
    """The dense output of the steps in which the times lie; a step's end lies in it if `before`."""
    config = replace(dense.config, jax_differentiates=True)
    rows = path_rows(config, dense.path, dense.final)
    rows = lax.stop_gradient(rows)._replace(y=rows.y)
    number = jnp.arange(rows.t.shape[0], dtype=jnp.int32)
    starts = jnp.where(number < dense.final.accepted, rows.t, jnp.inf)
    begun = jnp.searchsorted(starts, times, side="left" if before else "right")
    row = storage.gather(rows, jnp.maximum(begun - 1, 0))
    coefficients = jax.vmap(lambda row: coefficients_again(config, row, dense.ops))(row)
    return jax.vmap(value_on)(DenseRow(row.t, row.h, row.y, coefficients), times)


def _where(times: jax.Array, there: jax.Array | float, ys: jax.Array) -> jax.Array:
    """`there` at some of the times, `ys` at the others."""
    return jnp.where(times.reshape(-1, *(1,) * (ys.ndim - 1)), there, ys)
