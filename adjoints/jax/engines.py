"""Which engine runs a solve: what JAX compiles, or a native program."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
from jax.core import Tracer

from ..arguments import check_name
from ..linear_systems.choice import OF_FEW_ENTRIES
from ..native.loop import NativeLoop, refused_of
from ..steps.stops import Stops
from .config import Config
from .native.loop import loop_of
from .record import numbers_of_row

Tree = Any
#: Bytes of accepted steps that a native loop keeps with their stages, and of each of many lanes,
#: which do not use them: there they are addresses without memory.
WINDOW_BYTES, WINDOW_OF_LANES = 1 << 20, 1 << 14

#: Bytes of a record of all steps that a solve may take, up to which XLA's loop keeps them in one
#: window: what takes the steps of earlier windows again would be compiled as well, a quarter of
#: the program, and rows that are never written cost nothing.
ONE_WINDOW_BYTES = 1 << 21

#: Operations of a right-hand side that are left to XLA by ``"auto"``, whose kernels take arrays.
MOST_OPERATIONS = 3000

ENGINES = ("auto", "native", "xla")


def choose_engine(
    engine: str,
    config: Config,
    y0: jax.Array,
    params: tuple[Tree, Tree],
    stops: Stops,
    platform: str,
    checkpoints: int | None,
    linear_solver: str = "auto",
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
    linear_solver : str
        What was asked for: a native loop solves its systems by dense factors.
    **beyond : bool
        Whether something is asked for besides that a native loop does not do.

    Raises
    ------
    ValueError
        Where a native program is asked for and there is none.
    """
    check_name("engine", engine, ENGINES)
    given = y0, params
    if checkpoints is None:
        config = _in_one_window(config, y0, given)
    if engine == "xla":
        return config, "xla"
    found = refused_of(
        adjoint=config.adjoint,
        kind=config.tableau.kind,
        solver=config.tableau.name,
        platform=platform,
        dense_output=config.dense_output,
        differentiate_step_size=config.through_step_size,
        **{"a second derivative": engine == "auto" and _differentiated(given) > 1},
        **{"a mass matrix with stops": config.mass is not None and config.breaks},
        **{f"linear_solver={linear_solver!r}": linear_solver in OF_FEW_ENTRIES},
        **beyond,
    )
    if found is None:
        most = None if engine == "native" else MOST_OPERATIONS
        found = loop_of(config, y0, *params, stops.acting, most)
    if isinstance(found, NativeLoop):
        return replace(
            config, native=found, window=_window(found, config, checkpoints, given)
        ), "native"
    if engine == "native":
        raise ValueError(f"engine='native': {found.reason}; use engine='auto' or 'xla'")
    return config, f"xla ({found.reason})"


def _window(loop: NativeLoop, config: Config, checkpoints: int | None, given: Tree) -> int:
    """How many steps are kept with their stages."""
    if checkpoints is not None:
        return config.window
    return loop.window(config.max_steps, WINDOW_OF_LANES if _mapped(given) else WINDOW_BYTES)


def _in_one_window(config: Config, y0: jax.Array, given: Tree) -> Config:
    """The configuration with all steps in one window, where their record is small.

    Not for each of many lanes, nor for each of many tangents, whose records are filled with zeros.
    """
    size = config.max_steps * numbers_of_row(config, y0.size) * y0.dtype.itemsize
    if size > ONE_WINDOW_BYTES or _mapped(given) or _differentiated(given) > 1:
        return config
    return replace(config, window=max(config.window, config.max_steps))


def _mapped(given: Tree) -> bool:
    """Whether ``vmap`` is seen."""
    return any("BatchTracer" in transforms_of(leaf) for leaf in jax.tree.leaves(given))


def differentiated_in_place(given: Tree) -> bool:
    """Whether derivatives are seen to be taken inside a program that is being traced.

    A ``jit`` of one's own would be traced without derivatives first.
    """
    names = [transforms_of(leaf) for leaf in jax.tree.leaves(given)]
    traced = any("DynamicJaxprTracer" in each for each in names)
    return traced and any(_DERIVATIVES.intersection(each) for each in names)


def _differentiated(given: Tree) -> int:
    """How many derivatives are seen to be taken, one of another."""
    return max(
        (
            sum(name in _DERIVATIVES for name in transforms_of(leaf))
            for leaf in jax.tree.leaves(given)
        ),
        default=0,
    )


_DERIVATIVES = frozenset({"JVPTracer", "LinearizeTracer"})


def transforms_of(value: Any) -> list[str]:
    """The transforms that a value is seen to be in, from the inside, by the names of their tracers.

    Beyond a ``jit`` none is seen, and JAX's names may change: they decide how fast something is
    alone.
    """
    names = []
    while isinstance(value, Tracer):
        names.append(type(value).__name__)
        value = getattr(value, "primal", getattr(value, "val", None))
    return names
