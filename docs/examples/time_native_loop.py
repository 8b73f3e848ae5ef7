"""One gradient by the native loop and by others, on one core: the table of docs/native-loop.md.

.venv/bin/python docs/examples/time_native_loop.py

All in one process, warm, each call with other parameters: bursts of calls in turn. A cell is the
median of microseconds, the quartiles, and the gradient's error against the certified one.
diffsol-jax is no dependency; it is raced where it is installed.
"""

from __future__ import annotations

import os
import sys

# Before anything counts the cores.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import importlib.util
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import torch

from adjointbench.adjoints.gradient import prepare
from adjointbench.problems import Problem, get
from adjointbench.suite.measuring import formats
from adjointbench.suite.measuring.errors import gradient_errors
from adjointbench.suite.measuring.machine import machine, versions
from adjointbench.suite.measuring.measure import ATOL_SCALE
from adjointbench.suite.measuring.timing import TimedCall, timed, timed_gradient
from adjointbench.suite.measuring.user_solve import (
    UserGradient,
    by_jax,
    by_torch,
    different_inputs,
)

PROBLEMS = (
    ("lotka_volterra", 1e-4),
    ("lotka_volterra", 1e-6),
    ("lotka_volterra", 1e-8),
    ("van_der_pol", 1e-6),
    ("robertson", 2e-7),
    ("hires", 1e-6),
    ("pollu", 1e-6),
)
BURSTS, BURST_S = 5, 0.02


def main(only: Sequence[str] = ()) -> None:
    """Print a table, a line for each problem of `only`, or for all."""
    jax.config.update("jax_enable_x64", True)
    torch.set_num_threads(1)
    print(f"| problem, rtol | {' | '.join(CALLS)} |")
    print("|---" * (len(CALLS) + 1) + "|")
    # One object a problem, for which methods compile once for all tolerances.
    problems = {name: get(name) for name, _ in PROBLEMS if not only or name in only}
    for name, rtol in PROBLEMS:
        if name in problems:
            print(f"| `{name}`, {rtol:g} | {' | '.join(cells(problems[name], rtol))} |", flush=True)
    told = versions()
    packages = ("jax", "torch", "diffrax", "torchdiffeq")
    print(f"\n{machine()['cpu']}, one core;", ", ".join(f"{p} {told[p]}" for p in packages))


def cells(problem: Problem, rtol: float) -> list[str]:
    """Of each call the median, the quartiles and the error, as text."""
    racers = {name: make(problem, rtol) for name, make in CALLS.items()}
    times = in_bursts({name: racer.call for name, racer in racers.items() if racer})
    assert problem.reference is not None
    found = []
    for name, racer in racers.items():
        if racer is None:
            found.append("–")
            continue
        low, median, high = 1e6 * np.percentile(times[name], [25, 50, 75])
        truth = problem.reference.dparams
        error = gradient_errors(racer.dparams, truth, problem.params)["error"]
        found.append(f"{median:,.0f} ({low:,.0f}–{high:,.0f}), {formats.error(error)}")
    return found


def in_bursts(calls: dict[str, TimedCall]) -> dict[str, list[float]]:
    """Seconds of each call: bursts in turn, so that each finds its own memory as it left it."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(BURSTS):
        for name, call in calls.items():
            start, number = time.perf_counter(), 0
            while number < 1 or time.perf_counter() - start < BURST_S:
                times[name].append(call(number))
                number += 1
    return times


def by_method(method: str, problem: Problem, rtol: float) -> UserGradient | None:
    """A method of the table, prepared."""
    try:
        run = prepare(problem, method, rtol=rtol, atol=rtol * ATOL_SCALE)
    except ValueError:  # It has no implicit solver.
        return None
    return UserGradient(timed_gradient(run), dict(run().dparams))


def by_diffsol_jax(problem: Problem, rtol: float) -> UserGradient | None:
    """diffsol-jax, whose forward sensitivities are those by the parameters alone."""
    if importlib.util.find_spec("diffsol_jax") is None:
        return None
    from diffsol_jax import ODEProblem  # pyright: ignore[reportMissingImports]

    ((name, value),) = problem.params.items()
    shape = np.shape(value)

    def named(p: Any) -> dict[str, Any]:
        return {name: p if shape else p[0]}

    try:
        model = ODEProblem(
            lambda t, y, p: problem.rhs(t, y, {**named(p), **problem.constants}),
            jax.numpy.asarray(problem.y0),
            jax.numpy.atleast_1d(value),
        )
    except NotImplementedError:
        return None
    options = {"ode_solver": "bdf" if problem.stiff else "tsit45", "h0": 1e-6}

    def loss(p: Any) -> Any:
        _, ys = model.solve(p, problem.save_at, rtol=rtol, atol=rtol * ATOL_SCALE, **options)
        return problem.loss(ys, named(p))

    gradient = jax.jit(jax.grad(loss))
    inputs = different_inputs(problem, jax.numpy.asarray)
    inputs = [(jax.numpy.atleast_1d(params[name]),) for params, _ in inputs]
    found = {name: np.asarray(gradient(*inputs[0])).reshape(shape)}
    return UserGradient(timed(gradient, inputs, jax.block_until_ready), found)


CALLS: dict[str, Callable[[Problem, float], UserGradient | None]] = {
    "`solve`": partial(by_jax, engine="native"),
    "`solve`, XLA": partial(by_jax, engine="xla"),
    "`jax-discrete`": partial(by_method, "jax-discrete"),
    "`native-discrete`": partial(by_method, "native-discrete"),
    "`solve`, PyTorch": partial(by_torch, engine="native"),
    "diffrax": partial(by_method, "diffrax-recursive-checkpoint"),
    "diffsol-jax": by_diffsol_jax,
    "torchdiffeq": partial(by_method, "torchdiffeq-backprop"),
}


if __name__ == "__main__":
    main(sys.argv[1:])
