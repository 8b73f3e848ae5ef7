"""A user's equations as a native loop: recorded at every call, translated once.

A function of PyTorch may be another one at each call: it may read numbers and tensors that have
changed. So it runs once, and what it did is compared with what was translated before.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from functools import partial
from typing import Any

import torch

from ...native.equations import Data, Equations
from ...native.loop import NativeLoop, Refused, native_loop, refused_of_numbers
from ...native.translation import UntranslatableError
from ...scipy.flat import parts
from ..device import dtype_name
from ..plain_fallback import Functions
from ..schedule import Schedule
from ..state import Config, Tensors
from .aten import expressions_of
from .graph import Graph, graph_of
from .signature import signature

#: Loops by what their functions do, the values of whole numbers that they read included.
_KNOWN: OrderedDict[Hashable, NativeLoop | Refused] = OrderedDict()
_MOST_KNOWN = 256
_LOCK = threading.RLock()

#: What was refused, by the right-hand side and what it was given.
_REFUSED = Functions()


def loop_of(
    config: Config,
    schedule: Schedule,
    y0: torch.Tensor,
    params: Tensors,
    constants: Tensors,
    most: int | None,
) -> NativeLoop | Refused:
    """The native loop of a solve at hand, or why there is none.

    Parameters
    ----------
    config, schedule
    y0 : tensor
    params, constants : tuple of tensor
        Parameters that are differentiated, and those that are not.
    most : int, optional
        How many operations the right-hand side may have.
    """
    jumps = schedule.stops.acting
    functions = [config.rhs, *(partial(_jumped, schedule, i) for i in jumps)]
    given = (schedule.t0, y0, (params, constants))
    sizes, dtypes = [p.numel() for p in params], [p.dtype for p in params]
    refused = refused_of_numbers(y0.numel(), sizes, dtypes, y0.dtype, most)
    if refused is not None:
        return refused
    if jumps or most is None:
        return _recorded(config, schedule, functions, given, most)
    # To record a large right-hand side at every call only to refuse it again takes milliseconds.
    known = _REFUSED.of(config.rhs)
    shapes = tuple((x.shape, x.dtype) for x in (y0, *params, *constants))
    found = known.get(shapes)
    if found is None:
        found = _recorded(config, schedule, functions, given, most)
        if isinstance(found, Refused) and found.of_equations:
            known[shapes] = found
    return found


def _recorded(
    config: Config, schedule: Schedule, functions: list[Any], given: Any, most: int | None
) -> NativeLoop | Refused:
    """The loop of what functions do now."""
    jumps, (_, y0, (_, constants)) = schedule.stops.acting, given
    try:
        graphs = [graph_of(function, *given, checked=False) for function in functions]
        read = [*constants, *(x for graph in graphs for x in graph.constants.values())]
        key = (
            tuple(map(signature, graphs)),
            tuple(x.detach().numpy().tobytes() for x in read),
            (config.solver, config.breaks, jumps, most),
        )
        with _LOCK:
            if key not in _KNOWN:
                graphs = [graph_of(function, *given) for function in functions]
                _KNOWN[key] = native_loop(
                    _equations(graphs, jumps, given),
                    config.tableau,
                    dtype_name(y0),
                    breaks=config.breaks,
                    most=most,
                )
                if len(_KNOWN) > _MOST_KNOWN:
                    _KNOWN.popitem(last=False)
            _KNOWN.move_to_end(key)
            return _KNOWN[key]
    except UntranslatableError as error:
        return Refused(str(error))


def _jumped(
    schedule: Schedule, number: int, t: torch.Tensor, y: torch.Tensor, params: Any
) -> torch.Tensor:
    return schedule.jumped(number, t, y, params)


def _equations(graphs: list[Graph], jumps: tuple[int, ...], given: Any) -> Equations:
    """What the graphs compute, on flat expressions."""
    _, y0, (params, constants) = given
    known = [x.detach().numpy() for x in constants]
    shapes = [tuple(leaf.shape) for leaf in params]

    def at(graph: Graph, t: Any, y: Any, p: Any, data: Data) -> Any:
        arguments = [t, y.reshape(y0.shape), *parts(p, shapes), *known]
        (value,) = expressions_of(data.make, graph, arguments, data)
        return value

    rhs, *others = graphs
    return Equations(
        n=y0.numel(),
        m=sum(p.numel() for p in params),
        rhs=partial(at, rhs),
        jump=lambda i, *read: at(others[jumps.index(i)], *read),
        jumps=jumps,
    )
