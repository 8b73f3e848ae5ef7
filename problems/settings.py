"""The settings of a problem: the arguments of its factory, their defaults and kinds."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .validation import did_you_mean


def published_defaults(factory: Callable[..., Any]) -> dict[str, Any]:
    """The keyword arguments of a factory, all of which have defaults."""
    parameters = inspect.signature(factory).parameters.values()
    for parameter in parameters:
        if parameter.kind is not parameter.KEYWORD_ONLY or parameter.default is parameter.empty:
            raise ValueError(
                f"argument {parameter.name!r} of the factory {factory.__name__!r} must be "
                "keyword-only and have a default, as in def decay(*, rate=0.5)"
            )
    return {parameter.name: parameter.default for parameter in parameters}


def check_kind(argument: str, value: Any, default: Any) -> None:
    """Refuse a `value` that is not of the kind of its published default."""
    for kind, accepted, example in (
        (str, str, "a string"),
        (int, numbers.Integral, "a whole number"),
        (float, numbers.Real, "a number"),
    ):
        if type(default) is kind and not isinstance(value, accepted):
            raise ValueError(f"{argument}={value!r} must be {example}, as its default {default!r}")


def plain(value: Any) -> Any:
    """An argument of a factory in a form that JSON can hold."""
    if isinstance(value, type | np.dtype):
        return np.dtype(value).name
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def check_known(argument: str, name: object, known: Sequence[str]) -> None:
    """Refuse a `name` that is not `known`, with close matches."""
    if name in known:
        return
    hint = did_you_mean(name, known)
    raise ValueError(f"{argument} {name!r} is not known; {hint}known: {', '.join(known) or 'none'}")
