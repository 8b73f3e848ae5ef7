"""Problems that stop where parameters or states say so, and their losses in closed form.

A closed form takes complex parameters and start values: its derivative is a complex step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace

import adjointbench as ab

STEP = 1e-30


@dataclass(frozen=True)
class Case:
    """A problem, and its loss as a function of parameters and start value."""

    problem: ab.Problem
    loss: Callable[[dict[str, Any], np.ndarray], Any]

    def exact(
        self, params: dict[str, Any] | None = None
    ) -> tuple[float, dict[str, np.ndarray], np.ndarray]:
        """Loss and gradient, at other parameters if there are any."""
        problem = self.problem
        p = {**problem.params, **{k: np.asarray(v) for k, v in (params or {}).items()}}
        dparams = {name: _slopes(lambda v, n=name: self.loss({**p, n: v}, problem.y0), value)
                   for name, value in p.items()}  # fmt: skip
        dy0 = _slopes(lambda y0: self.loss(p, y0), problem.y0)
        return float(np.real(self.loss(p, problem.y0))), dparams, dy0

    def largest_error(
        self, found: ab.GradientResult, params: dict[str, Any] | None = None
    ) -> float:
        """The largest relative error of one component of the gradient, or of the loss."""
        assert found.status == "ok", (found.status, found.message)
        loss, dparams, dy0 = self.exact(params)
        pairs = [(np.asarray(found.loss), np.asarray(loss)), (found.dy0, dy0)]
        pairs += [(found.dparams[name], dparams[name]) for name in dparams]
        sizes = [np.where(b == 0, 1.0, np.abs(b)) for _, b in pairs]
        return max(float(np.max(np.abs(a - b) / s)) for (a, b), s in zip(pairs, sizes, strict=True))


def _slopes(function: Callable[[np.ndarray], Any], x: np.ndarray) -> np.ndarray:
    found = [
        np.imag(function(x + 1j * STEP * unit.reshape(x.shape))) / STEP for unit in np.eye(x.size)
    ]
    return np.array(found, dtype=float).reshape(x.shape)


def chosen(condition, y, a, b):
    """`a` or `b` in the namespace of `y`."""
    return array_namespace(y).where(condition, a + 0 * y, b + 0 * y)


def components(*parts):
    """One vector of scalars."""
    return array_namespace(parts[0]).stack(list(parts))


def squares(ys, p):
    """A loss."""
    return (ys**2).sum()


def _squares_of(solution, save_at):
    return lambda p, y0: sum((solution(t, p, y0) ** 2).sum() for t in save_at)


def switch() -> Case:
    """y' = -k y + u, where u is a before tau and b from then on."""
    save_at = [0.5, 1.2, 2.0]

    def solution(t, p, y0):
        def after(s, y, u):
            return y * np.exp(-p["k"] * s) + u / p["k"] * (1 - np.exp(-p["k"] * s))

        if t <= np.real(p["tau"]):
            return after(t, y0, p["a"])
        return after(t - p["tau"], after(p["tau"], y0, p["a"]), p["b"])

    problem = ab.Problem(
        name="switch",
        rhs=lambda t, y, p: chosen(t < p["tau"], y, p["a"], p["b"]) - p["k"] * y,
        y0=[0.5],
        params={"k": 0.7, "a": 1.0, "b": -2.0, "tau": 0.8},
        t_span=(0.0, 2.0),
        save_at=save_at,
        loss=squares,
        discontinuities=("tau",),
    )
    return Case(problem, _squares_of(solution, save_at))


