"""The gradient of a random problem by a complex step through a tight solve, nothing of ours in it.

All directions are integrated together, each moved by an imaginary number: SciPy's DOP853 from one
time at which anything happens to the next, with switches thrown by hand.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from grammar import Drawn, Switch
from scipy.integrate import solve_ivp

_STEP = 1e-20


@dataclass(frozen=True)
class Truth:
    """Loss and gradient in units of the size of one, and what they are sums of.

    Attributes
    ----------
    loss : float
    slopes : dict of str to ndarray
        By each array of parameters, and by ``"y0"``.
    size : dict of str to float
        The same sums over all saves of absolute values, the largest of each array: what an error
        is compared with, as a sum may vanish.
    loss_size : float
    """

    loss: float
    slopes: dict[str, np.ndarray]
    size: dict[str, float]
    loss_size: float


def truth(problem: Drawn) -> Truth:
    """Loss and gradient."""
    values = {**problem.params, "y0": np.array(problem.y0, problem.dtype)}
    values = {name: value.astype(np.float64) for name, value in values.items()}
    moved = _moved(values)
    states = _saved(problem, moved)
    p = {name: value[:, 0].real for name, value in moved.items()}
    weights = problem.weights
    u, du = states[:, :, 0].real, states.imag / _STEP
    loss = float(problem.loss(u, {**p, "weights": weights}))
    parts = (weights * (2 * u + np.cos(u)))[:, :, None] * du
    direct = np.zeros(parts.shape[2])
    direct[: len(p["d"])] = p["d"] / 4
    slopes, size = {}, {}
    begin = 0
    for name, value in values.items():
        mine = slice(begin, begin + len(value))
        begin += len(value)
        slopes[name] = parts.sum((0, 1))[mine] + direct[mine]
        size[name] = float(np.max(np.abs(parts).sum((0, 1))[mine] + np.abs(direct[mine])))
    return Truth(loss, slopes, size, float(np.abs(weights * (u * u + np.sin(u))).sum()))


def _moved(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each array with one column a direction, in which one number of all has moved."""
    total = sum(len(value) for value in values.values())
    directions = iter(np.eye(total))
    return {
        name: np.array([number + 1j * _STEP * next(directions) for number in value])
        for name, value in values.items()
    }


def _saved(problem: Drawn, p: dict[str, np.ndarray]) -> np.ndarray:
    """The states at the saves, by component and direction."""
    unit = problem.time_unit
    saves = [problem.time(at) / unit for at in problem.saves]
    jumps = [problem.time(at) / unit for at in problem.jumps]
    stops = [float(problem.dtype(t)) / unit for t in problem.discontinuities]
    start, end = problem.time(0) / unit, saves[-1]
    times = sorted(t for t in {start, *saves, *jumps, *stops} if t <= end)
    u, found = p["y0"], {}
    for t, after in itertools.zip_longest(times, times[1:]):
        for i in (i for i, at in enumerate(jumps) if at == t):
            u = problem.jumped(i, np.float64(t), u, p)
        found[t] = u
        if after is not None:
            u = _solved(problem, t, after, u, p)
    return np.stack([found[t] for t in saves])


def _solved(
    problem: Drawn, start: float, end: float, u: np.ndarray, p: dict[str, np.ndarray]
) -> np.ndarray:
    """The state at `end`; between the two nothing happens."""

    def factor(switch: Switch) -> float:
        return switch.factor if start >= problem.time(switch.eighth) / problem.time_unit else 1.0

    def rhs(x: float, flat: np.ndarray) -> np.ndarray:
        return np.concatenate(problem.slopes(np.asarray(x), flat.reshape(u.shape), p, factor))

    tight = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-14}
    return solve_ivp(rhs, (start, end), u.ravel(), **tight).y[:, -1].reshape(u.shape)
