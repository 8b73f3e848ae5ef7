"""A user's PyTorch function as a graph of operations, and whether that is all that it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from ...native.translation import UntranslatableError
from ..closures import kept_by
from .recording import Operation, Recorder, Watch, tensors_in

#: How far a second point lies from the first, where the function is compared with its graph.
_SCALE, _SHIFT = 1.0625, 0.015625


@dataclass
class Graph:
    """The operations of a function, in order.

    Attributes
    ----------
    inputs, outputs : list of tensor
        As they were when it ran; tensors are told apart by ``id``.
    operations : list of Operation
    constants : dict of int to tensor
        Tensors that the function brought along: themselves, or copies of what was new.
    written : set of int
        The :func:`~.recording.memory` that is written to after it was made.
    holds : bool
        Whether ``detach`` holds a derivative. Otherwise only autograd has inserted it, where the
        function itself takes derivatives, and it does nothing.
    asks : bool
        Whether it asked if derivatives are wanted: then it is compared at every call.
    dtype : torch.dtype
        That of all floating inputs.
    """

    inputs: list[torch.Tensor]
    outputs: list[torch.Tensor]
    operations: list[Operation]
    constants: dict[int, torch.Tensor]
    written: set[int]
    holds: bool
    asks: bool
    dtype: torch.dtype

    def __call__(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        """The outputs by PyTorch itself, differentiable."""
        known = dict(self.constants)
        known.update((id(x), given) for x, given in zip(self.inputs, inputs, strict=True))
        for operation in self.operations:
            args, kwargs = replaced((operation.args, operation.kwargs), lambda x: known[id(x)])
            if operation.name == "detach" and not self.holds:
                found = args[0]
            elif operation.name == "lift_fresh":
                found = args[0].clone()
            else:
                found = operation.target(*args, **kwargs)
            made = zip(operation.made, tensors_in(found), strict=True)
            known.update((id(x), result) for x, result in made)
        return [known.get(id(x), x) for x in self.outputs]


def replaced(tree: Any, by: Callable[[torch.Tensor], Any]) -> Any:
    """Arguments with something in place of each tensor."""
    if isinstance(tree, torch.Tensor):
        return by(tree)
    if isinstance(tree, list | tuple):
        return [replaced(part, by) for part in tree]
    if isinstance(tree, dict):
        return {key: replaced(part, by) for key, part in tree.items()}
    return tree


def graph_of(function: Callable[..., Any], *examples: Any, checked: bool = True) -> Graph:
    """The operations of a function of tensors, or of structures of them.

    Parameters
    ----------
    function : callable
        It returns a tensor, or a structure of tensors.
    *examples : tensor, or structure of them
        What it is called with to see what it does, on the CPU.
    checked : bool
        Whether values and derivatives are compared with those of the function; as they must be
        once for each graph.

    Raises
    ------
    UntranslatableError
        Where the operations do not tell all that it does: a branch on a value, a derivative of its
        own, random numbers, a tensor changed that is not its own, a counter, weights that it
        closes over.
    """
    leaves, structure = pytree.tree_flatten(examples)
    leaves = [x.detach().clone() if isinstance(x, torch.Tensor) else x for x in leaves]
    places = [i for i, x in enumerate(leaves) if isinstance(x, torch.Tensor)]
    inputs = [leaves[i] for i in places]
    hidden = torch.is_grad_enabled()

    def flat(*tensors: torch.Tensor) -> list[torch.Tensor]:
        told = dict(zip(places, tensors, strict=True))
        arguments = [told.get(i, x) for i, x in enumerate(leaves)]
        found = pytree.tree_leaves(function(*structure.unflatten(arguments)))
        if not all(isinstance(x, torch.Tensor) for x in found):
            raise UntranslatableError("it returns something that is no tensor")
        return found

    try:
        with torch.enable_grad():
            graph = _recorded(flat, inputs, hidden=hidden)
            if not checked and not graph.asks:
                return graph
            kept = kept_by(function)
            moved = [x * _SCALE + _SHIFT if x.is_floating_point() else x for x in inputs]
            _check_agreement(flat, graph, inputs)
            _check_agreement(flat, graph, moved)
            _check_kept(kept, kept_by(function))
    except UntranslatableError:
        raise
    # Whatever a user's function, or PyTorch, may have against being watched.
    except Exception as error:
        told = next(iter(str(error).splitlines()), type(error).__name__)
        raise UntranslatableError(told) from error
    return graph


def _recorded(
    function: Callable[..., list[torch.Tensor]], inputs: list[torch.Tensor], *, hidden: bool
) -> Graph:
    """The graph of a function of tensors."""
    dtypes = {x.dtype for x in inputs if x.is_floating_point()}
    if len(dtypes) != 1 or any(x.is_complex() for x in inputs):
        raise UntranslatableError("its arguments are not of one real dtype")
    recorder = Recorder(inputs, hidden=hidden)
    with recorder, Watch(recorder) as watch:
        outputs = function(*inputs)
    for x in outputs:
        recorder.place(x)
    for x in inputs:
        # A function that takes derivatives may have asked for them.
        x.requires_grad_(False)
    return Graph(
        inputs,
        outputs,
        recorder.operations,
        recorder.constants,
        recorder.written,
        watch.detached,
        watch.asked,
        dtypes.pop(),
    )


def _check_agreement(
    function: Callable[..., list[torch.Tensor]], graph: Graph, at: list[torch.Tensor]
) -> None:
    """Refuse a graph of which values or derivatives are not those of the function."""
    values, slopes = _pulled_back(function, at)
    same_values, same_slopes = _pulled_back(graph, at)
    if not _equal(values, same_values):
        raise UntranslatableError("it is no function of its arguments alone")
    if not _equal(slopes, same_slopes):
        raise UntranslatableError("its derivative is not that of its operations")


def _check_kept(before: dict[str, str], after: dict[str, str]) -> None:
    """Refuse a function that counts or collects, which nobody would do for it in C."""
    for name in after:
        if after[name] != before.get(name):
            raise UntranslatableError(f"it changes {name.rpartition('.')[2]} when it is called")


def _pulled_back(
    function: Callable[..., list[torch.Tensor]], at: list[torch.Tensor]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Values, and what cotangents of them make of the arguments."""
    leaves = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in at]
    values = function(*leaves)
    moved = [x for x in values if x.requires_grad]
    wanted = [x for x in leaves if x.requires_grad]
    if not moved:
        return values, [torch.zeros_like(x) for x in wanted]
    # One number to differentiate: given cotangents PyTorch loads SymPy to look at their shapes.
    total = sum((x * torch.linspace(0.5, 1.5, x.numel()).reshape(x.shape)).sum() for x in moved)
    assert isinstance(total, torch.Tensor)
    slopes = torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True)
    return values, list(slopes)


def _equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    """Whether tensors agree but for rounding; NaN is like NaN."""
    if len(one) != len(other):
        return False
    for x, y in zip(one, other, strict=True):
        a, b = x.detach().numpy(), y.detach().numpy()
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if a.dtype.kind != "f":
            close = np.array_equal(a, b)
        else:
            rounding = float(np.finfo(a.dtype).eps)
            size = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
            rtol, atol = rounding**0.5, 100 * rounding * size
            close = np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
        if not close:
            return False
    return True