def lag_time(doses: int = 3) -> Case:
    """Absorption of doses that are given at a lag time, and then at an interval."""
    save_at = [0.25, 0.9, 2.0, 3.0]

    def solution(t, p, y0):
        ka, k = p["ka"], p["k"]

        def after(s, gut, blood):
            fast, slow = np.exp(-ka * s), np.exp(-k * s)
            return np.stack([gut * fast, blood * slow + gut * ka / (ka - k) * (slow - fast)])

        times = [p["lag"] + j * p["interval"] for j in range(doses)]
        given = [after(t - time, p["dose"], 0.0) for time in times if 0 < np.real(time) <= t]
        return after(t, *y0) + sum(given)

    problem = ab.Problem(
        name="lag time",
        rhs=lambda t, y, p: components(-p["ka"] * y[0], p["ka"] * y[0] - p["k"] * y[1]),
        y0=[0.2, 0.1],
        params={"ka": 1.3, "k": 0.4, "dose": 2.0, "lag": 0.35, "interval": 1.1},
        t_span=(0.0, 3.0),
        save_at=save_at,
        loss=squares,
        jump_times=lambda p: [p["lag"] + j * p["interval"] for j in range(doses)],
        jump=lambda i, t, y, p: components(y[0] + p["dose"], y[1]),
    )
    return Case(problem, _squares_of(solution, save_at))


def dose_and_switch() -> Case:
    """At one time, tau, a dose is given and the clearance changes."""
    save_at = [0.5, 1.2, 2.0]

    def solution(t, p, y0):
        k, tau = p["k"], p["tau"]
        if t < np.real(tau):
            return y0 * np.exp(-k * t)
        return (y0 * np.exp(-k * tau) + p["dose"]) * np.exp(-2.5 * k * (t - tau))

    problem = ab.Problem(
        name="dose and switch",
        rhs=lambda t, y, p: -p["k"] * y * chosen(t < p["tau"], y, 1.0, 2.5),
        y0=[0.5],
        params={"k": 0.7, "dose": 1.0, "tau": 0.8},
        t_span=(0.0, 2.0),
        save_at=save_at,
        loss=squares,
        discontinuities=("tau",),
        jump_times=("tau",),
        jump=lambda i, t, y, p: y + p["dose"],
    )
    return Case(problem, _squares_of(solution, save_at))


def bouncing_ball(bounces: int = 4, t1: float = 3.0, max_events: int = 10) -> Case:
    """A ball that loses a part of its speed at each bounce; the loss knows when it bounced."""
    save_at = [0.3, 1.0, 2.0, t1]

    def loss_of(p, y0):
        g, (height, speed) = p["g"], y0
        fall = np.sqrt(speed * speed + 2 * g * height)
        times, speeds = [(speed + fall) / g], [fall * p["e"]]
        while np.real(times[-1]) < t1:
            times.append(times[-1] + 2 * speeds[-1] / g)
            speeds.append(speeds[-1] * p["e"])
        total = sum(time**2 for time in times[:bounces])
        for t in save_at:
            k = sum(np.real(time) < t for time in times)
            start = (height, speed, t) if k == 0 else (0.0, speeds[k - 1], t - times[k - 1])
            h, v, s = start
            total = total + (h + v * s - g * s * s / 2) ** 2 + (v - g * s) ** 2
        return total

    problem = ab.Problem(
        name="bouncing ball",
        rhs=lambda t, y, p: components(y[1], 0 * y[1] - p["g"]),
        y0=[1.0, 0.4],
        params={"g": 9.81, "e": 0.9},
        t_span=(0.0, t1),
        save_at=save_at,
        loss=lambda ys, p: squares(ys, p) + (p["event_times"][:bounces] ** 2).sum(),
        events=[
            ab.Event(
                when=lambda t, y, p: y[0],
                jump=lambda t, y, p: components(0 * y[0], -p["e"] * y[1]),
                direction=-1,
            )
        ],
        max_events=max_events,
    )
    return Case(problem, loss_of)


