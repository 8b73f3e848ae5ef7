"""How a user sees a solve: states of several arrays, parameters apart, and time either way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

Array = Any
Tree = Any


class Still(NamedTuple):
    """A leaf of a tree of parameters that no solve differentiates or moves: a name, a function."""

    value: Any


@dataclass(frozen=True)
class Split:
    """How the leaves of a tree of parameters divide into differentiable ones and others.

    ``kinds`` has for each leaf whether it is differentiable, or itself where it is no array.
    """

    structure: Any
    kinds: tuple[bool | Still, ...]

    def __call__(self, smooth: Sequence[Array], constants: Sequence[Array]) -> Tree:
        """The tree again, from its leaves of all kinds."""
        parts = {True: iter(smooth), False: iter(constants)}
        leaves = [
            kind.value if isinstance(kind, Still) else next(parts[kind]) for kind in self.kinds
        ]
        return self.structure.unflatten(leaves)


@dataclass(frozen=True)
class Layout(ABC):
    """A structure of arrays, and the arrays' names and shapes in the order of the flat state."""

    an_array: ClassVar[str] = "an array"

    structure: Any
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @abstractmethod
    def _split(self, flat: Array, sizes: list[int]) -> Sequence[Array]:
        """The parts of flat states, along their last axis."""

    @abstractmethod
    def _joined(self, leaves: list[Array]) -> Array:
        """Flat arrays, one after the other."""

    @abstractmethod
    def _stacked(self, found: Any, like: Array) -> Any:
        """An array of lists of numbers and arrays."""

    @abstractmethod
    def _is_one(self, value: Any) -> bool:
        """Whether a tolerance is one number or array, and no structure."""

    @abstractmethod
    def _held(self, argument: str, part: Any, like: Array) -> Array:
        """A tolerance of one of the arrays as an array."""

    @abstractmethod
    def _spread(self, part: Array, shape: tuple[int, ...]) -> Array:
        """An array broadcast to a shape."""

    def unpacked(self, flat: Array) -> Tree:
        """The structure from flat states, whose leading axes stay in front."""
        parts = self._split(flat, [int(np.prod(shape)) for shape in self.shapes])
        leaves = [
            part.reshape((*flat.shape[:-1], *shape))
            for part, shape in zip(parts, self.shapes, strict=True)
        ]
        return self.structure.unflatten(leaves)

    def packed(self, name: str, found: Tree, like: Array) -> Array:
        """One flat array of what the function called `name` returned."""
        leaves = []
        for leaf, value, shape in zip(
            self.names, self._leaves(name, found), self.shapes, strict=True
        ):
            value = self._stacked(value, like)
            if not hasattr(value, "dtype"):
                raise ValueError(
                    f"{name} returned a {type(value).__name__} for y0{leaf}; it must return "
                    f"{self.an_array}"
                )
            if tuple(value.shape) != shape or value.dtype != like.dtype:
                raise ValueError(
                    f"{name} returned shape {tuple(value.shape)} and dtype {value.dtype} for "
                    f"y0{leaf}, which has shape {shape} and dtype {like.dtype}; it must return "
                    "the same"
                )
            leaves.append(value.reshape(-1))
        return self._joined(leaves)

    def tolerance(self, argument: str, value: Tree, like: Array) -> Any:
        """One number as it is; a structure of numbers and arrays as one array of all components."""
        if self._is_one(value):
            return value
        leaves = []
        for leaf, part, shape in zip(
            self.names, self._leaves(argument, value), self.shapes, strict=True
        ):
            part = self._held(argument, part, like)
            if part.ndim and tuple(part.shape) != shape:
                raise ValueError(
                    f"{argument}{leaf} has shape {tuple(part.shape)}; pass one number, or "
                    f"{self.an_array} of the shape of y0{leaf}, {shape}"
                )
            leaves.append(self._spread(part, shape).reshape(-1))
        return self._joined(leaves)

    def _example(self) -> Tree:
        return self.structure.unflatten(["."] * len(self.names))

    def _leaves(self, name: str, found: Tree) -> list[Any]:
        """The leaves of what must have the structure of the state; lists and tuples are alike."""
        wanted = self._example()
        if {type(found), type(wanted)} == {list, tuple}:
            found = type(wanted)(found)
        try:
            return self.structure.flatten_up_to(found)
        except ValueError as error:
            shape = str(wanted).replace("'.'", ".")
            raise ValueError(f"{name} is not of the structure of y0, {shape}: {error}") from None


@dataclass(frozen=True)
class View(ABC):
    """How a user's functions see a solve.

    Attributes
    ----------
    layout : Layout, optional
        Of their state, where it is a structure of arrays.
    backwards : bool
        Whether their time runs against the solve's, which always goes forwards.
    spread : bool
        Whether parameters are several arguments, or none, and not one.
    """

    layout: Layout | None = None
    backwards: bool = False
    spread: bool = False

    @abstractmethod
    def _plain(self, found: Tree, like: Array) -> Any:
        """The state of one array that a function returned, perhaps as a list."""

    def structure(self, flat: Array) -> Tree:
        """States as the user has them."""
        return flat if self.layout is None else self.layout.unpacked(flat)

    def state(self, name: str, found: Tree, like: Array) -> Any:
        """The flat state that the function called `name` returned."""
        if self.layout is None:
            return self._plain(found, like)
        return self.layout.packed(name, found, like)

    def tolerance(self, argument: str, value: Any, like: Array) -> Any:
        """A tolerance for the flat state; ``None`` stays it."""
        if self.layout is None or value is None:
            return value
        return self.layout.tolerance(argument, value, like)

    def turned(self, value: Any) -> Any:
        """A time, or a derivative by it, of the other direction where the solve is mirrored."""
        return -value if self.backwards and hasattr(value, "__neg__") else value
