"""Which engine runs a solve: what JAX compiles, or a native program."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
from jax.core import Tracer

from ..arguments import check_name
from ..native.loop import NativeLoop, refused_of
from ..steps.stops import Stops
from .config import Config
from .native.loop import loop_of

Tree = Any
#: Bytes of accepted steps that are kept with their stages, and of each of many lanes, which do
#: not use them: there they are addresses without memory.
WINDOW_BYTES, WINDOW_OF_LANES = 1 << 20, 1 << 14

#: Operations of a right-hand side that are left to XLA by ``"auto"``, whose kernels take arrays.
MOST_OPERATIONS = 5000

ENGINES = ("auto", "native", "xla")


def choose_engine(
    engine: str,
    config: Config,
    y0: jax.Array,
    params: tuple[Tree, Tree],
    stops: Stops,
    platform: str,
    checkpoints: int | None,
    **beyond: bool,
) -> tuple[Config, str]:
    """The configuration with its native program, if there is one, and what runs in words.

    Parameters
    ----------
    engine : str
    config, y0, stops
        Of the solve.
    params : tuple of pytree
        What is differentiated, and what is not.
    platform : str
        What it runs on.
    checkpoints : int, optional
        What the window of the configuration is made of; without it, as much is kept as fits.
    **beyond : bool
        Whether something is asked for besides that a native loop does not do.

    Raises
    ------
    ValueError
        Where a native program is asked for and there is none.
    """
    check_name("engine", engine, ENGINES)
    if engine == "xla":
        return config, "xla"
    found = refused_of(
        adjoint=config.adjoint,
        kind=config.tableau.kind,
        solver=config.tableau.name,
        platform=platform,
        dense_output=config.dense_output,
        differentiate_step_size=config.through_step_size,
        **beyond,
    )
    if found is None:
        acting = tuple(sorted({i for jumps in stops.jumps for i in jumps}))
        most = None if engine == "native" else MOST_OPERATIONS
        found = loop_of(config, y0, *params, acting, most)
    if isinstance(found, NativeLoop):
        return replace(
            config, native=found, window=_window(found, config, checkpoints, params)
        ), "native"
    if engine == "native":
        raise ValueError(f"engine='native': {found.reason}; use engine='auto' or 'xla'")
    return config, f"xla ({found.reason})"


def _window(loop: NativeLoop, config: Config, checkpoints: int | None, params: Tree) -> int:
    """How many steps are kept with their stages."""
    if checkpoints is not None:
        return config.window
    mapped = any(map(is_mapped, jax.tree.leaves(params)))
    return loop.window(config.max_steps, WINDOW_OF_LANES if mapped else WINDOW_BYTES)


def is_mapped(value: Any) -> bool:
    """Whether ``vmap`` is seen to map a value; inside of a ``jit`` that is mapped it is not."""
    while isinstance(value, Tracer):
        if type(value).__name__ == "BatchTracer":
            return True
        value = getattr(value, "primal", None)
    return False
