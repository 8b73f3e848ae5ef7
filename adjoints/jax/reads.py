"""What users' functions read besides their arguments, by which compiled programs are known."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakKeyDictionary

import jax
from jax.core import Tracer

from ..values_read import state_of

#: Names and values.
Reads = tuple[tuple[str, Hashable], ...]

#: Names of what a function reads that it changes itself.
_UNSTEADY: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


def reads_of(function: Callable[..., Any]) -> Reads:
    """What a function reads, without what it changes itself, such as counters."""
    unsteady = _unsteady_of(function)
    found = state_of(function, jax.Array, Tracer)
    return tuple((name, value) for name, value in found.items() if name not in unsteady)


def note_changes(function: Callable[..., Any], before: Reads) -> None:
    """Remember what has changed while the function ran: that tells nothing of its values."""
    known = dict(before)
    changed = {name for name, now in reads_of(function) if known.get(name) != now}
    if changed:
        _unsteady_of(function).update(changed)


def _unsteady_of(function: Callable[..., Any]) -> set[str]:
    try:
        # A bound method is another object each time.
        return _UNSTEADY.setdefault(getattr(function, "__func__", function), set())
    except TypeError:
        return set()
