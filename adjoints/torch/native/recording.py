"""What a PyTorch function computes, operation by operation, written down as it runs.

A dispatch mode sees every operation of ATen below autograd; what never becomes one, as a tensor
that is read by Python, a mode of functions sees before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ...native.translation import UntranslatableError
from ..transforms import is_wrapped

#: What takes the numbers of a tensor out of PyTorch, shows them, or makes another of them.
_READERS = (
    *("numpy", "__array__", "tolist", "__dlpack__", "data_ptr", "storage", "untyped_storage"),
    *("__repr__", "__format__", "__reduce_ex__", "__deepcopy__", "tensor", "new_tensor"),
)
#: What does so where the tensors are in a list.
_READERS_OF_LISTS = ("as_tensor", "asarray")
#: What answers questions about shapes alone.
_OF_SHAPES = frozenset(("aten::is_same_size", "aten::_has_same_storage_numel"))


class Operation(NamedTuple):
    """One operation of ATen, what it was called with, and what it returned.

    A later operation may give a tensor another shape in place, so shapes are kept.
    """

    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    made: tuple[torch.Tensor, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def name(self) -> str:
        """Its name without namespace and overload; in place or not, the same."""
        schema = self.target._schema
        name = schema.name.removeprefix("aten::")
        return name.removesuffix("_") if schema.is_mutable else name

    @property
    def writes(self) -> bool:
        """Whether it writes to the memory of a tensor."""
        return self.target._schema.is_mutable and torch.Tag.inplace_view not in self.target.tags


def tensors_in(tree: Any) -> Iterator[torch.Tensor]:
    """The tensors in arguments or results, which may be in lists."""
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, list | tuple):
        for part in tree:
            yield from tensors_in(part)
    elif isinstance(tree, dict):
        yield from tensors_in(list(tree.values()))


def memory(tensor: torch.Tensor) -> int:
    """What tells whether two tensors lie in the same memory."""
    return tensor.untyped_storage()._cdata


class Recorder(TorchDispatchMode):
    """Writes down the operations that are called under it.

    Attributes
    ----------
    operations : list of Operation
        They hold all tensors, so that these are told apart by ``id``.
    unknown : set of int
        The memory that depends on inputs.
    written : set of int
        The memory that is written to after it was made.
    constants : dict of int to tensor
        What the function brought along, by ``id``: itself, or a copy of what is new.
    """

    def __init__(self, inputs: list[torch.Tensor], *, hidden: bool) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.unknown = {memory(x) for x in inputs}
        self.written: set[int] = set()
        self.constants: dict[int, torch.Tensor] = {}
        self._hidden = hidden
        self._given = set(self.unknown)
        self._made = {id(x) for x in inputs}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to step aside for PyTorch's compiler would load all of it, which takes a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the operation, and write it down."""
        kwargs = kwargs or {}
        given = list(tensors_in([args, kwargs]))
        for x in given:
            self.keep(x, new=func is torch.ops.aten.lift_fresh.default)
        unknown = any(memory(x) in self.unknown for x in given)
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise UntranslatableError(f"it draws random numbers ({func})")
        if torch.Tag.data_dependent_output in func.tags and unknown:
            raise UntranslatableError(
                "it reads a value that is not known yet, as an `if` or float() does; use "
                "torch.where and PyTorch's other functions of tensors"
            )
        found = func(*args, **kwargs)
        made = tuple(tensors_in(found))
        operation = Operation(func, tuple(args), kwargs, made, tuple(tuple(x.shape) for x in made))
        if func._schema.is_mutable:
            self._change(operation, unknown)
        if not made and unknown and func._schema.name not in _OF_SHAPES:
            raise UntranslatableError(f"{func} has no counterpart in C here")
        if made:
            self._made |= {id(x) for x in made}
            if unknown:
                self.unknown |= {memory(x) for x in made}
            self.operations.append(operation)
        return found

    def keep(self, tensor: torch.Tensor, *, new: bool = False) -> None:
        """Take in a tensor, if no operation has made it; a new one may be written to later."""
        if id(tensor) in self._made:
            return
        if is_wrapped(tensor) or memory(tensor) in self.unknown:
            raise UntranslatableError("it hands values on in a way that is not seen here")
        if self._hidden and tensor.requires_grad:
            raise UntranslatableError(
                f"it closes over a tensor of shape {tuple(tensor.shape)} that is differentiated"
            )
        self.constants[id(tensor)] = tensor.clone() if new else tensor
        self._made.add(id(tensor))

    def _change(self, operation: Operation, unknown: bool) -> None:
        """Note what is changed in place; only what was made inside may be."""
        if not operation.target._schema.name.endswith("_"):
            raise UntranslatableError(f"{operation.target} writes to out=")
        place = memory(operation.args[0])
        if place in self._given or any(memory(x) == place for x in self.constants.values()):
            raise UntranslatableError(
                f"{operation.target} changes a tensor that was passed or closed over"
            )
        if operation.writes:
            self.written.add(place)
            self.unknown |= {place} if unknown else set()


class Watch(TorchFunctionMode):
    """Refuses what a :class:`Recorder` cannot see.

    Attributes
    ----------
    detached : bool
        Whether the function held derivatives itself: autograd inserts the same operation.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.detached = False
        self._recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Look at a call before it is made."""
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if name in ("__get__", "__set__"):
            name = getattr(getattr(func, "__self__", None), "__name__", "")
        if name == "_set_grad_enabled" and not args[0]:
            raise UntranslatableError("it turns gradients off inside (torch.no_grad)")
        read = [*args, *kwargs.values()]
        read = read[1:] if name == "new_tensor" else read
        if name in _READERS_OF_LISTS:
            read = [x for x in read if isinstance(x, list | tuple)]
        if name in _READERS + _READERS_OF_LISTS and self._knows_not(read):
            raise UntranslatableError(
                f"it takes a tensor that is not known yet as numbers ({name}); use torch.stack "
                "and PyTorch's other functions of tensors"
            )
        self.detached |= name in ("detach", "detach_", "data")
        return func(*args, **kwargs)

    def _knows_not(self, arguments: Any) -> bool:
        return any(memory(x) in self._recorder.unknown for x in tensors_in(arguments))
