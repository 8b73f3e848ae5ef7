"""Numbers and arrays that a user gives, checked: each refusal names the argument and the value."""

from __future__ import annotations

import inspect
import math
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..problems.validation import did_you_mean

#: How a solver forms its estimates: the norm of an error, and the sum over the accepted steps.
ERROR_NORMS, REDUCTIONS = ("scaled", "absolute"), ("sum", "mean", "max")

#: Counts are integers of 32 bits.
_LARGEST = 2**31

#: What would do where a dtype is not for solving.
REAL_DTYPES = "pass float32 or float64 (complex numbers as their real and imaginary parts)"


def tolerance(
    argument: str, value: Any, shape: tuple[int, ...], dtype: Any = np.float64
) -> float | np.ndarray:
    """A positive finite tolerance: one number, or one for each component of a state of `shape`.

    It is that in the `dtype` of the solve too, to which it is rounded.
    """
    array = as_real(argument, value)
    if array.ndim and array.shape != shape:
        raise ValueError(
            f"{argument} has shape {array.shape}; pass one number, or an array of the shape of "
            f"y0, {shape}"
        )
    if not (np.isfinite(array) & (array > 0)).all():
        raise ValueError(
            f"{argument}={_shown(value)} must be positive and finite, for example 1e-6"
        )
    with np.errstate(over="ignore", under="ignore"):
        rounded = array.astype(dtype)
    if not (np.isfinite(rounded) & (rounded > 0)).all():
        raise ValueError(
            f"{argument}={_shown(value)} is {_shown(rounded)} in {rounded.dtype}, in which the "
            "solve is; it must be positive and finite, for example 1e-6"
        )
    return array if array.ndim else float(array)


def as_real(argument: str, value: Any) -> np.ndarray:
    """`value` as an array of float64: text, truth values and ``None`` are no numbers."""
    try:
        array = np.asarray(value)
        if array.dtype.kind in "bSUcmM":
            raise TypeError(f"its dtype is {array.dtype}")
        # Objects one by one, as NumPy takes None for NaN.
        if array.dtype.kind == "O":
            return np.vectorize(float, otypes=[np.float64])(array)
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{argument}={_shown(value)} is not a number") from error


def number(argument: str, value: Any) -> float:
    """One finite number."""
    array = as_real(argument, value)
    if array.ndim or not math.isfinite(array):
        raise ValueError(f"{argument}={_shown(value)} must be one finite number")
    return float(array)


def positive(argument: str, value: Any) -> float:
    """One positive finite number."""
    found = number(argument, value)
    if found <= 0:
        raise ValueError(f"{argument}={_shown(value)} must be positive")
    return found


def positive_int(argument: str, value: Any) -> int:
    """One positive whole number."""
    found = positive(argument, value)
    if found != int(found):
        raise ValueError(f"{argument}={_shown(value)} must be a whole number")
    if found >= _LARGEST:
        raise ValueError(f"{argument}={_shown(value)} must be smaller than 2**31")
    return int(found)


def listed(argument: str, values: Any) -> tuple[Any, ...]:
    """Several numbers, each as it was given: what can be read once only is read here."""
    try:
        found = tuple(values)
    except TypeError:
        raise ValueError(f"{argument}={_shown(values)} must be a list, as [0.5, 1.0]") from None
    for value in found:
        if value is None or isinstance(value, str | bool):
            as_real(argument, value)
    return found


def check_function(argument: str, function: Any, *takes: str) -> None:
    """Refuse what cannot be called with arguments of these names."""
    called = f"{argument}({', '.join(takes)})"
    if not callable(function):
        raise ValueError(f"{argument}={_shown(function)} must be a function, {called}")
    try:
        _signature(function).bind(*takes)
    except TypeError as error:
        raise ValueError(f"{argument} is called as {called}: {error}") from None
    except ValueError:
        pass  # a function that does not tell what it takes


def accepts(function: Any, *takes: str) -> bool:
    """Whether a function that tells what it takes can be called with so many arguments."""
    try:
        _signature(function).bind(*takes)
    except (TypeError, ValueError):
        return False
    return True


#: Those of functions, and of what they are as methods.
_SIGNATURES: WeakKeyDictionary[Any, dict[bool, inspect.Signature]] = WeakKeyDictionary()


