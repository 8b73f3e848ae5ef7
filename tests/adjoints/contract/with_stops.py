"""Problems whose equations change, or whose state jumps, at known times."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from array_api_compat import array_namespace
from closed_form import Array, Entry, entry, forced, where


def switch() -> Entry:
    """y' = k u(t) y with u = 1, from t = 1 on 3: y(2) = e^{4k}, and dL/dk = 4 e^{4k}."""

    def rhs(t, y, p):
        return p["k"] * where(t < 1.0, y, 1.0, 3.0) * y

    return entry(
        lambda t, p, y0: y0 * np.exp(p["k"] * (t + 2 * max(t - 1, 0))),
        name="switch",
        rhs=rhs,
        y0=np.ones(1),
        params={"k": np.array(0.5)},
        discontinuities=(1.0,),
        loss=lambda ys, p: ys.sum(),
    )


def switches(name: str, before: Callable[[Array, float], Array]) -> Entry:
    """A rate that changes at the start, at t = 1 and at the end; outside the span nothing counts.

    Whether the right-hand side is written with ``<`` or ``<=`` makes no difference either.
    """

    def rhs(t, y, p):
        inner = where(before(t, 1.0), y, p["k"][0], p["k"][1])
        return where(before(t, 0.0), y, 40.0, where(before(t, 2.0), y, inner, -50.0)) * y

    def solution(t, p, y0):
        return y0 * np.exp(p["k"][0] * min(t, 1) + p["k"][1] * max(t - 1, 0))

    return entry(
        solution,
        name=name,
        rhs=rhs,
        y0=np.array([0.8]),
        params={"k": np.array([-0.5, 0.7])},
        discontinuities=(0.0, 1.0, 2.0),
        save_at=np.array([1.0, 2.0]),
    )


def dose() -> Entry:
    """Decay with a dose at t = 0.5."""

    def solution(t, p, y0):
        given = p["dose"] * np.exp(-p["k"] * (t - 0.5)) if t >= 0.5 else 0
        return y0 * np.exp(-p["k"] * t) + given

    return entry(
        solution,
        name="dose",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.array([0.3]),
        params={"k": np.array(0.7), "dose": np.array(1.2)},
        jump_times=(0.5,),
        jump=lambda i, t, y, p: y + p["dose"],
    )


def dose_before_switch() -> Entry:
    """A dose at t = 0.5, and a clearance that changes at t = 1."""

    def rhs(t, y, p):
        return -p["k"] * where(t < 1.0, y, 1.0, 3.0) * y

    def solution(t, p, y0):
        def decayed(since):
            return np.exp(-p["k"] * (t - since + 2 * max(t - 1, 0)))

        return y0 * decayed(0) + (p["dose"] * decayed(0.5) if t >= 0.5 else 0)

    return entry(
        solution,
        name="dose_before_switch",
        rhs=rhs,
        y0=np.array([0.3]),
        params={"k": np.array(0.4), "dose": np.array(1.2)},
        discontinuities=(1.0,),
        jump_times=(0.5,),
        jump=lambda i, t, y, p: y + p["dose"],
        save_at=np.array([0.25, 0.5, 0.75, 1.0, 2.0]),
    )


def dose_at_switch() -> Entry:
    """A part is lost, a dose given and the clearance changed, all at t = 1; saved there too."""

    def rhs(t, y, p):
        return -where(t <= 1.0, y, p["k"][0], p["k"][1]) * y

    def solution(t, p, y0):
        first = y0 * np.exp(-p["k"][0] * min(t, 1))
        if t < 1:
            return first
        return (first * p["kept"] + p["dose"]) * np.exp(-p["k"][1] * (t - 1))

    return entry(
        solution,
        name="dose_at_switch",
        rhs=rhs,
        y0=np.array([0.9]),
        params={"k": np.array([0.5, 1.5]), "kept": np.array(0.6), "dose": np.array(1.1)},
        discontinuities=(1.0,),
        jump_times=(1.0,),
        jump=lambda i, t, y, p: y * p["kept"] + p["dose"],
        save_at=np.array([0.5, 1.0, 2.0]),
    )


def jump_at_end() -> Entry:
    """Two jumps, the second at the end of the span, where the state is saved: the value after."""

    def solution(t, p, y0):
        once = y0 * np.exp(-p["k"] * t) * (1 + p["a"][0] * (t >= 1))
        return once * (1 + 2 * p["a"][1] * (t >= 2))

    return entry(
        solution,
        name="jump_at_end",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.array([1.3]),
        params={"k": np.array([0.4]), "a": np.array([0.5, 0.2])},
        jump_times=(1.0, 2.0),
        jump=lambda i, t, y, p: y + p["a"][i] * t * y,
        save_at=np.array([1.0, 2.0]),
    )


