"""What pathwise gradients are judged by: closed forms, or the open solver in very small steps."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ....problems import stochastic
from ....problems.stochastic import SampledPath, SdeProblem
from ..errors import gradient_errors, relative_error
from ..names import split_name
from .sde_given_path import QUICKLY_COMPILED, increment
from .sde_ways import way

#: From which the one path of all errors is drawn.
NUMBER = 20

#: Intervals of the grid on which a closed form reads the path, for each unit of time.
GRID = 2**11

#: Intervals that are read at once.
PART = 2**10

#: Steps of the solvers that stand in for a closed form; they have to agree.
FINE = 2.0**-12
STAND_INS = ("jax-discrete(solver=sosri2, step={})", "jax-discrete(solver=sriw1, step={})")


@dataclass(frozen=True)
class Truth:
    """Gradients and last states on the given path, each path with parameters of its own.

    `agreement` is how far another grid, or another solver, is from the gradient.
    """

    params: dict[str, np.ndarray]
    dparams: Mapping[str, np.ndarray]
    dy0: np.ndarray
    end: np.ndarray
    agreement: float


@functools.cache
def get_sde(name: str) -> SdeProblem:
    """The stochastic problem that `name` names, with its settings; the same one at each call."""
    bare, settings = split_name(name)
    return stochastic.get(bare, **settings)


def parameters_a_path(problem: SdeProblem) -> dict[str, np.ndarray]:
    """The parameters with an axis of paths before their own."""
    paths = len(problem.y0)
    return {
        name: np.tile(value.reshape(value.shape or (1,)), (paths, *(1,) * max(value.ndim, 1)))
        for name, value in problem.params.items()
    }


@functools.cache
def truth_of(name: str) -> Truth:
    """The truth of a problem of the study, once a process."""
    problem = get_sde(name)
    params = parameters_a_path(problem)
    if problem.exact is None:
        return _by_fine_steps(problem, params)
    paths = sampled_paths(problem, (GRID // 2, GRID))
    found = [problem.exact(params, problem.y0, path) for path in paths]
    coarse, fine = (each.dparams for each in found)
    agreement = gradient_errors(coarse, fine, params)["error"]
    return Truth(params, fine, found[1].dy0, found[1].ys[-1], agreement)


def _by_fine_steps(problem: SdeProblem, params: dict[str, np.ndarray]) -> Truth:
    found, other = (
        way(problem, text.format(FINE)).on_given_path(params, problem.y0, NUMBER)
        for text in STAND_INS
    )
    agreement = max(
        gradient_errors(other.dparams, found.dparams, params)["error"],
        relative_error(other.ys[-1], found.ys[-1]),
    )
    return Truth(params, found.dparams, found.dy0, found.ys[-1], agreement)


def sampled_paths(
    problem: SdeProblem, grids: Sequence[int], number: int = NUMBER
) -> list[SampledPath]:
    """The path of a `number` on grids of so many intervals for each unit of time."""
    import jax

    t0, t1 = problem.t_span
    with jax.enable_x64(True):
        key = jax.random.key(number)
        # One after the other: side by side they take long to compile.
        read = jax.jit(
            partial(jax.lax.map, lambda at: increment(problem, key, *at)),
            compiler_options=QUICKLY_COMPILED,
        )
        return [
            _read(read, np.linspace(t0, t1, round(intervals * (t1 - t0)) + 1))
            for intervals in grids
        ]


def _read(read: Callable[..., Any], times: np.ndarray) -> SampledPath:
    """What `read` gives on all intervals, in parts of one length, for which it is compiled."""
    parts = (len(times) - 1) // math.gcd(len(times) - 1, PART)
    intervals = (np.split(ends, parts) for ends in (times[:-1], times[1:]))
    found = [read(part) for part in zip(*intervals, strict=True)]
    w, area = (np.concatenate(part) for part in zip(*found, strict=True))
    return SampledPath(times, w, area)
