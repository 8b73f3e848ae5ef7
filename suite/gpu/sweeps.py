"""``Sweep``: the reverse sweep of ``jax-discrete`` chunk by chunk, or step by step.

Where states are small the sweep takes many steps at once; the size up to which that pays was
measured on a CPU, where a chunk must fit into one kernel. On a card it may be another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ...adjoints.gradient import prepare
from ...adjoints.run import Run
from ..measuring.names import get_problem, split_name
from ..measuring.row import Row
from ..measuring.timing import Silence, time_run
from .device_task import DeviceTask

#: The ways of sweeping, and the largest state that is swept in chunks.
WAYS = {"chunks": 10**6, "steps": 0}


@dataclass(frozen=True, kw_only=True)
class Sweep(DeviceTask):
    """``jax-discrete(sweep=chunks)`` or ``jax-discrete(sweep=steps)``."""

    name = "sweep"

    locator: str = ""

    def measured(self, silence: Silence) -> Iterator[Row]:
        """One row."""
        from ...adjoints.jax.program import JaxProgram

        problem = get_problem(self.locator or self.problem)
        name, settings = split_name(self.method)
        atol = 1e-3 * self.rtol
        usual = prepare(problem, name, rtol=self.rtol, atol=atol, device=self.device, engine="xla")
        program: Any = JaxProgram(problem, usual.settings, chunked_states=WAYS[settings["sweep"]])
        run = Run(problem, usual.settings, program)
        result = run()
        row = replace(
            self._about(),
            atol=atol,
            solver=usual.settings.solver,
            status=result.status,
            message=result.message,
            n_states=problem.n_states,
            **vars(result.stats),
        )
        if result.status == "ok":
            row = replace(row, **time_run(run, self.budget_s, silence))
        yield row
