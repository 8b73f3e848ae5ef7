"""The events of a solve as its user sees them: when, which, and the states on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ...solution import Events
from ...state_layout import View
from ...steps.acceptance import CODES
from ..config import Config
from ..outcomes import Met, Outputs
from .detection import Detection

Tree = Any


@partial(jax.jit, static_argnums=0)
def events_of(detection: Detection, met: Met, params: Tree) -> Events:
    """The events that were met, differentiable by the states before them and by `params`."""
    stop_map = detection.stop_map
    stops, number = met.stops, jnp.arange(detection.room, dtype=jnp.int32)
    order = jnp.argsort(~stop_map.is_event(stops.jumps), stable=True)
    happened = number < met.number
    # What fills up is the first event again, which has derivatives where there is any.
    rows = order[jnp.where(happened, number, 0)]
    which = stops.jumps[rows]
    passed = jax.vmap(stop_map.passed, in_axes=(0, 0, 0, None))(
        which, stops.times[rows], met.before[rows], params
    )

    def filled(values: jax.Array, fill: float) -> jax.Array:
        shown = happened.reshape(-1, *(1,) * (values.ndim - 1))
        return jnp.where(shown, values, fill)

    return Events(
        times=filled(passed.time, jnp.inf),
        which=jnp.where(happened, which[:, 0] - stop_map.declared, -1),
        before=filled(passed.before, 0.0),
        after=filled(passed.after, 0.0),
    )


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["met", "params", "status"],
    meta_fields=["detection", "view"],
)
@dataclass(frozen=True)
class EventRecord:
    """What a solve keeps of its events; a pytree.

    Attributes
    ----------
    detection : Detection
    met : Met
    params : pytree
        As the loop reads them.
    status : array
        How the solve ended: after a breakdown, all is NaN.
    view : View
        How the user sees states and times.
    """

    detection: Detection
    met: Met
    params: Tree
    status: jax.Array
    view: View

    @property
    def events(self) -> Events:
        """The events as the user sees them."""
        found, view = events_of(self.detection, self.met, self.params), self.view
        times = jnp.where(jnp.isfinite(found.times), view.turned(found.times), jnp.inf)
        ok = self.status == CODES["ok"]
        times, before, after = (
            jnp.where(ok, values, jnp.nan) for values in (times, found.before, found.after)
        )
        return Events(times, found.which, view.structure(before), view.structure(after))


def event_record(config: Config, out: Outputs, params: Tree, view: View) -> EventRecord | None:
    """What is kept of a solve's events, where any were looked for."""
    if config.events is None or out.met is None:
        return None
    return EventRecord(config.events, out.met, params, out.final.status, view)
