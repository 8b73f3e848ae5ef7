"""The functions of a problem, called once: what they must return, and the sentences that say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .functions import ARRAY_API, adapted

#: What a shape must be, in words.
LIKE_Y0, A_SCALAR = "the shape of y0", "a scalar: sum over all axes"


def checked_functions(
    functions: Mapping[str, Any],
    *,
    t0: float,
    y0: np.ndarray,
    p: Mapping[str, np.ndarray],
    n_saves: int,
    jump_times: Sequence[float],
    of_loss: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Call every function of a problem once on NumPy arrays; refuse what does not fit.

    Parameters
    ----------
    functions : mapping of str to callable or None
        ``rhs``, ``loss``, ``jacobian``, ``jump`` and ``exact``.
    t0, y0, p, n_saves, jump_times
        What they are called with.
    of_loss : mapping of str to ndarray
        What the loss finds in ``p`` besides.

    Returns
    -------
    dict of str to callable or None
        The same functions; :class:`Adapted` where they are not written for arrays of any kind.
    """
    _check_given(functions, jump_times)
    known = dict(functions)

    def check(name: str, shape: tuple[int, ...], meaning: str, *arguments: Any) -> None:
        known[name] = checked_function(name, known[name], shape, meaning, y0.dtype, *arguments)

    def at(time: float) -> tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray]]:
        return np.asarray(time, dtype=y0.dtype), y0, p

    check("rhs", y0.shape, LIKE_Y0, *at(t0))
    check("loss", (), A_SCALAR, np.stack([y0] * n_saves), {**p, **of_loss})
    if known["jacobian"] is not None:
        check("jacobian", (y0.size, y0.size), "(n, n) with n = y0.size", *at(t0))
    for i, time in enumerate(jump_times):
        check("jump", y0.shape, LIKE_Y0, i, *at(time))
    return known


def checked_function(
    name: str,
    function: Any,
    shape: tuple[int, ...],
    meaning: str,
    dtype: np.dtype,
    *arguments: Any,
) -> Any:
    """The function `name`, called once; refused where its output is not of `shape` and `dtype`.

    `meaning` says what the shape is.
    """
    check_function(name, function)
    made, found = adapted(name, function, *arguments)
    _check_output(name, found, shape, meaning, dtype)
    return made


def check_function(name: str, function: Any) -> None:
    """Refuse what cannot be called."""
    if not callable(function):
        raise ValueError(f"{name}={function!r} must be a function")


def _check_given(functions: Mapping[str, Any], jump_times: Sequence[float]) -> None:
    """Refuse what is no function, and jumps without times or times without a jump."""
    for name, function in functions.items():
        if function is not None or name in ("rhs", "loss"):
            check_function(name, function)
    jump = functions["jump"]
    if (jump is None) != (not jump_times):
        given, missing = ("jump_times", "jump") if jump is None else ("jump", "jump_times")
        raise ValueError(f"{given} is given without {missing}; pass both or neither")


def _check_output(
    argument: str, out: Any, shape: tuple[int, ...], meaning: str, dtype: np.dtype
) -> None:
    if not isinstance(out, np.ndarray | np.generic):
        raise ValueError(
            f"{argument} returned a {type(out).__name__}, not a NumPy array, for NumPy arrays; "
            f"{ARRAY_API}"
        )
    if out.shape != shape:
        raise ValueError(f"{argument} returned shape {out.shape}; it must be {shape}, {meaning}")
    if out.dtype != dtype:
        raise ValueError(
            f"{argument} returned dtype {out.dtype} for a problem in {dtype}; make its arrays with "
            "xp.asarray(value, dtype=y.dtype), or pass them in constants"
        )