def threshold_dose(stiff: bool = False) -> Case:
    """A dose is given each time the amount has fallen to a threshold."""
    save_at = [0.4, 1.7, 2.5, 4.0]

    def loss_of(p, y0):
        k, low, dose = p["k"], p["low"], p["dose"]
        first = np.log(y0[0] / low) / k
        period = np.log((low + dose) / low) / k
        total = 0.3 * first + 0.1 * (first + period)
        for t in save_at:
            n = int(np.floor(np.real((t - first) / period))) + 1
            amount = y0[0] * np.exp(-k * t)
            if n > 0:
                amount = (low + dose) * np.exp(-k * (t - first - (n - 1) * period))
            total = total + amount**2
        return total

    problem = ab.Problem(
        name="threshold dose",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=[1.5],
        params={"k": 0.8, "low": 0.5, "dose": 1.1},
        t_span=(0.0, 4.0),
        save_at=save_at,
        loss=lambda ys, p: squares(ys, p) + 0.3 * p["event_times"][0] + 0.1 * p["event_times"][1],
        events=ab.Event(
            when=lambda t, y, p: y[0] - p["low"],
            jump=lambda t, y, p: y + p["dose"],
            direction=-1,
        ),
        stiff=stiff,
    )
    return Case(problem, loss_of)


def falling_stone() -> Case:
    """A stone that falls with drag until it hits the ground, where it stays: y'' = g - c y'."""

    def loss_of(p, y0):
        g, c, (height, speed) = p["g"], p["c"], y0
        terminal = g / c

        def fallen(t):
            return terminal * t - (terminal - speed) * (1 - np.exp(-c * t)) / c

        time = np.asarray(0.8, dtype=complex)
        for _ in range(60):  # Newton's method, in the complex plane as well
            velocity = terminal - (terminal - speed) * np.exp(-c * time)
            time = time - (fallen(time) - height) / velocity
        velocity = terminal - (terminal - speed) * np.exp(-c * time)
        return time + 0.1 * (height - fallen(0.2)) ** 2 + 0.01 * velocity**2

    problem = ab.Problem(
        name="falling stone",
        rhs=lambda t, y, p: components(-y[1], p["g"] - p["c"] * y[1]),
        y0=[5.0, 0.3],
        params={"g": 9.81, "c": 0.5},
        t_span=(0.0, 4.0),
        save_at=[0.2, 3.0, 4.0],
        loss=lambda ys, p: p["event_times"][0] + 0.1 * ys[0, 0] ** 2 + 0.01 * ys[2, 1] ** 2,
        events=ab.Event(when=lambda t, y, p: y[0], direction=-1, terminal=True),
    )
    return Case(problem, loss_of)


def relay() -> Case:
    """A thermostat: the mode is a component that flips at either threshold; the start is on one."""
    save_at = [0.35, 0.9, 1.6]

    def loss_of(p, y0):
        # The temperature rises at rate up from 0 to the high mark, and falls at rate down.
        up, down, high = p["up"], p["down"], p["high"]
        times = [(high - y0[0]) / up]
        for k in range(6):
            times.append(times[-1] + high / (down if k % 2 == 0 else up))
        total = times[1] ** 2
        for t in save_at:
            k = sum(np.real(time) < t for time in times)
            if k == 0:
                value = y0[0] + up * t
            else:
                s = t - times[k - 1]
                value = high - down * s if k % 2 == 1 else up * s
            total = total + value**2
        return total

    def rhs(t, y, p):
        return components(chosen(y[1] > 0, y[0], p["up"], -p["down"]), 0 * y[1])

    def flip(t, y, p):
        return components(y[0], -y[1])

    problem = ab.Problem(
        name="relay",
        rhs=rhs,
        y0=[0.0, 1.0],
        params={"up": 2.0, "down": 3.0, "high": 1.0},
        t_span=(0.0, 1.6),
        save_at=save_at,
        loss=lambda ys, p: (ys[:, 0] ** 2).sum() + p["event_times"][1] ** 2,
        events=[
            ab.Event(when=lambda t, y, p: y[0] - p["high"], jump=flip, direction=1),
            ab.Event(when=lambda t, y, p: y[0], jump=flip, direction=-1),
        ],
    )
    return Case(problem, loss_of)
