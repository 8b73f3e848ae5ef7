"""Warm times of a prepared gradient and of its primal solve."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NotRequired, TypedDict

import numpy as np

from ...adjoints.gradient import Run

#: Calls of one timing, at least and at most.
FEWEST_CALLS, MOST_CALLS = 5, 200

#: Past so many budgets even the fewest calls are too many.
LONGEST = 10

#: Relative change of the parameters from one call to the next, where the dtype can tell it.
NUDGE = 1e-9

#: Backends whose arrays are NumPy's.
ON_NUMPY = ("scipy", "native")

#: Takes the number of the call, which picks slightly different parameters; returns its seconds.
TimedCall = Callable[[int], float]

#: Makes the context in which times are taken.
Silence = Callable[[], AbstractContextManager[Any]]


class Times(TypedDict):
    """Warm times in seconds."""

    #: Of one gradient: the median and the quartiles, and how many times they are of.
    seconds: float
    seconds_low: float
    seconds_high: float
    calls: int
    #: Of one primal solve, the median; and that of gradient over primal, pair by pair.
    primal_seconds: NotRequired[float]
    ratio: NotRequired[float]


def time_run(
    run: Run, budget_s: float = 0.2, silence: Silence = nullcontext, *, primal: bool = True
) -> Times:
    """Warm times of one gradient and one primal solve, taken in turn.

    Gradient and primal alternate, so that a machine that slows down for a while slows both, and
    the parameters change a little from call to call, so that nothing can be answered from
    memory. The clock stops when the results are there.

    Parameters
    ----------
    run : Run
        From :func:`adjointbench.prepare`.
    budget_s : float
        Seconds to spend, the two together; at least five calls are made of each, fewer where
        they take very long.
    silence : callable
        Makes the context in which times are taken, after compiling and warming up.
    primal : bool
        Time the primal solve as well.
    """
    calls = [timed_gradient(run)]
    if primal and (other := timed_primal(run)) is not None:
        calls.append(other)
    with silence():
        gradients, *primals = in_turn(calls, budget_s)
    low, median, high = np.percentile(gradients, [25, 50, 75])
    found: Times = {
        "seconds": float(median),
        "seconds_low": float(low),
        "seconds_high": float(high),
        "calls": len(gradients),
    }
    for times in primals:
        found["primal_seconds"] = float(np.median(times))
        found["ratio"] = float(np.median(gradients / times))
    return found


def in_turn(calls: Sequence[TimedCall], budget_s: float) -> np.ndarray:
    """Times of each call, one row each: a round after the other, until the budget is spent."""
    rounds: list[list[float]] = []
    spent = 0.0
    while len(rounds) < MOST_CALLS:
        rounds.append([call(len(rounds)) for call in calls])
        spent += sum(rounds[-1])
        enough = spent > budget_s and len(rounds) >= FEWEST_CALLS
        if enough or spent > LONGEST * budget_s:
            break
    return np.array(rounds).T


def timed_gradient(run: Run) -> TimedCall:
    """The compiled gradient on backend arrays, warmed up."""
    return _timed(run, run.compiled)


def timed_primal(run: Run) -> TimedCall | None:
    """The compiled loss on backend arrays, warmed up.

    ``None`` where a compiled method does not offer it: ``run.primal`` checks and converts its
    arguments, which would be most of the time of a small problem.
    """
    compiled = getattr(run, "compiled_primal", None)
    if compiled is None and run.settings.method.backend in ON_NUMPY:
        compiled = run.primal
    return None if compiled is None else _timed(run, compiled)


def _timed(run: Run, function: Callable[[Any, Any], Any]) -> TimedCall:
    return timed(function, [inputs_of(run, call) for call in range(8)], _wait(run), warm_ups=1)


def timed(
    function: Callable[..., Any],
    inputs: Sequence[tuple[Any, ...]],
    wait: Callable[[Any], Any] = lambda result: result,
    *,
    warm_ups: int | None = None,
) -> TimedCall:
    """`function` on one of its inputs after the other, warmed up.

    Parameters
    ----------
    function : callable
    inputs : sequence of tuple
        Arguments, different ones from call to call.
    wait : callable
        Called on a result before the clock stops.
    warm_ups : int, optional
        On how many of the inputs, the last ones, it is called before; on all by default.
    """
    for arguments in inputs if warm_ups is None else inputs[-warm_ups:]:
        wait(function(*arguments))

    def call(number: int) -> float:
        arguments = inputs[number % len(inputs)]
        start = time.perf_counter()
        wait(function(*arguments))
        return time.perf_counter() - start

    return call


def inputs_of(run: Run, call: int) -> tuple[Any, Any]:
    """Parameters and start value as arrays of the method's own framework, on its device.

    Each `call` has slightly different parameters.
    """
    problem = run.problem
    factor = 1.0 + call * max(NUDGE, 4 * np.finfo(problem.dtype).eps)
    params = {k: np.asarray(v * factor, problem.dtype) for k, v in problem.params.items()}
    place = _PLACE[run.settings.method.backend]
    return place(run, params), place(run, problem.y0)


def _wait(run: Run) -> Callable[[Any], Any]:
    """What to call on a result before the clock stops."""
    if run.settings.method.backend == "jax":
        import jax

        return jax.block_until_ready
    if run.settings.method.backend == "torch" and run.settings.device != "cpu":
        import torch

        return lambda result: torch.cuda.synchronize()
    return lambda result: result


def _on_jax(run: Run, value: Any) -> Any:
    import jax

    kind, _, index = run.settings.device.partition(":")
    device = jax.devices("cpu" if kind == "cpu" else "gpu")[int(index or 0)]
    with jax.enable_x64(True):
        return jax.device_put(value, device)


def _on_torch(run: Run, value: Any) -> Any:
    import torch

    device = run.settings.device.replace("gpu", "cuda")
    if isinstance(value, dict):
        return {name: torch.as_tensor(array, device=device) for name, array in value.items()}
    return torch.as_tensor(value, device=device)


_PLACE = {
    "jax": _on_jax,
    "torch": _on_torch,
    **dict.fromkeys(ON_NUMPY, lambda run, value: value),
}
