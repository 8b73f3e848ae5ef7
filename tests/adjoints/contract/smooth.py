"""Problems without stops: kinds of states, parameters, constants, saves, losses and units."""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace
from closed_form import Entry, entry, forced


def forcing(name: str, t0: float) -> Entry:
    """y' = a cos(w t) - k y from `t0` on."""

    def rhs(t, y, p):
        return p["a"] * array_namespace(y).cos(p["w"] * t) - p["k"] * y

    return entry(
        lambda t, p, y0: forced(t, t0, y0, p["a"], p["w"], p["k"]),
        name=name,
        rhs=rhs,
        y0=np.array([0.3]),
        params={"a": np.array(1.5), "w": np.array(2.0), "k": np.array(0.8)},
        t_span=(t0, t0 + 2.0),
    )


def zero_states() -> Entry:
    """States that begin at zero; the first stays there, and its gradient is not zero."""

    def rhs(t, y, p):
        xp = array_namespace(y)
        return p["a"] * xp.stack([xp.zeros_like(y[1]), xp.ones_like(y[1])]) - p["k"] * y

    def solution(t, p, y0):
        decayed = np.exp(-p["k"] * t)
        return y0 * decayed + np.array([0, 1]) * p["a"] * (1 - decayed) / p["k"]

    return entry(
        solution,
        name="zero_states",
        rhs=rhs,
        y0=np.zeros(2),
        params={"k": np.array(0.8), "a": np.array(1.5)},
        loss=lambda ys, p: ys[-1, 0] + ys[-1, 1] ** 2,
    )


def rest() -> Entry:
    """A fixed point: nothing moves, and the derivatives do."""
    return entry(
        lambda t, p, y0: p["a"] + (y0 - p["a"]) * np.exp(-p["k"] * t),
        name="rest",
        rhs=lambda t, y, p: p["k"] * (p["a"] - y),
        y0=np.array([1.0]),
        params={"k": np.array(0.05), "a": np.array(1.0)},
    )


def loss_with_params() -> Entry:
    """A loss that depends on the parameters directly, on one of them in no other way."""
    return entry(
        lambda t, p, y0: y0 * np.exp(-p["k"] * t),
        name="loss_with_params",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.array([1.5]),
        params={"k": np.array(0.6), "weight": np.array([2.0])},
        loss=lambda ys, p: (p["weight"] * ys[-1, ...]).sum() + p["k"] ** 2,
    )


def integers() -> Entry:
    """Constants of integers and booleans stay what they are."""

    def rhs(t, y, p):
        xp = array_namespace(y)
        rate = xp.astype(p["active"], y.dtype) * xp.astype(p["power"], y.dtype)
        return -p["k"] * rate * y

    return entry(
        lambda t, p, y0: y0 * np.exp(-p["k"] * p["power"] * p["active"] * t),
        name="integers",
        rhs=rhs,
        y0=np.array([1.5, 0.5]),
        params={"k": np.array(0.4)},
        constants={"power": np.array(2), "active": np.array([True, False])},
    )


def saves_at_start() -> Entry:
    """The state is saved where it begins, too."""
    return entry(
        lambda t, p, y0: y0 * np.exp(-p["k"] * t),
        name="saves_at_start",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.array([1.5, 0.5]),
        params={"k": np.array([0.4, 0.9])},
        save_at=np.array([0.0, 0.7, 2.0]),
    )


def no_params() -> Entry:
    """Nothing but the start value to differentiate by."""
    return entry(
        lambda t, p, y0: y0 * np.exp(-np.sin(t)),
        name="no_params",
        rhs=lambda t, y, p: -array_namespace(y).cos(t) * y,
        y0=np.array([1.5]),
        params={},
    )


def many_saves(saves: int) -> Entry:
    """A decaying oscillation, seen many times."""

    def rhs(t, y, p):
        xp = array_namespace(y)
        return xp.stack([-p["k"] * y[0] - p["w"] * y[1], p["w"] * y[0] - p["k"] * y[1]])

    def solution(t, p, y0):
        c, s = np.cos(p["w"] * t), np.sin(p["w"] * t)
        return np.exp(-p["k"] * t) * np.stack([c * y0[0] - s * y0[1], s * y0[0] + c * y0[1]])

    return entry(
        solution,
        name=f"{saves}_saves",
        rhs=rhs,
        y0=np.array([1.0, 0.5]),
        params={"k": np.array(0.3), "w": np.array(3.0)},
        save_at=np.linspace(0, 2, saves + 1)[1:],
        loss=lambda ys, p: (ys[:, 0] ** 2).sum() / saves,
    )


def scalar_state() -> Entry:
    """A state that is one number, and one parameter that is another."""
    return entry(
        lambda t, p, y0: y0 * np.exp(-p["k"] * t),
        name="scalar_state",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.array(1.5),
        params={"k": np.array(0.6)},
    )


