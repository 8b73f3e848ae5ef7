"""Which engine runs a solve: PyTorch's own operations, or a native loop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ..arguments import check_name
from ..linear_systems.choice import OF_FEW_ENTRIES
from ..native.loop import NativeLoop, Refused, refused_of
from .native.loop import loop_of
from .schedule import Schedule
from .state import Config, Tensors

ENGINES = ("auto", "native", "torch")

#: Operations of a right-hand side that ``"auto"`` does not compile, as that takes seconds.
MOST_OPERATIONS = 12_000


@dataclass(frozen=True)
class Engine:
    """What a call may be run by.

    Attributes
    ----------
    wanted : {"auto", "native", "torch"}
    adjoint : str
        Of the solve.
    linear_solver : str
        What was asked for: a native loop solves its systems by dense factors.
    loop : NativeLoop or Refused, optional
        The native loop, where the functions are known to be the same from call to call.
    """

    wanted: str = "torch"
    adjoint: str = "discrete"
    linear_solver: str = "auto"
    loop: NativeLoop | Refused | None = None

    @property
    def told(self) -> str:
        """What runs at every call, in words."""
        if self.loop is None:
            return "torch"
        return "native" if isinstance(self.loop, NativeLoop) else f"torch ({self.loop.reason})"

    def find(
        self,
        config: Config,
        schedule: Schedule,
        y0: torch.Tensor,
        params: Tensors,
        constants: Tensors,
        **beyond: bool,
    ) -> Engine:
        """With the native loop, or why there is none, unless that is known.

        Parameters
        ----------
        config, schedule, y0, params, constants
            Of the solve.
        **beyond : bool
            Whether something is asked for besides that a native loop does not do.

        Raises
        ------
        ValueError
            Where a native loop is asked for and there is none.
        """
        if self.loop is not None or self.wanted == "torch":
            return self
        found = refused_of(
            adjoint=self.adjoint,
            kind=config.tableau.kind,
            solver=config.solver,
            platform=y0.device.type,
            dense_output=config.dense_output,
            differentiate_step_size=config.through_step_size,
            compile=config.compile,
            **{"a solve with events": bool(schedule.events)},
            **{"a solve with times that move": schedule.stop_map is not None},
            **{"a mass matrix": config.mass is not None},
            **{"torch.compile around it": torch.compiler.is_compiling(), **beyond},
            **{f"linear_solver={self.linear_solver!r}": self.linear_solver in OF_FEW_ENTRIES},
        )
        if found is None:
            most = None if self.wanted == "native" else MOST_OPERATIONS
            found = loop_of(config, schedule, y0, params, constants, most)
        if self.wanted == "native" and isinstance(found, Refused):
            raise ValueError(f"engine='native': {found.reason}; use engine='auto' or 'torch'")
        return replace(self, loop=found)


def engine_of(wanted: str, adjoint: str, linear_solver: str = "auto") -> Engine:
    """The engine of a name, refused where there is none."""
    check_name("engine", wanted, ENGINES)
    return Engine(wanted, adjoint, linear_solver)
