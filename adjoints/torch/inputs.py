"""What a solve is given, checked: start value, times, steps and tolerances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch

from ..arguments import REAL_DTYPES, as_real, check_times, listed, number, tolerance
from .device import dtype_name
from .state import Tensors
from .transforms import by_lane, carries_derivative, is_batched, is_differentiated, unwrapped


class Times(NamedTuple):
    """Start and save times: as tensors that may carry derivatives, and as numbers.

    All are rounded to the dtype of the solve; ``saves`` does not decrease: of a solve that goes
    ``backwards`` these are the times with their signs turned. ``wanted`` tells, for start and
    saves, whether a derivative by them may be asked for. Where ``own``, they differ from lane to
    lane under ``vmap``: ``start`` is then the first, and ``saves`` are the last, of all.
    """

    t0: torch.Tensor
    save_at: torch.Tensor
    start: float
    saves: np.ndarray
    wanted: tuple[bool, bool]
    backwards: bool = False
    own: bool = False

    @property
    def inner(self) -> int:
        """How many save times lie before the end; with times of their own, at most."""
        if self.own:
            return len(self.saves) - 1
        return int((self.saves < self.saves[-1]).sum())


def checked_state(y0: Any, name: str = "y0", like: torch.Tensor | None = None) -> torch.Tensor:
    """A start value in float32 or float64; integers take the dtype of `like`, or the default."""
    try:
        state = torch.as_tensor(y0)
    except (TypeError, ValueError, RuntimeError):
        as_real(name, y0)
        raise
    dtype = torch.get_default_dtype() if like is None else like.dtype
    if state.dtype in (torch.float32, torch.float64):
        return state.to(dtype) if like is not None and isinstance(y0, float) else state
    if state.is_floating_point() or state.is_complex() or state.dtype == torch.bool:
        raise ValueError(f"{name} has dtype {dtype_name(state)}; {REAL_DTYPES}")
    return state.to(dtype)


def check_params(leaves: Tensors) -> None:
    """Refuse parameters that would silently get no gradient."""
    for leaf in leaves:
        if leaf.is_complex():
            raise ValueError(f"params has a tensor of dtype {dtype_name(leaf)}; {REAL_DTYPES}")


def checked_times(t0: Any, save_at: Any, like: torch.Tensor) -> Times:
    """Start and save times in the dtype and on the device of `like`."""
    # PyTorch's default for numbers may be single precision.
    start = t0
    if not isinstance(t0, torch.Tensor):
        start = torch.tensor(number("t0", t0), dtype=torch.float64)
    saves = _stacked("save_at", save_at)
    if start.ndim != 0:
        raise ValueError(f"t0 has shape {tuple(start.shape)}; pass one number")
    start, saves = (x.to(dtype=like.dtype, device=like.device) for x in (start, saves))
    own = is_batched(start) or is_batched(saves)
    starts, ends = (_of_lanes(x) if own else number_of(x)[None] for x in (start, saves))
    backwards = _direction(starts, ends)
    _check_lanes(starts, ends, backwards=backwards)
    wanted = (is_wanted(t0), is_wanted(save_at))
    if backwards:
        start, saves, starts, ends = -start, -saves, -starts, -ends
    return Times(start, saves, float(starts.min()), ends.max(axis=0), wanted, backwards, own)


def _of_lanes(times: torch.Tensor) -> np.ndarray:
    """The times of every lane under ``vmap``, along the first axis."""
    plain, axes = by_lane(times.detach())
    values = np.array(plain.tolist(), dtype_name(times))
    count = int(np.prod([plain.shape[axis] for axis in axes]))
    return np.moveaxis(values, axes, range(len(axes))).reshape(count, *times.shape)


def _direction(starts: np.ndarray, ends: np.ndarray) -> bool:
    """Whether the solve goes backwards; lanes that differ are refused."""
    if ends.ndim != 2 or not ends.shape[1]:
        return False
    last = ends[:, -1]
    back = last < starts if len(starts) == len(last) else last[None] < starts[:, None]
    if back.any() and not back.all():
        raise ValueError(
            "save_at ends before t0 in some lanes and after it in others; solve them apart"
        )
    return bool(back.all())


def _check_lanes(starts: np.ndarray, ends: np.ndarray, *, backwards: bool) -> None:
    """Refuse times that make no sense in any lane."""
    count = max(len(starts), len(ends))
    if len(starts) == len(ends) or min(len(starts), len(ends)) == 1:
        pairs = [(i % len(starts), i % len(ends)) for i in range(count)]
    else:
        pairs = [(i, j) for i in range(len(starts)) for j in range(len(ends))]
    for i, j in pairs:
        check_times(ends[j], float(starts[i]), backwards=backwards)


def is_wanted(times: Any) -> bool:
    """Whether a derivative by times may be asked for: by numbers it can't be."""
    if isinstance(times, list | tuple):
        return any(map(is_wanted, times))
    if not isinstance(times, torch.Tensor):
        return False
    return is_differentiated(times) or carries_derivative(times)