def batched() -> Entry:
    """A state with two axes, with parameters along either."""
    return entry(
        lambda t, p, y0: y0 * np.exp(-p["k"] * t) + p["b"] * (1 - np.exp(-p["k"] * t)) / p["k"],
        name="batched",
        rhs=lambda t, y, p: p["b"] - p["k"] * y,
        y0=np.arange(1.0, 7.0).reshape(2, 3) / 4,
        params={"k": np.array([[0.4], [0.9]]), "b": np.array([[0.5, -1.0, 0.1]])},
    )


def stiff() -> Entry:
    """A fast state that follows a slow one."""

    def rhs(t, y, p):
        return array_namespace(y).stack([p["fast"] * (p["a"] * y[1] - y[0]), -p["k"] * y[1]])

    def solution(t, p, y0):
        follows = p["a"] * p["fast"] / (p["fast"] - p["k"]) * y0[1]
        slow, fast = np.exp(-p["k"] * t), np.exp(-p["fast"] * t)
        return np.stack([follows * slow + (y0[0] - follows) * fast, y0[1] * slow])

    return entry(
        solution,
        name="stiff",
        rhs=rhs,
        y0=np.array([1.0, 0.5]),
        params={"fast": np.array(1e4), "a": np.array(1.5), "k": np.array(0.6)},
        stiff=True,
    )


def logistic(name: str, *, state: float = 1.0, time: float = 1.0) -> Entry:
    """Logistic growth in other units of state and time."""

    def solution(t, p, y0):
        return p["c"] / (1 + (p["c"] / y0 - 1) * np.exp(-p["r"] * t))

    return entry(
        solution,
        name=name,
        rhs=lambda t, y, p: p["r"] * y * (1.0 - y / p["c"]),
        y0=np.array([0.5 * state]),
        params={"r": np.array(1.3 / time), "c": np.array(2.0 * state)},
        t_span=(0.0, 2.0 * time),
        save_at=np.array([0.7 * time, 2.0 * time]),
        unit=state,
    )


def large_parameter() -> Entry:
    """A parameter in a unit in which it is of the size of 1e12."""
    return entry(
        lambda t, p, y0: y0 * np.exp(-p["k"] * 1e-12 * t),
        name="large_parameter",
        rhs=lambda t, y, p: -(p["k"] * 1e-12) * y,
        y0=np.array([1.5]),
        params={"k": np.array(6e11)},
    )


def scaled_loss(scale: float) -> Entry:
    """An oscillation with a loss in another unit: the gradient is linear in it."""

    def rhs(t, y, p):
        return array_namespace(y).stack([y[1], -(p["w"] ** 2) * y[0]])

    def solution(t, p, y0):
        c, s = np.cos(p["w"] * t), np.sin(p["w"] * t)
        return np.stack([c * y0[0] + s / p["w"] * y0[1], c * y0[1] - s * p["w"] * y0[0]])

    return entry(
        solution,
        name=f"loss_times_{scale:g}",
        rhs=rhs,
        y0=np.array([1.0, 0.0]),
        params={"w": np.array(3.0)},
        constants={"scale": np.array(scale)},
        loss=lambda ys, p: p["scale"] * (ys[-1, 0] - 0.3) ** 2,
    )


def scalar_in_large_units() -> Entry:
    """One number in single precision, over a span and with a state of the size of 1e15 and 1e9."""
    return entry(
        lambda t, p, y0: y0 * np.exp(-p["k"] * t),
        name="scalar_in_large_units",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.array(1.5e9, np.float32),
        params={"k": np.array(0.6e-15, np.float32)},
        t_span=(0.0, 2e15),
        loss=lambda ys, p: ys.sum(),
        unit=1e9,
        rtol=1e-4,
        rich=True,
    )


def batch_in_small_units() -> Entry:
    """Two axes, no parameters, integers; times of the size of 1e-11, a save at the start."""

    def rhs(t, y, p):
        return -1e11 * array_namespace(y).astype(p["rates"], y.dtype) * y

    return entry(
        lambda t, p, y0: y0 * np.exp(-1e11 * p["rates"] * t),
        name="batch_in_small_units",
        rhs=rhs,
        y0=1e-9 * np.arange(1.0, 7.0).reshape(2, 3),
        params={},
        constants={"rates": np.array([[0, 1, 2], [2, 1, 0]])},
        t_span=(0.0, 2e-11),
        save_at=np.linspace(0, 2e-11, 21),
        loss=lambda ys, p: (ys**2).sum() / 21,
        unit=1e-9,
    )


SMOOTH = (
    forcing("forcing", 0.0),
    forcing("late_start", 3.0),
    zero_states(),
    rest(),
    loss_with_params(),
    integers(),
    saves_at_start(),
    no_params(),
    many_saves(200),
    many_saves(1000),
    scalar_state(),
    batched(),
    stiff(),
    logistic("states_1e-9", state=1e-9),
    logistic("states_1e9", state=1e9),
    logistic("span_2e-11", time=1e-11),
    logistic("span_2e15", time=1e15),
    large_parameter(),
    *(scaled_loss(scale) for scale in (1e-30, 1e-12, 1e12, 1e30)),
    scalar_in_large_units(),
    batch_in_small_units(),
)
