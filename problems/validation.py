"""What ``Problem`` refuses, and the sentences it says."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .moving_times import MovingTimes, moving_or_given


def did_you_mean(name: object, known: Sequence[str]) -> str:
    """``"did you mean 'linear'? "`` where some of the `known` come close; else nothing."""
    close = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, close))}? " if close else ""


def check_text(argument: str, value: object) -> None:
    """Refuse what is not a non-empty string."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{argument}={value!r} must be a non-empty string")


def checked_dtype(dtype: Any) -> np.dtype:
    """`dtype` as a NumPy dtype, float32 or float64."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found.name not in ("float32", "float64"):
        raise ValueError(f"dtype={dtype!r} must be 'float32' or 'float64'")
    return found


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """`tags` as a tuple of non-empty strings."""
    if isinstance(tags, str):
        raise ValueError(f"tags={tags!r} is one string; pass a tuple, as ({tags!r},)")
    tags = tuple(tags)
    for tag in tags:
        check_text("tags", tag)
    return tags


def checked_arrays(
    y0: Any, params: Any, constants: Any
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Copies of all arrays of a problem in its one floating dtype.

    Numbers that come in no array take the dtype of those that do, else float64. Integers given
    as values of `y0` or `params` become floating; constants of integers and booleans stay what
    they are.
    """
    _check_names(params, constants)
    values = {"y0": _value("y0", y0)}
    values |= {f"params[{k!r}]": _value(f"params[{k!r}]", v) for k, v in params.items()}
    data = {f"constants[{k!r}]": _array(f"constants[{k!r}]", v) for k, v in constants.items()}
    given = (y0, *params.values(), *constants.values())
    arrays = _in_one_dtype(values | data, [hasattr(value, "dtype") for value in given])
    start, *rest = (arrays[label] for label in values)
    return (
        start,
        dict(zip(params, rest, strict=True)),
        dict(zip(constants, (arrays[label] for label in data), strict=True)),
    )


def _in_one_dtype(
    arrays: Mapping[str, np.ndarray], came_as_arrays: Sequence[bool]
) -> dict[str, np.ndarray]:
    """Numbers that came in no array, in the dtype of the arrays; a mixture of these is refused."""
    typed = dict(zip(arrays, came_as_arrays, strict=True))
    floating = {k: v for k, v in arrays.items() if v.dtype.kind not in "biu"}
    dtypes = {v.dtype for k, v in floating.items() if typed[k]}
    if len(dtypes) == 1:
        (dtype,) = dtypes
        floating |= {k: v.astype(dtype) for k, v in floating.items() if not typed[k]}
    _check_one_dtype(floating)
    return {**arrays, **floating}


def _check_names(params: Any, constants: Any) -> None:
    for argument, arrays in (("params", params), ("constants", constants)):
        if not isinstance(arrays, Mapping):
            raise ValueError(
                f"{argument}={arrays!r} must be a dict of named arrays, as {{'k': np.array([0.5])}}"
            )
        for name in arrays:
            check_text(f"a name in {argument}", name)
    both = sorted(set(params) & set(constants))
    if both:
        raise ValueError(
            f"params and constants both have {', '.join(map(repr, both))}; the equations get them "
            "in one dict, so rename one of the two"
        )