def single_precision() -> Entry:
    """Doses in float32 at times that are no numbers of float32, the last of them at the end."""
    times = (1.4, 2.8, 4.2)

    def solution(t, p, y0):
        given = (t - float(np.float32(at)) for at in times)
        doses = sum(p["dose"] * np.exp(-p["k"] * since) for since in given if since >= 0)
        return y0 * np.exp(-p["k"] * t) + doses

    return entry(
        solution,
        name="single_precision",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.zeros(1, np.float32),
        params={"k": np.array(0.5, np.float32), "dose": np.array(2.0, np.float32)},
        t_span=(0.0, 4.2),
        save_at=times,
        jump_times=times,
        jump=lambda i, t, y, p: y + p["dose"],
        rtol=1e-4,
    )


def rates_and_doses(name: str, jump_times: tuple[float, ...]) -> Entry:
    """All of the above in one system of four equations, which know nothing of each other.

    Rates change at the start, at t = 1 and at the end, every second one as by ``<=``. The first
    equation is a switch alone, the second has a dose, the third begins with nothing and has
    three, one of them at the change of rate and one at the end; the last is forced and has two.
    ``scale`` is the unit of the loss.
    """

    def rhs(t, y, p):
        inner = where(t < p["change"][1, :], y, p["k"][0, :], p["k"][1, :])
        rate = where(t < p["change"][2, :], y, inner, 50.0)
        rate = where(t < p["change"][0, :], y, -40.0, rate)
        return p["a"] * p["forced"] * array_namespace(y).cos(p["w"] * t) - rate * y

    def jump(i, t, y, p):
        xp = array_namespace(y)
        given = xp.astype(p["given"][i, :], y.dtype)
        return y * (1.0 - given + given * p["kept"]) + given * p["dose"][i] * t

    def solution(t, p, y0):
        stops = [at for at in (0.5, 1.0, 2.0) if at <= t]
        y, since, a = y0, 0.0, p["a"] * p["forced"]
        for at in stops:
            y, since = forced(at, since, y, a, p["w"], p["k"][int(since >= 1)]), at
            if at in jump_times:
                y = jump(jump_times.index(at), np.float64(at), y, p)
        return forced(t, since, y, a, p["w"], p["k"][int(since >= 1)])

    given = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 1, 1]])
    # Before the number after a time is the same as up to the time.
    times = np.array([0.0, 1.0, 2.0])
    change = np.stack([f(times) for f in (np.array, _after, np.array, _after)], axis=1)
    doses = {"kept": np.array(0.7), "dose": np.array([1.2, 0.8, 0.5])} if jump_times else {}
    return entry(
        solution,
        name=name,
        rhs=rhs,
        y0=np.array([1.0, 0.8, 0.0, 0.3]),
        params={
            "k": np.array([[-0.5, 0.5, 0.7, 0.8], [-1.5, -0.7, 0.3, 1.4]]),
            "a": np.array(1.5),
            "w": np.array(2.0),
            "scale": np.array(1.0),
            **doses,
        },
        constants={
            "change": change,
            "forced": np.array([0.0, 0.0, 0.0, 1.0]),
            "given": given,
        },
        discontinuities=(0.0, 1.0, 2.0),
        save_at=np.array([0.0, 0.5, 0.75, 1.0, 2.0]),
        loss=lambda ys, p: p["scale"] * (ys**2).sum(),
        rich=True,
        **({"jump_times": jump_times, "jump": jump} if jump_times else {}),
    )


def _after(times: np.ndarray) -> np.ndarray:
    return np.nextafter(times, np.inf)


def stiff_with_stops() -> Entry:
    """A fast state that follows a slow one; both at t = 1, a dose and a change of clearance."""

    def rhs(t, y, p):
        k = where(t < 1.0, y[1], p["k"][0], p["k"][1])
        return array_namespace(y).stack([p["fast"] * (p["a"] * y[1] - y[0]), -k * y[1]])

    def follow(t, y, p, k):
        follows = p["a"] * p["fast"] / (p["fast"] - k) * y[1]
        slow, fast = np.exp(-k * t), np.exp(-p["fast"] * t)
        return np.stack([follows * slow + (y[0] - follows) * fast, y[1] * slow])

    def solution(t, p, y0):
        y = follow(min(t, 1), y0, p, p["k"][0])
        return y if t < 1 else follow(t - 1, y + np.stack([0, p["dose"]]), p, p["k"][1])

    def jump(i, t, y, p):
        xp = array_namespace(y)
        return y + xp.stack([xp.zeros_like(p["dose"]), p["dose"]])

    return entry(
        solution,
        name="stiff_with_stops",
        rhs=rhs,
        y0=np.array([1.0, 0.5]),
        params={
            "fast": np.array(1e4),
            "a": np.array(1.5),
            "k": np.array([0.6, 1.1]),
            "dose": np.array(0.9),
        },
        discontinuities=(1.0,),
        jump_times=(1.0,),
        jump=jump,
        stiff=True,
        rich=True,
    )


WITH_STOPS = (
    switch(),
    switches("switches_before", lambda t, at: t < at),
    switches("switches_up_to", lambda t, at: t <= at),
    dose(),
    dose_before_switch(),
    dose_at_switch(),
    jump_at_end(),
    single_precision(),
    rates_and_doses("rates", ()),
    rates_and_doses("rates_and_doses", (0.5, 1.0, 2.0)),
    stiff_with_stops(),
)
