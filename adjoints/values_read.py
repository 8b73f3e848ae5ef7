"""What a function reads besides its arguments: values of its closure, globals and attributes."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Hashable, Iterator
from functools import partial
from types import CodeType, ModuleType
from typing import Any

import numpy as np

#: How far attributes of attributes, elements of elements and functions of functions are followed.
DEPTH = 6

#: Longer lists are not looked into, and so many values are looked at.
LONGEST, MOST = 1000, 10_000

#: Bytes of an array that is known by its numbers; a larger one is known as an object.
LARGEST = 1 << 20


class Same:
    """Stands for an object, and is equal to what stands for the same one; it keeps that alive."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


def state_of(function: Any, array: type, traced: type) -> dict[str, Hashable]:
    """What `function` reads, by names: equal as long as nothing of that changes.

    Numbers, texts and the numbers of NumPy's arrays; of a framework's arrays, whose numbers cannot
    change, which object it is.

    Parameters
    ----------
    function : callable
    array, traced : type
        Arrays of a framework, and those of them that stand for others while a program is traced:
        these are not told.
    """
    found: dict[str, Hashable] = {}
    for name, value in values_read(function, array, tuple):
        if value is None or isinstance(value, bool | int | str):
            found[name] = (type(value), value)
        elif isinstance(value, float | complex):
            # As text, since NaN is not equal to itself, and zero to its negative.
            found[name] = (type(value), repr(value))
        elif isinstance(value, np.ndarray | np.generic) and value.nbytes <= LARGEST:
            numbers = hashlib.sha256(np.ascontiguousarray(value).tobytes()).digest()
            found[name] = (value.shape, str(value.dtype), numbers)
        elif isinstance(value, traced):
            continue
        elif isinstance(value, (np.ndarray, np.generic, tuple, array)):
            found[name] = Same(value)
    return found


def values_read(function: Any, *whole: type) -> Iterator[tuple[str, Any]]:
    """All values that `function` reads, by how one would write them; those in others too.

    Parameters
    ----------
    function : callable
    *whole : type
        Of values that are not looked into.
    """
    names, found, known = {"__call__"}, list[tuple[str, Any]](), -1
    # Who reads an attribute may come after the object that has it.
    while len(names) > known:
        known = len(names)
        found = _found(function, names, whole)
    yield from found


def _found(function: Any, names: set[str], whole: tuple[type, ...]) -> list[tuple[str, Any]]:
    """What `function` reads where it reads attributes of these names, to which more are added."""
    found: list[tuple[str, Any]] = []
    waiting = [("", function, DEPTH + 1)]
    seen: dict[int, Any] = {}
    while waiting and len(found) < MOST:
        name, value, depth = waiting.pop()
        found.append((name, value))
        if depth and id(value) not in seen:
            seen[id(value)] = value
            names.update(_names_of(value, names))
            parts = _parts(value, whole, names)
            named = ((f"{name}{path}".removeprefix("."), x) for path, x in parts)
            waiting.extend((*pair, depth - 1) for pair in named)
    return found[1:]


def read_by(function: Any) -> Iterator[tuple[str, Any]]:
    """What a function, a method, a partial function or an object that is called reads."""
    if isinstance(function, partial):
        yield from read_by(function.func)
        yield from ((f"args[{i}]", x) for i, x in enumerate(function.args))
        yield from function.keywords.items()
    elif inspect.ismethod(function):
        yield "self", function.__self__
        yield from read_by(function.__func__)
    elif inspect.isfunction(function):
        known, names = function.__globals__, dict.fromkeys(_names(function.__code__))
        yield from ((name, known[name]) for name in names if name in known)
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        yield from ((name, x.cell_contents) for name, x in cells if _is_filled(x))
        defaults = enumerate(function.__defaults__ or ())
        yield from ((f"__defaults__[{i}]", x) for i, x in defaults)
        yield from (function.__kwdefaults__ or {}).items()
    else:
        yield type(function).__name__, function


def _names(code: CodeType) -> Iterator[str]:
    """The names that code reads, that of functions inside of it too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_filled(cell: Any) -> bool:
    """Whether a variable of a closure has a value yet."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _names_of(value: Any, names: set[str]) -> set[str]:
    """The names that a function reads, or those methods of an object that are among `names`."""
    if isinstance(value, partial):
        return _names_of(value.func, names)
    if inspect.ismethod(value):
        return _names_of(value.__func__, names) | _names_of(value.__self__, names)
    if inspect.isfunction(value):
        return set(_names(value.__code__))
    found: set[str] = set()
    for owner in type(value).__mro__[:-1]:
        for name in names.intersection(vars(owner)):
            method = vars(owner)[name]
            method = method.fget if isinstance(method, property) else method
            if inspect.isfunction(method):
                found.update(_names(method.__code__))
    return found


def _parts(value: Any, whole: tuple[type, ...], names: set[str]) -> Iterator[tuple[str, Any]]:
    """What is in a value, and how one would write that; of an object attributes of some names."""
    if isinstance(value, dict | list | tuple):
        if len(value) <= LONGEST and not _is_constant(value, whole):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            yield from ((f"[{key!r}]", x) for key, x in items)
    elif inspect.isfunction(value) or inspect.ismethod(value) or isinstance(value, partial):
        if not _is_of_a_package(value):
            yield from ((f".{name}", x) for name, x in read_by(value))
    elif hasattr(value, "named_modules") and not isinstance(value, type):
        for name, module in value.named_modules():
            where = f".{name}" if name else ""
            yield from ((f"{where}.{key}", x) for key, x in vars(module).items())
    elif not isinstance(value, (*whole, np.ndarray, type, ModuleType)):
        own = _attributes(value)
        read = ((name, own[name]) for name in sorted(names.intersection(own)))
        yield from ((f".{name}", x) for name, x in read if not hasattr(x, "__get__"))


def _attributes(value: Any) -> dict[str, Any]:
    """The attributes of an object, those of its classes too."""
    found: dict[str, Any] = {}
    for owner in reversed(type(value).__mro__[:-1]):
        found.update(vars(owner))
    return found | getattr(value, "__dict__", {})


def _is_constant(value: Any, whole: tuple[type, ...]) -> bool:
    """Whether a tuple may be taken for what it is, as nothing in it can change."""
    if not (isinstance(value, tuple) and tuple in whole):
        return False
    return all(isinstance(x, bool | int | float | str) or _is_constant(x, whole) for x in value)


def _is_of_a_package(function: Any) -> bool:
    """Whether a function belongs to one of the numerical packages, which keep to themselves."""
    name = getattr(function, "__module__", None) or ""
    return name.partition(".")[0] in {"jax", "numpy", "scipy", "torch", "array_api_compat"}
