"""Steps of one size from stop to stop, for any solver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ..arguments import positive, positive_int
from ..steps.acceptance import STRETCH_GIVEN
from ..steps.stops import Stops
from .inputs import Times, held

Steps = tuple[torch.Tensor, torch.Tensor]

#: More steps would take hours, and are a slip.
MOST = 10_000_000


def constant_steps(
    step_size: Any, number_of_steps: Any, times: Times, stops: Stops, like: torch.Tensor
) -> Steps | None:
    """Starts and sizes of steps from the start to the end; ``None`` where none are asked for.

    Parameters
    ----------
    step_size, number_of_steps : optional
        One of both. Before a stop, and at the end, a step is shortened.
    times, stops, like
        Of the solve.
    """
    if step_size is None and number_of_steps is None:
        return None
    if step_size is not None and number_of_steps is not None:
        raise ValueError("step_size and number_of_steps are both given; pass one of them")
    span = float(times.saves[-1]) - times.start
    if number_of_steps is not None:
        size = span / positive_int("number_of_steps", number_of_steps)
    else:
        size = positive("step_size", step_size)
    if span / size > MOST:
        raise ValueError(f"{span / size:g} constant steps are too many; take at most {MOST:g}")
    starts, sizes = (np.concatenate(x) for x in zip(*_pieces(size, times, stops), strict=True))
    return held("steps", starts, like), held("steps", sizes, like)


def _pieces(size: float, times: Times, stops: Stops) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Starts and sizes between each two stops; a last step as short as rounding is none."""
    start = times.start
    for end in stops.times[stops.first :]:
        count = max(1, int(np.ceil((end - start) / size - (STRETCH_GIVEN - 1))))
        starts = start + size * np.arange(count)
        sizes = np.full(count, size)
        sizes[-1] = end - starts[-1]
        yield starts, sizes
        start = end