def _array(label: str, value: Any) -> np.ndarray:
    """A copy of `value` as an array of numbers or booleans in native byte order."""
    try:
        # A tensor of PyTorch, on any device, with or without a gradient.
        array = np.array(value.detach().cpu() if hasattr(value, "detach") else value)
    except Exception as error:
        raise ValueError(
            f"{label} cannot be made a NumPy array ({error}); pass numbers in a regular shape"
        ) from error
    if array.dtype.kind not in "biuf" or (array.dtype.kind == "f" and array.itemsize not in (4, 8)):
        raise ValueError(
            f"{label} has dtype {array.dtype}; pass float32 or float64 (text as a number, complex "
            "numbers as their real and imaginary parts)"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _value(label: str, value: Any) -> np.ndarray:
    """A copy of `value` as finite floating numbers."""
    array = _array(label, value)
    if array.dtype.kind == "b":
        raise ValueError(f"{label} has dtype bool; pass numbers")
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    if not array.size:
        raise ValueError(f"{label} has shape {array.shape}, no elements; leave it out or fill it")
    if not np.isfinite(array).all():
        raise ValueError(f"{label}={array!r} must be finite; replace its NaN or infinite elements")
    return array


def _check_one_dtype(floating: Mapping[str, np.ndarray]) -> None:
    if len({array.dtype for array in floating.values()}) > 1:
        listed = ", ".join(f"{label}: {array.dtype}" for label, array in floating.items())
        raise ValueError(
            f"floating arrays of one problem must have one dtype, got {listed}; "
            "convert them, for example with np.asarray(value, dtype=np.float64), or a module with "
            "module.double()"
        )


def checked_span(t_span: Any, dtype: np.dtype) -> tuple[float, float]:
    """Start and end as floats, increasing."""
    times = _times("t_span", t_span, dtype)
    if len(times) != 2:
        raise ValueError(f"t_span={t_span!r} must be two times, as (0.0, 10.0)")
    start, end = times
    if start == end:
        raise ValueError(f"t_span={t_span!r} has length zero in {dtype}; pass two different times")
    if start > end:
        raise ValueError(
            f"t_span={t_span!r} must increase; to go backwards, put -t for t and -rhs for rhs"
        )
    return start, end


def checked_save_at(save_at: Any, t_span: tuple[float, float], dtype: np.dtype) -> np.ndarray:
    """The save times as an array, strictly increasing and inside the span."""
    times = _times("save_at", save_at, dtype)
    if not times:
        raise ValueError("save_at is empty; pass at least one time, or None for the end of t_span")
    _check_increasing("save_at", times)
    _check_inside("save_at", times, t_span)
    return np.asarray(times, dtype=dtype)


def checked_stops(
    discontinuities: Any,
    jump_times: Any,
    t_span: tuple[float, float],
    dtype: np.dtype,
    params: Mapping[str, np.ndarray],
    p: Mapping[str, np.ndarray],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Both kinds of declared times; those that move with the parameters may lie anywhere."""
    breaks = moving_or_given("discontinuities", discontinuities, params, p)
    jumps = moving_or_given("jump_times", jump_times, params, p)
    return (
        breaks
        if isinstance(breaks, MovingTimes)
        else checked_discontinuities(breaks, t_span, dtype),
        jumps if isinstance(jumps, MovingTimes) else checked_jump_times(jumps, t_span, dtype),
    )


def checked_mass(mass: Any, n: int, dtype: np.dtype) -> np.ndarray | None:
    """The mass matrix in the problem's dtype."""
    if mass is None:
        return None
    if callable(mass):
        raise ValueError(
            "mass is a function; a mass matrix that depends on time or state is not solved here: "
            "pass a constant matrix, and write what changes into rhs or as further unknowns"
        )
    array = _value("mass", mass).astype(dtype)
    if array.shape != (n, n):
        raise ValueError(
            f"mass has shape {array.shape}; it must be {(n, n)}, (n, n) with n=y0.size"
        )
    if not array.any():
        raise ValueError("mass is zero: rhs alone is no differential equation; solve rhs = 0")
    return array


def checked_discontinuities(
    times: Any, t_span: tuple[float, float], dtype: np.dtype
) -> tuple[float, ...]:
    """The discontinuities within the span, its ends included, sorted."""
    found = sorted(set(_times("discontinuities", times, dtype)))
    _check_inside("discontinuities", found, t_span)
    return tuple(found)


def checked_jump_times(
    times: Any, t_span: tuple[float, float], dtype: np.dtype
) -> tuple[float, ...]:
    """The jump times, strictly increasing, after the start and no later than the end."""
    found = _times("jump_times", times, dtype)
    _check_increasing("jump_times", found)
    _check_inside("jump_times", found, t_span)
    if t_span[0] in found:
        raise ValueError(
            f"jump_times={found!r} has the start of t_span={t_span!r}; "
            "put a jump at the start into y0 instead"
        )
    return tuple(found)


def _times(argument: str, value: Any, dtype: np.dtype) -> list[float]:
    """Finite times, rounded to the dtype of the problem, as floats."""
    array = _array(argument, value)
    if array.ndim != 1:
        raise ValueError(
            f"{argument}={value!r} must be a list of times; its shape is {array.shape}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{argument}={value!r} must be finite")
    return [float(t) for t in array.astype(dtype)]


def _check_increasing(argument: str, times: list[float]) -> None:
    for earlier, later in itertools.pairwise(times):
        if earlier >= later:
            raise ValueError(
                f"{argument} must increase strictly, got {later!r} after {earlier!r}; "
                "sort the times and drop repeated ones (np.unique does both)"
            )


def _check_inside(argument: str, times: list[float], t_span: tuple[float, float]) -> None:
    for t in times:
        if not t_span[0] <= t <= t_span[1]:
            raise ValueError(
                f"{argument} has {t!r} outside t_span={t_span!r}; drop it or widen the span"
            )
