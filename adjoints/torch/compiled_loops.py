"""Loops compiled by ``torch.compile``, kept by what they do and by the shapes that they read.

A loop's condition and body are traced to plain graphs of tensor operations first, so that neither
the equations nor the function transforms in them have to be understood by the compiler's own
tracing of Python. The loop itself runs in C++: a turn costs microseconds, not a dispatch for each
operation.
"""

from __future__ import annotations

import itertools
import time
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch._higher_order_ops.while_loop import while_loop
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode

from .state import Tensors

Function = Callable[..., Any]

#: Compiled programs that are kept; the oldest makes room.
MOST_KEPT = 128
_kept: dict[Any, Compiled] = {}
_numbers = itertools.count()


class Compiled(NamedTuple):
    """A compiled function, or why there is none, and the seconds that it took."""

    call: Function | None
    reason: str
    seconds: float


def compiled(key: Any, build: Callable[[Tensors], Function], inputs: Tensors) -> Compiled:
    """What `build` makes, compiled for inputs like these, now or before.

    Parameters
    ----------
    key : hashable
        What the function does.
    build : callable
        Makes the function, of tensor operations alone, from inputs to trace it on.
    inputs : tuple of tensor
    """
    full = (key, tuple((x.shape, x.dtype, x.device) for x in inputs))
    if full not in _kept:
        while len(_kept) >= MOST_KEPT:
            _kept.pop(next(iter(_kept)))
        _kept[full] = _compile(build, inputs)
    return _kept[full]


def _compile(build: Callable[[Tensors], Function], inputs: Tensors) -> Compiled:
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call = torch.compile(
                _renamed(build(inputs)),
                fullgraph=True,
                dynamic=False,
                options={"cpp_wrapper": True},
            )
            call(*inputs)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        return Compiled(None, reason, time.perf_counter() - began)
    return Compiled(call, "", time.perf_counter() - began)


def _renamed(function: Function) -> Function:
    """The same function under a name of its own.

    ``torch.compile`` counts how often it compiles the same code, and stops at a limit that is
    meant for one function with many inputs, not for many closures of one definition.
    """
    assert isinstance(function, types.FunctionType)
    code = function.__code__.replace(co_name=f"{function.__name__}_{next(_numbers)}")
    return types.FunctionType(
        code, function.__globals__, code.co_name, function.__defaults__, function.__closure__
    )


def distinct(inputs: Sequence[torch.Tensor]) -> Tensors:
    """The same inputs, copied where one comes twice: a compiled loop would change both as one."""
    seen: set[int] = set()
    found = []
    for x in inputs:
        found.append(x.clone() if x.data_ptr() in seen else x)
        seen.add(x.data_ptr())
    return tuple(found)


def straight(function: Function, inputs: Tensors) -> Function:
    """`function` without a loop, as :func:`compiled` wants it."""
    graph = traced(function, inputs)

    def program(*inputs: torch.Tensor) -> Any:
        return graph(*inputs)

    return program


def traced(function: Function, inputs: Sequence[torch.Tensor]) -> Function:
    """`function` as a graph of tensor operations, traced on `inputs`.

    What comes out unchanged is copied: a loop must not hand on its own inputs.
    """

    def copied(*inputs: torch.Tensor) -> Any:
        found = function(*inputs)
        if isinstance(found, torch.Tensor):
            return found
        given = {id(x) for x in inputs}
        return tuple(x.clone() if id(x) in given else x for x in found)

    with torch.no_grad(), _KeepsTensors():
        graph = make_fx(copied)(*inputs)
    # Forward mode leaves checks of shapes in the graph, which the compiler cannot read.
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


class _KeepsTensors(TorchFunctionMode):
    """Refuses what takes values out of tensors unseen: a graph would hold them for ever."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.Tensor.numpy, torch.Tensor.__array__, torch.Tensor.tolist):
            raise RuntimeError(f"Tensor.{func.__name__} inside a function that is compiled")
        return func(*args, **(kwargs or {}))


def loop(
    condition: Function,
    body: Function,
    carried: Tensors,
    read: Tensors,
    finish: Function | None = None,
) -> Function:
    """A function ``(*carried, *read) -> carried`` that runs `body` while `condition` holds.

    Parameters
    ----------
    condition, body : callable
        Of ``(*carried, *read)``; a boolean tensor, and the next ``carried``.
    carried, read : tuple of tensor
        Examples of what changes from turn to turn and of what does not.
    finish : callable, optional
        Of ``(*carried, *read)`` after the last turn, to what is returned as ``carried``.
    """
    count = len(carried)
    condition = traced(condition, (*carried, *read))
    body = traced(body, (*carried, *read))
    finish = None if finish is None else traced(finish, (*carried, *read))

    def program(*inputs: torch.Tensor) -> Tensors:
        read = inputs[count:]

        def go_on(*carried: torch.Tensor) -> torch.Tensor:
            return condition(*carried, *read)

        def turn(*carried: torch.Tensor) -> Tensors:
            return body(*carried, *read)

        found = while_loop(go_on, turn, tuple(x.clone() for x in inputs[:count]))
        return found if finish is None else finish(*found, *read)

    return program
