"""A graph of ATen's operations, evaluated on the expressions of the native loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ...native.expressions import Expressions
from ...native.symbolic_array import SymbolicArray, symbolic
from ...native.translation import UntranslatableError
from .elementwise import FORMULAS, TRUTHS, choose, on_elements
from .graph import Graph, replaced
from .moves import CREATED, MOVES
from .recording import Operation, memory, tensors_in
from .sums import SUMS

#: What may have truth values as results.
_WITH_TRUTHS = {*TRUTHS, *MOVES, "any", "all", "mul"}

_ELEMENTWISE = {name: on_elements(formula) for name, formula in (FORMULAS | TRUTHS).items()}
_AS_NUMBERS = on_elements(lambda truth: choose(truth, 1.0, 0.0))
_HELD = on_elements(lambda x: x.made_by.make("held", x))


def expressions_of(
    make: Expressions,
    graph: Graph,
    arguments: Sequence[Any],
    known: Callable[[np.ndarray], Any] = lambda value: value,
) -> list[Any]:
    """The outputs of a graph on other arguments.

    Parameters
    ----------
    make : Expressions
    graph : Graph
    arguments : sequence of SymbolicArray or numpy.ndarray
        What is unknown, of the graph's dtype, and what is known; in the order of its inputs.
    known : callable
        What a floating array that the function brought along is read as.

    Returns
    -------
    list of SymbolicArray or numpy.ndarray

    Raises
    ------
    UntranslatableError
        Where an operation has no counterpart, or one that is not exact.
    """
    return _Evaluation(make, graph)(arguments, known)


class _Evaluation:
    """The values of a graph's tensors: known ones as tensors, others as arrays of expressions."""

    def __init__(self, make: Expressions, graph: Graph) -> None:
        self._make = make
        self._graph = graph
        self._values: dict[int, Any] = {}

    def __call__(self, arguments: Sequence[Any], known: Callable[[np.ndarray], Any]) -> list[Any]:
        graph = self._graph
        for key, constant in graph.constants.items():
            array = constant.detach().numpy()
            self._values[key] = self._own(known(array) if constant.is_floating_point() else array)
        for x, value in zip(graph.inputs, arguments, strict=True):
            self._values[id(x)] = self._own(value)
        for operation in graph.operations:
            try:
                self._add(operation)
            except UntranslatableError:
                raise
            # Whatever NumPy says to arguments of another kind than those that are meant.
            except Exception as error:
                raise UntranslatableError(
                    f"{operation.target} is not known here: {error}"
                ) from error
        outputs = (self._known(x) for x in graph.outputs)
        return [x if isinstance(x, SymbolicArray) else x.numpy() for x in outputs]

    def _own(self, value: Any) -> Any:
        """A copy of what was given: an array of expressions, or what is known as a tensor."""
        if isinstance(value, SymbolicArray):
            return symbolic(self._make, np.array(value, object))
        return torch.tensor(np.asarray(value))

    def _add(self, operation: Operation) -> None:
        """Evaluate an operation, and take in what it returns."""
        numbers = operation.name not in TRUTHS and operation.made[0].is_floating_point()
        look_up = self._number if numbers else self._known
        args, kwargs = replaced((operation.args, operation.kwargs), look_up)
        if operation.name in CREATED:
            found = operation.target(*operation.args, **operation.kwargs)
        elif _any_symbolic([args, kwargs]):
            found = self._evaluated(operation, args, kwargs)
        else:
            found = operation.target(*args, **kwargs)
        results = list(found) if isinstance(found, list | tuple) else [found]
        # Of several results rules tell the first.
        results += [None] * (len(operation.made) - len(results))
        for x, shape, result in zip(operation.made, operation.shapes, results, strict=True):
            if result is not None:
                self._check(operation, x.dtype, result, shape)
            self._values[id(x)] = self._stored(operation, x, result)

    def _known(self, x: torch.Tensor) -> Any:
        value = self._values[id(x)]
        if value is None:
            raise UntranslatableError("it uses the second result of an operation of several")
        return value

    def _number(self, x: torch.Tensor) -> Any:
        """The same, with truth values as one and zero."""
        value = self._known(x)
        truth = x.dtype == torch.bool and isinstance(value, SymbolicArray)
        return symbolic(self._make, _AS_NUMBERS(self._make, value)) if truth else value

    def _evaluated(self, operation: Operation, args: Any, kwargs: Any) -> Any:
        """An operation on expressions."""
        make, name = self._make, operation.name
        if name == "detach":
            return symbolic(make, _HELD(make, *args)) if self._graph.holds else args[0]
        plain, options = _as_arrays(args), _as_arrays(kwargs)
        if name in _ELEMENTWISE:
            found = _ELEMENTWISE[name](make, *plain, **options)
        elif name in MOVES:
            found = MOVES[name](*plain, **options)
        elif name in SUMS:
            found = SUMS[name](make, *plain, **options)
        else:
            raise UntranslatableError(f"{operation.target} has no counterpart in C here")
        if operation.writes:
            args[0][...] = found
            return args[0]
        if isinstance(found, list):
            return [symbolic(make, part) for part in found]
        return symbolic(make, found)

    def _check(
        self, operation: Operation, dtype: torch.dtype, result: Any, shape: tuple[int, ...]
    ) -> None:
        """Refuse what PyTorch would round, or count in whole numbers."""
        if tuple(result.shape) != shape:
            raise UntranslatableError(f"{operation.target} has another shape here")
        truth = dtype == torch.bool and operation.name in _WITH_TRUTHS
        if isinstance(result, SymbolicArray) and dtype != self._graph.dtype and not truth:
            raise UntranslatableError(
                f"{operation.target} makes {dtype} of values of {self._graph.dtype}"
            )

    def _stored(self, operation: Operation, x: torch.Tensor, result: Any) -> Any:
        """A result; in memory of its own where that is written to later."""
        written = memory(x) in self._graph.written
        if isinstance(result, SymbolicArray):
            copied = written and not self._shares(operation, x, result)
            return symbolic(self._make, np.array(result, object)) if copied else result
        if result is None or not result.is_floating_point():
            return result
        if "empty" in operation.name:
            result = torch.full_like(result, float("nan"))
        return symbolic(self._make, result.numpy().copy()) if written else result

    def _shares(self, operation: Operation, x: torch.Tensor, result: SymbolicArray) -> bool:
        """Whether a result lies in the memory of an argument; it must where `x` does."""
        if operation.writes:
            return True
        sources = [y for y in tensors_in(operation.args) if memory(y) == memory(x)]
        shared = (np.shares_memory(self._values[id(y)], result) for y in sources)
        if result.size and not all(shared):
            raise UntranslatableError(f"{operation.target} of an array that is changed in place")
        return bool(sources)


def _any_symbolic(tree: Any) -> bool:
    if isinstance(tree, list | tuple):
        return any(_any_symbolic(part) for part in tree)
    if isinstance(tree, dict):
        return any(_any_symbolic(part) for part in tree.values())
    return isinstance(tree, SymbolicArray)


def _as_arrays(tree: Any) -> Any:
    """Arguments with NumPy's arrays in place of both kinds, in the same memory."""
    if isinstance(tree, list | tuple):
        return [_as_arrays(part) for part in tree]
    if isinstance(tree, dict):
        return {key: _as_arrays(part) for key, part in tree.items()}
    return np.asarray(tree) if isinstance(tree, SymbolicArray | torch.Tensor) else tree
