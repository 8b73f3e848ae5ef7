"""The accepted steps of a solve, cut or joined, and taken again with no control."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from ..error_bars.pieces import LOOSEST, joined
from ..steps.acceptance import CODES
from .config import Config
from .outcomes import Outputs
from .state import Operands, StepArrays


def again_config(config: Config, room: int) -> Config:
    """How the steps of a solve are taken again, in `room` of them at most."""
    events = None if config.events is None else replace(config.events, held=True)
    return replace(config, given_steps=True, max_steps=room, through_step_size=False, events=events)


def room_for(steps: int) -> int:
    """Room for so many steps, of few sizes: each needs a program of its own."""
    room = 256
    while room < steps:
        room *= 16
    return room


def finer_operands(config: Config, ops: Operands, out: Outputs, pieces: Any) -> Operands:
    """What is read by the solve that takes the steps of a finished one again.

    A reverse solve has a mesh of its own, on which the error goes with the tolerance: that is
    divided by what the pieces divide the error of the forward steps by.

    Parameters
    ----------
    config, ops
        Of the solve that took the steps.
    out : Outputs
        What it returned, steps included.
    pieces : int or array
        Into how many equal ones each step is cut.
    """
    assert out.steps is not None
    whole = jnp.asarray(pieces, jnp.int32)
    ops = _with_events(ops, out)
    return _again(config, ops, StepArrays(out.steps, _taken(out), whole), pieces)


def joined_operands(config: Config, ops: Operands, out: Outputs) -> Operands:
    """What is read by the solve that takes the steps of a finished one again, joined in pairs.

    Parameters
    ----------
    config, ops, out
        As for :func:`finer_operands`; a reverse solve is as much looser.
    """
    assert out.steps is not None
    ops = _with_events(ops, out)
    count = _taken(out)
    even = out.steps[: len(out.steps) // 2 * 2]
    t, h = even[:, 0], even[:, 1]
    h = jnp.where(jnp.arange(len(h), dtype=count.dtype) < count, h, 0)
    if ops.stops.times.shape[0] == 1:
        # Sorting the storage of a long solve would cost more than a short one.
        t, h, count = t[0::2], h[0::2] + h[1::2], (count + 1) // 2
    else:
        t, h = joined(t, h, ops.stops.times)
        count = (h > 0).sum(dtype=count.dtype)
    return _again(config, ops, StepArrays(jnp.stack([t, h], axis=1), count, jnp.int32(1)), 0.5)


def _with_events(ops: Operands, out: Outputs) -> Operands:
    """`ops` with the events that were met among the stops, which are held."""
    return ops if out.met is None else ops._replace(stops=out.met.stops)


def _taken(out: Outputs) -> jax.Array:
    return jnp.where(out.final.status == CODES["ok"], out.final.accepted, 0)


def _again(config: Config, ops: Operands, steps: StepArrays, pieces: Any) -> Operands:
    """`ops` with other steps, and reverse tolerances to match."""
    assert ops.reverse_rtol is not None
    assert ops.reverse_atol is not None
    dtype = steps.rows.dtype
    gain = jnp.asarray(pieces, dtype) ** config.tableau.order
    tightest = 8 * jnp.finfo(dtype).eps
    return ops._replace(
        steps=steps._replace(rows=jax.lax.stop_gradient(steps.rows)),
        reverse_rtol=jnp.clip(ops.reverse_rtol / gain, tightest, LOOSEST),
        reverse_atol=ops.reverse_atol / gain,
    )
