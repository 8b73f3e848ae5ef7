"""Functions traced to graphs of tensor operations, for PyTorch's compiler."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode

from .faster_operations import FASTER
from .state import Tensors

Function = Callable[..., Any]


class Traced(NamedTuple):
    """A graph that takes the inputs of a function and then ``held``, the tensors in its closure.

    These are passed at every call, so that what changes in place is seen.
    """

    graph: GraphModule
    held: Tensors


def traced(function: Function, inputs: Sequence[Any]) -> Traced:
    """`function` as a graph of functional tensor operations, traced on `inputs`.

    What comes out unchanged is copied: a loop must not hand on its own inputs.
    """

    def copied(*inputs: Any) -> Any:
        found = function(*inputs)
        if isinstance(found, torch.Tensor):
            return found
        given = {id(x) for x in inputs}
        return tuple(x.clone() if id(x) in given else x for x in found)

    graph = _graph(copied, inputs)
    if any(_changes_its_input(node) for node in graph.graph.nodes):
        graph = _graph(torch.func.functionalize(copied), inputs)
    # Forward mode leaves checks of shapes in the graph, which the compiler cannot read.
    graph.graph.eliminate_dead_code()
    held = _lifted(graph)
    graph.recompile()
    return Traced(graph, held)


def _graph(function: Function, inputs: Sequence[Any]) -> GraphModule:
    with torch.no_grad(), _KeepsTensors():
        return make_fx(function, decomposition_table=_decompositions())(*inputs)


def _changes_its_input(node: torch.fx.Node) -> bool:
    """Whether it is an operation in place."""
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _lifted(graph: GraphModule) -> Tensors:
    """The tensors that a graph holds, after they have become its last inputs."""
    held: dict[str, torch.Tensor] = {}
    places: dict[str, torch.fx.Node] = {}
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    for node in list(graph.graph.nodes):
        found = getattr(graph, node.target) if node.op == "get_attr" else None
        if not isinstance(found, torch.Tensor):
            continue
        if node.target not in held:
            with graph.graph.inserting_after(last):
                last = graph.graph.placeholder(f"held_{len(held)}")
            last.meta.update(node.meta)
            held[node.target], places[node.target] = found, last
        node.replace_all_uses_with(places[node.target])
        graph.graph.erase_node(node)
    return tuple(held.values())


@functools.cache
def _decompositions() -> dict[Any, Function]:
    # It takes a second to import, which only who compiles should wait for.
    from torch._inductor.decomposition import select_decomp_table

    return {**select_decomp_table(), **FASTER}


class _KeepsTensors(TorchFunctionMode):
    """Refuses what takes values out of tensors unseen: a graph would hold them for ever."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.Tensor.numpy, torch.Tensor.__array__, torch.Tensor.tolist):
            raise RuntimeError(f"Tensor.{func.__name__} inside a function that is compiled")
        return func(*args, **(kwargs or {}))
