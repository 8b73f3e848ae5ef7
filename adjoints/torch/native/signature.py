"""What tells the graph of a function from another, the values of its own tensors aside."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch

from .graph import Graph


def signature(graph: Graph) -> Hashable:
    """The operations, by number, with whatever is written in them; equal ones compute the same."""
    numbers = {id(x): i for i, x in enumerate(graph.inputs)}
    numbers.update((key, -1 - i) for i, key in enumerate(graph.constants))

    def told(tree: Any) -> Hashable:
        if isinstance(tree, torch.Tensor):
            return ("tensor", numbers[id(tree)])
        if isinstance(tree, list | tuple):
            return tuple(map(told, tree))
        if isinstance(tree, dict):
            return tuple((name, told(part)) for name, part in tree.items())
        # A number and a truth value are equal where they are not the same.
        return (type(tree).__name__, repr(tree) if isinstance(tree, float) else tree)

    operations = []
    for operation in graph.operations:
        read = told((operation.args, operation.kwargs))
        for x in operation.made:
            # In place, what is written to is what it was made from.
            numbers.setdefault(id(x), len(numbers))
        written = tuple(numbers[id(x)] for x in operation.made)
        operations.append((str(operation.target), read, written, operation.shapes))
    constants = tuple((tuple(x.shape), x.dtype) for x in graph.constants.values())
    outputs = tuple(numbers[id(x)] for x in graph.outputs)
    kinds = tuple((tuple(x.shape), x.dtype) for x in graph.inputs)
    return (kinds, tuple(operations), constants, outputs, graph.holds)