def _stacked(argument: str, times: Any) -> torch.Tensor:
    """Times as a tensor; a list may have tensors in it."""
    if isinstance(times, torch.Tensor):
        return times
    if isinstance(times, list | tuple) and any(isinstance(t, torch.Tensor) for t in times):
        return torch.stack([torch.as_tensor(t, dtype=torch.float64) for t in times])
    return torch.from_numpy(np.array(as_real(argument, times)))


def checked_steps(
    steps: Any, like: torch.Tensor, *, backwards: bool
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Starts and sizes of given steps, in the direction of the solve."""
    if steps is None:
        return None
    parts = listed("steps", steps)
    if len(parts) != 2:
        raise ValueError(f"steps has {len(parts)} parts; pass (t, h), as solution.steps gives them")
    starts, sizes = (held("steps", x, like) for x in parts)
    if starts.ndim != 1 or starts.shape != sizes.shape:
        raise ValueError(
            f"steps has shapes {tuple(starts.shape)} and {tuple(sizes.shape)}; pass two lists of "
            "one length, (t, h)"
        )
    return (-starts, -sizes) if backwards else (starts, sizes)


def checked_tolerance(argument: str, value: Any, like: torch.Tensor) -> torch.Tensor:
    """A tolerance as a tensor: one number, or one for each component of `like`."""
    _refuse_derivative(argument, value)
    number = number_of(value) if isinstance(value, torch.Tensor) else value
    tolerance(argument, number, tuple(like.shape), dtype_name(like))
    return held(argument, value, like)


def checked_stops(argument: str, times: Iterable[Any], *, backwards: bool) -> tuple[float, ...]:
    """Times that are held fixed, as numbers, in the direction of the solve."""
    found = listed(argument, times)
    for t in found:
        _refuse_derivative(argument, t)
    return tuple(-float(t) if backwards else float(t) for t in found)


def held(argument: str, value: Any, like: torch.Tensor) -> torch.Tensor:
    """`value`, which is not differentiated, in the dtype and on the device of `like`."""
    _refuse_derivative(argument, value)
    if not isinstance(value, torch.Tensor):
        value = torch.from_numpy(np.array(as_real(argument, value)))
    # A transform wraps even what is made inside it; none of this is transformed. The reverse pass
    # reads it too, whatever its owner has written there by then.
    return unwrapped(value.detach().to(dtype=like.dtype, device=like.device, copy=True))


def number_of(tensor: torch.Tensor) -> np.ndarray:
    """The numbers of a tensor, in whatever transforms it is."""
    # By a list, as inside a transform no tensor has an array.
    dtype = dtype_name(tensor)
    return np.array(unwrapped(tensor.detach()).tolist(), dtype)


def _refuse_derivative(argument: str, value: Any) -> None:
    """Refuse a tensor whose gradient would silently be left out."""
    refuse_lanes(argument, value)
    if isinstance(value, torch.Tensor) and carries_derivative(value):
        raise ValueError(f"{argument} is not differentiated here, and requires grad; detach it")


def refuse_lanes(argument: str, value: Any) -> None:
    """Refuse a tensor that differs from lane to lane, or a list with one."""
    if isinstance(value, list | tuple):
        for part in value:
            refuse_lanes(argument, part)
    if isinstance(value, torch.Tensor) and is_batched(value):
        raise ValueError(
            f"{argument} differs from lane to lane under vmap; call solve once for each instead"
        )
