"""``Entry``: a small problem whose solution, and so gradient, is known in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from adjointbench import Problem

Array = Any
Params = Mapping[str, Array]

#: Far below rounding: the error of a complex step is of second order.
_STEP = 1e-60


@dataclass(frozen=True)
class Entry:
    """A problem with its solution, a formula that takes complex numbers too.

    Attributes
    ----------
    problem : Problem
    solution : callable
        ``solution(t, p, y0)``, the state at time ``t``; after the jump where there is one.
    unit : float
        The size of the state, by which the absolute tolerance is multiplied.
    rtol : float
        What to solve it with.
    rich : bool
        Whether it has the traits of many others in one. Methods that compile for seconds a
        problem see these in the short run, and the others in the long one.
    """

    problem: Problem
    solution: Callable[[float, Params, Array], Array]
    unit: float = 1.0
    rtol: float = 1e-6
    rich: bool = False

    def gradient(self) -> tuple[float, dict[str, np.ndarray], np.ndarray]:
        """Loss and gradient: the derivative of the formula by a complex step."""
        problem = self.problem
        inputs = {name: np.asarray(p, np.float64) for name, p in problem.params.items()}
        inputs["y0"] = problem.y0.astype(np.float64)

        def slopes(name: str) -> np.ndarray:
            found = np.empty(inputs[name].shape)
            for index in np.ndindex(found.shape):
                moved = inputs[name].astype(complex)
                moved[index] += 1j * _STEP
                found[index] = self._loss({**inputs, name: moved}).imag / _STEP
            return found

        dparams = {name: slopes(name) for name in problem.params}
        return self._loss(inputs).real, dparams, slopes("y0")

    def _loss(self, inputs: Params) -> complex:
        p = {**inputs, **self.problem.constants}
        y0 = p.pop("y0")
        ys = np.stack([self.solution(t, p, y0) for t in self.problem.save_at.tolist()])
        return complex(self.problem.loss(ys, p))


def entry(
    solution: Callable[..., Array],
    *,
    unit: float = 1.0,
    rtol: float = 1e-6,
    rich: bool = False,
    **arguments: Any,
) -> Entry:
    """An entry; the other arguments are those of ``Problem`` where these defaults do not fit."""
    usual = {"t_span": (0.0, 2.0), "loss": lambda ys, p: (ys**2).sum()}
    return Entry(Problem(**{**usual, **arguments}), solution, unit, rtol, rich)


def where(condition: Array, like: Array, yes: Any, no: Any) -> Array:
    """`yes` or `no`, in the shape and dtype of `like`."""
    xp = array_namespace(like)
    one = xp.ones_like(like)
    return xp.where(condition, yes * one, no * one)


def forced(t: float, since: float, y: Array, a: Array, w: Array, k: Array) -> Array:
    """The solution of ``y' = a cos(w t) - k y`` at `t` that is `y` at the time `since`."""

    def moved(t: float) -> Array:
        return a * (k * np.cos(w * t) + w * np.sin(w * t)) / (k**2 + w**2)

    return moved(t) + (y - moved(since)) * np.exp(-k * (t - since))
