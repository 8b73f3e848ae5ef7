"""Any call as one that can be timed in turn with others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ..timing import TimedCall


def timed(
    function: Callable[..., Any],
    inputs: Sequence[tuple[Any, ...]],
    wait: Callable[[Any], Any] = lambda result: result,
) -> TimedCall:
    """`function` on one of its inputs after the other, warmed up on all of them.

    Parameters
    ----------
    function : callable
    inputs : sequence of tuple
        Arguments, different ones from call to call.
    wait : callable
        Called on a result before the clock stops.
    """
    for arguments in inputs:
        wait(function(*arguments))

    def call(number: int) -> float:
        arguments = inputs[number % len(inputs)]
        start = time.perf_counter()
        wait(function(*arguments))
        return time.perf_counter() - start

    return call