def _signature(function: Any) -> inspect.Signature:
    """What a callable takes; told once for each function, as finding out is slow."""
    bound = inspect.ismethod(function)
    written = function.__func__ if bound else function
    if not inspect.isfunction(written):
        return inspect.signature(function)
    known = _SIGNATURES.setdefault(written, {})
    if bound not in known:
        known[bound] = inspect.signature(function)
    return known[bound]


def like(argument: str, value: Any, pattern: np.ndarray) -> np.ndarray:
    """`value` as an array like `pattern`, or a ``ValueError``."""
    array = as_real(argument, value)
    if array.shape != pattern.shape:
        raise ValueError(f"{argument} has shape {array.shape}; the problem needs {pattern.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{argument}={_shown(value)} must be finite")
    return array.astype(pattern.dtype)


def check_times(save_at: np.ndarray, t0: float | None, *, backwards: bool = False) -> None:
    """Refuse save times that do not go forwards from `t0`, where that is known, to a later end.

    Or, `backwards`, to an earlier one. Save times may be repeated.
    """
    times = np.asarray(save_at)
    if times.ndim != 1 or times.shape[0] == 0:
        raise ValueError(f"save_at has shape {times.shape}; pass one increasing list of times")
    if not np.isfinite(times).all():
        raise ValueError(f"save_at={times.tolist()} must be finite")
    sign, turn, before, after = (1, "decrease", "before", "after")
    if backwards:
        sign, turn, before, after = (-1, "increase on the way back from t0", after, before)
    if (sign * np.diff(times) < 0).any():
        raise ValueError(f"save_at={times.tolist()} must not {turn}; sort the times")
    if t0 is None:
        return
    if not math.isfinite(t0):
        raise ValueError(f"t0={t0!r} must be one finite number")
    if times[-1] < t0 and not backwards:
        raise ValueError(
            f"save_at={times.tolist()} must not lie before t0={t0!r}; to go backwards, put -t for "
            "t and -rhs for rhs"
        )
    if sign * (times[0] - t0) < 0 or times[-1] == t0:
        raise ValueError(
            f"save_at={times.tolist()} must not begin {before} t0={t0!r}, and must end {after} it"
        )


def _shown(value: Any) -> str:
    """A value as its user would write it."""
    return repr(value.tolist() if isinstance(value, np.ndarray | np.generic) else value)


def check_name(argument: str, name: object, known: tuple[str, ...]) -> None:
    """Refuse a `name` that is not among the `known`, and suggest the closest."""
    if name in known:
        return
    hint = did_you_mean(name, known)
    raise ValueError(f"{argument}={name!r} is not known; {hint}known: {', '.join(known)}")


def check_choices(adjoint: str, adjoints: tuple[str, ...], error_norm: str, reduction: str) -> None:
    """Refuse names that a solve does not know."""
    check_name("adjoint", adjoint, adjoints)
    check_name("error_norm", error_norm, ERROR_NORMS)
    check_name("reduction", reduction, REDUCTIONS)


def check_like_state(name: str, found: Any, y0: Any) -> None:
    """Refuse what the function called `name` returned, where it is not like the state."""
    if not hasattr(found, "shape"):
        raise ValueError(f"{name} returned a {type(found).__name__}; it must return an array")
    if found.shape != y0.shape or found.dtype != y0.dtype:
        raise ValueError(
            f"{name} returned shape {tuple(found.shape)} and dtype {found.dtype}; y0 has shape "
            f"{tuple(y0.shape)} and dtype {y0.dtype}, and {name} must return the same"
        )


def check_jacobian(shape: tuple[int, ...], size: int) -> None:
    """Refuse a Jacobian of another `shape` than for a state of `size` components."""
    if shape != (size, size):
        raise ValueError(
            f"jacobian returned shape {shape}; y0 has {size} components, and jacobian must return "
            f"shape {(size, size)}"
        )


def argument_names(params: Any, args: Any) -> tuple[str, ...]:
    """How the arguments after time and state are called in a refusal."""
    if args is None:
        return () if params is None else ("params",)
    if params is not None:
        raise ValueError("params and args are both given: args are params as several arguments")
    if not isinstance(args, tuple | list):
        raise ValueError(
            f"args is a {type(args).__name__}; pass a tuple, as (a, b) for rhs(t, y, a, b)"
        )
    return tuple(f"args[{i}]" for i in range(len(args)))
