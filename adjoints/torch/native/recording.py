"""What a PyTorch function computes, operation by operation, written down as it runs.

A dispatch mode sees every operation of ATen below autograd; what never becomes one, as a tensor
that is read by Python, a mode of functions sees before.
"""

from __future__ import annotations

import functools
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
#: What holds derivatives; what changes them unseen; what tells whether they are wanted.
_HOLDERS = ("detach", "data")
_CHANGERS = ("detach_", "register_hook")
_QUESTIONS = ("requires_grad", "grad_fn", "is_leaf")
#: What answers questions about shapes alone.
_OF_SHAPES = ("is_same_size", "_has_same_storage_numel")


class Kind(NamedTuple):
    """What an operation of ATen does.

    ``name`` is without namespace and overload, the same in place and not; ``changes`` is whether
    it changes a tensor, and ``writes`` whether it writes to its memory.
    """

    name: str
    changes: bool
    writes: bool
    reads: bool
    random: bool


@functools.cache
def kind_of(target: Any) -> Kind:
    """What an operation does, by what PyTorch tells of it."""
    changes, tags = target._schema.is_mutable, target.tags
    name = target._schema.name.removeprefix("aten::")
    return Kind(
        name.removesuffix("_") if changes else name,
        changes=changes,
        writes=changes and torch.Tag.inplace_view not in tags,
        reads=torch.Tag.data_dependent_output in tags,
        random=torch.Tag.nondeterministic_seeded in tags,
    )


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
        return kind_of(self.target).name

    @property
    def writes(self) -> bool:
        """Whether it writes to the memory of a tensor."""
        return kind_of(self.target).writes


def tensors_in(tree: Any) -> list[torch.Tensor]:
    """The tensors in arguments or results, which may be in lists."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    found: list[torch.Tensor] = []
    for part in tree.values() if isinstance(tree, dict) else tree or ():
        if isinstance(part, torch.Tensor):
            found.append(part)
        elif isinstance(part, list | tuple):
            found += tensors_in(part)
    return found


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
        self._places = {id(x): memory(x) for x in inputs}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to step aside for PyTorch's compiler would load all of it, which takes a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the operation, and write it down."""
        kwargs, kind = kwargs or {}, kind_of(func)
        given = tensors_in(args) + tensors_in(kwargs) if kwargs else tensors_in(args)
        places = [self.place(x, new=kind.name == "lift_fresh") for x in given]
        unknown = not self.unknown.isdisjoint(places)
        if kind.random:
            raise UntranslatableError(f"it draws random numbers ({func})")
        if unknown:
            _check(func, kind)
        found = func(*args, **kwargs)
        made = tensors_in(found) if isinstance(found, torch.Tensor | list | tuple) else []
        if kind.changes:
            self._change(func, kind, places[0], unknown)
        if made:
            for x in made:
                self._places[id(x)] = place = memory(x)
                if unknown:
                    self.unknown.add(place)
            shapes = tuple([x.shape for x in made])
            self.operations.append(Operation(func, args, kwargs, tuple(made), shapes))
        elif unknown and kind.name not in _OF_SHAPES:
            raise UntranslatableError(f"{func} has no counterpart in C here")
        return found

    def place(self, tensor: torch.Tensor, *, new: bool = False) -> int:
        """Where a tensor lies; what no operation made is kept, and may be written to if new."""
        known = self._places.get(id(tensor))
        if known is not None:
            return known
        if is_wrapped(tensor) or memory(tensor) in self.unknown:
            raise UntranslatableError("it hands values on in a way that is not seen here")
        if self._hidden and tensor.requires_grad:
            raise UntranslatableError(
                f"it closes over a tensor of shape {tuple(tensor.shape)} that is differentiated"
            )
        self.constants[id(tensor)] = tensor.clone() if new else tensor
        self._places[id(tensor)] = memory(tensor)
        return self._places[id(tensor)]

    def _change(self, target: Any, kind: Kind, place: int, unknown: bool) -> None:
        """Note what is changed in place; only what was made inside may be."""
        if not target._schema.name.endswith("_"):
            raise UntranslatableError(f"{target} writes to out=")
        if place in self._given or any(memory(x) == place for x in self.constants.values()):
            raise UntranslatableError(f"{target} changes a tensor that was passed or closed over")
        if kind.writes:
            self.written.add(place)
            self.unknown |= {place} if unknown else set()


def _check(target: Any, kind: Kind) -> None:
    """Refuse what an operation on values that are not known yet cannot tell."""
    if kind.reads:
        raise UntranslatableError(
            "it reads a value that is not known yet, as an `if` or float() does; use torch.where "
            "and PyTorch's other functions of tensors"
        )
    if not torch.is_grad_enabled():
        raise UntranslatableError(
            f"it has a derivative that is not that of {target}: it turns gradients off, or is a "
            "torch.autograd.Function, or takes a derivative without create_graph=True"
        )


@functools.cache
def _watched(function: Any) -> str:
    """The name of a function of PyTorch, or of an attribute, that a recorder cannot see."""
    name = getattr(function, "__name__", "")
    if name in ("__get__", "__set__"):
        name = getattr(getattr(function, "__self__", None), "__name__", "")
    watched = _READERS + _READERS_OF_LISTS + _HOLDERS + _CHANGERS + _QUESTIONS
    return name if name in watched else ""


class Watch(TorchFunctionMode):
    """Refuses what a :class:`Recorder` cannot see.

    Attributes
    ----------
    detached : bool
        Whether the function held derivatives itself: autograd inserts the same operation.
    asked : bool
        Whether it asked if derivatives are wanted, and may do something else where they are.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.detached = False
        self.asked = False
        self._recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Look at a call before it is made."""
        name, kwargs = _watched(func), kwargs or {}
        if name in _HOLDERS:
            self.detached = True
        elif name in _QUESTIONS:
            self.asked = True
        elif name in _CHANGERS:
            raise UntranslatableError(f"it changes derivatives in a way that is not seen ({name})")
        elif name:
            read = [*args, *kwargs.values()]
            read = read[1:] if name == "new_tensor" else read
            if name in _READERS_OF_LISTS:
                read = [x for x in read if isinstance(x, list | tuple)]
            if self._knows_not(read):
                raise UntranslatableError(
                    f"it takes a tensor that is not known yet as numbers ({name}); use "
                    "torch.stack and PyTorch's other functions of tensors"
                )
        return func(*args, **kwargs)

    def _knows_not(self, arguments: Any) -> bool:
        return any(memory(x) in self._recorder.unknown for x in tensors_in(arguments))
