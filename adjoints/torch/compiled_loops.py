"""Loops as compiled programs: where states are small, all turns of a run in one call.

The loop runs in C++: a turn costs microseconds, not a dispatch for each operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch._higher_order_ops.while_loop import while_loop_op

from .program_inputs import Source
from .state import Tensors
from .traced_graph import traced

Function = Callable[..., Any]


def distinct(inputs: Sequence[torch.Tensor]) -> Tensors:
    """The same inputs, copied where one comes twice: a compiled loop would change both as one."""
    seen: set[int] = set()
    found = []
    for x in inputs:
        found.append(x.clone() if x.data_ptr() in seen else x)
        seen.add(x.data_ptr())
    return tuple(found)


def loop(
    condition: Function,
    body: Function,
    carried: Sequence[Any],
    read: Sequence[Any],
    finish: Function | None = None,
) -> Source:
    """A function ``(*carried, *read) -> carried`` that runs `body` while `condition` holds.

    Parameters
    ----------
    condition, body : callable
        Of ``(*carried, *read)``; a boolean tensor, and the next ``carried``.
    carried, read : sequence of tensor
        Examples of what changes from turn to turn and of what does not.
    finish : callable, optional
        Of ``(*carried, *read)`` after the last turn, to what is returned as ``carried``.
    """
    count, size = len(carried), len(carried) + len(read)
    parts = [traced(part, (*carried, *read)) for part in (condition, body, finish) if part]
    held = tuple(x for part in parts for x in part.held)

    def graphs(inputs: Tensors) -> list[Function]:
        """The parts, each with what it holds at the end of what it takes."""
        found, first = [], size
        for graph, own in parts:
            places = slice(first, first + len(own))
            found.append(lambda *x, graph=graph, own=inputs[places]: graph(*x, *own))
            first = places.stop
        return found

    def program(*inputs: torch.Tensor) -> Tensors:
        read = inputs[count:size]

        def go_on(*rest: torch.Tensor) -> torch.Tensor:
            return graphs(rest)[0](*rest[:size])

        def turn(*rest: torch.Tensor) -> Tensors:
            return graphs(rest)[1](*rest[:size])

        start: Any = tuple(x.clone() for x in inputs[:count])
        found = while_loop_op(go_on, turn, start, inputs[count:])
        return tuple(found) if finish is None else graphs(inputs)[2](*found, *read)

    return Source(program, held)
