"""``Lanes``: one gradient of many systems at once under JAX's ``vmap``, each with its own steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...adjoints.gradient import prepare
from ...adjoints.result import STATUSES
from ...adjoints.run import Run
from ..measuring.errors import gradient_errors
from ..measuring.names import bare_name, get_problem
from ..measuring.row import Row
from ..measuring.timing import Silence, in_turn, timed
from .device_task import DeviceTask
from .problems import factors


@dataclass(frozen=True, kw_only=True)
class Lanes(DeviceTask):
    """The gradients of `lanes` systems that differ a little in their parameters.

    The first has the problem's own, and its error is the distance from the gradient of that one
    system on the CPU.
    """

    name = "lanes on device"

    lanes: int
    max_steps: int = 512

    def measured(self, silence: Silence) -> Iterator[Row]:
        """One row: the time of all lanes together."""
        import jax

        problem = get_problem(bare_name(self.problem))
        atol = 1e-3 * self.rtol
        run = prepare(problem, self.method, rtol=self.rtol, atol=atol, max_steps=self.max_steps)
        alone = run()
        with jax.enable_x64(True):
            call, inputs = _batched(run, self.device, self.lanes)
            dparams, status = jax.device_get(call(*inputs[0]))
            seconds = None
            if not status.any():
                timing = timed(call, inputs, jax.block_until_ready, warm_ups=1)
                with silence():
                    seconds = in_turn([timing], self.budget_s)[0]
        row = replace(
            self._about(),
            atol=atol,
            solver=run.settings.solver,
            status=STATUSES[int(status.max())],
            message=_broken_lanes(status),
            steps=alone.stats.steps,
        )
        if seconds is None:
            yield row
            return
        low, median, high = np.percentile(seconds, [25, 50, 75])
        first = {name: value[0] for name, value in dparams.items()}
        errors = gradient_errors(first, alone.dparams, problem.params)
        yield replace(
            row,
            **errors,
            seconds=float(median),
            seconds_low=float(low),
            seconds_high=float(high),
            calls=len(seconds),
        )


def _batched(run: Run, device: str, lanes: int) -> tuple[Any, list[tuple[Any, ...]]]:
    """The gradient of all lanes, compiled, and slightly different parameters for its calls."""
    import jax

    from ...adjoints.jax.device import find_device

    problem, place = run.problem, find_device(device)
    y0 = jax.device_put(problem.y0, place)
    constants = jax.device_put(dict(run.prepared.constants), place)

    def one(params: Any, y0: Any, constants: Any) -> tuple[Any, Any]:
        found = run.training_gradient(params, y0, constants, coefficient)
        return found.dparams, found.status

    coefficient = np.asarray(run.settings.coefficient, problem.dtype)
    inputs = []
    for nudge in range(4):
        scale = factors(lanes) * (1 + 1e-9 * nudge)
        params = {k: v * scale.reshape(-1, *[1] * v.ndim) for k, v in problem.params.items()}
        inputs.append((jax.device_put(params, place), y0, constants))
    mapped = jax.jit(jax.vmap(one, in_axes=(0, None, None)))
    return mapped.lower(*inputs[0]).compile(), inputs


def _broken_lanes(status: np.ndarray) -> str:
    """How many lanes broke down; empty where none did."""
    broken = int(np.count_nonzero(status))
    return f"{broken} of {len(status)} lanes broke down" if broken else ""
