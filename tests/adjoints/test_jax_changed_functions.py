"""A function that reads something that has changed is another function, though it is the same."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adjointbench import gradient
from adjointbench.adjoints.jax import solve, solve_sde
from adjointbench.problems import Problem

RATE = 1.0
TABLE = np.array([1.0, 5.0])
SETTINGS = {"rates": [1.0, 5.0]}
TRACES = []


def by_global(t, y, p):
    return -RATE * p * y


def by_function(t, y, p):
    return by_global(t, y, p)


def inside_another(t, y, p):
    return (lambda y: by_global(t, y, p))(y)


def by_table(t, y, p):
    return -TABLE[0] * p * y


def by_list(t, y, p):
    return -SETTINGS["rates"][0] * p * y


class Decay:
    def __init__(self):
        self.rate = 1.0

    def __call__(self, t, y, p):
        return -self.rate * p * y

    def method(self, t, y, p):
        return -self.rate * p * y


DECAY = Decay()
WAYS = {
    "global": by_global,
    "function": by_function,
    "lambda": inside_another,
    "table": by_table,
    "list": by_list,
    "object": DECAY,
    "method": DECAY.method,
    "partial": partial(by_global),
}


def set_rate(rate):
    global RATE
    RATE = DECAY.rate = rate
    SETTINGS["rates"][0] = TABLE[0] = rate


@pytest.fixture(autouse=True)
def _restored():
    set_rate(1.0)
    yield
    set_rate(1.0)


def values(rhs, engine):
    """The end and its derivative by p, run as they are and compiled by the user."""

    def end(p):
        return solve(rhs, jnp.ones(2), jnp.array([1.0]), p, engine=engine, rtol=1e-5).ys[0, 0]

    return [float(f(1.0)) for g in (end, jax.grad(end)) for f in (g, jax.jit(g))]


@pytest.mark.parametrize(
    ("way", "engine"), [*((way, "xla") for way in WAYS), ("global", "auto"), ("method", "auto")]
)
def test_what_a_function_reads_may_change_between_solves(way, engine):
    for rate in (1.0, 2.0, 1.0):
        set_rate(rate)
        end = math.exp(-rate)
        expected = [end, end, -rate * end, -rate * end]
        np.testing.assert_allclose(values(WAYS[way], engine), expected, rtol=1e-3)


def test_an_array_of_jax_that_another_takes_the_place_of():
    box = [jnp.float32(1.0)]

    def rhs(t, y, p):
        return -box[0] * y

    for rate in (1.0, 2.0):
        box[0] = jnp.float32(rate)
        found = solve(rhs, jnp.ones(2), jnp.array([1.0]), engine="xla").ys[0, 0]
        assert float(found) == pytest.approx(math.exp(-rate), rel=1e-3)


def test_in_a_stochastic_equation():
    def drift(t, y, p):
        return -RATE * y

    def diffusion(t, y, p):
        return 0.0 * y

    for rate in (1.0, 2.0):
        set_rate(rate)
        found = solve_sde(drift, diffusion, jnp.ones(2), jnp.array([1.0]), key=jax.random.key(0)).ys
        assert float(found[0, 0]) == pytest.approx(math.exp(-rate), rel=3e-2)


@pytest.mark.parametrize(
    "method", ["jax-discrete", "jax-interpolating", "jax-odeint", "diffrax-recursive-checkpoint"]
)
def test_the_gradient_of_a_problem(method):
    problem = Problem(
        name="decay",
        rhs=lambda t, y, p: -RATE * p["k"] * y,
        y0=np.ones(2),
        params={"k": np.array([1.0])},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: ys[-1, 0],
    )
    for rate in (1.0, 2.0, 1.0):
        set_rate(rate)
        found = gradient(problem, method)
        assert found.loss == pytest.approx(math.exp(-rate), rel=1e-5)
        assert found.dparams["k"] == pytest.approx(-rate * math.exp(-rate), rel=1e-5)


@pytest.mark.parametrize("engine", ["xla", "auto"])
def test_a_function_that_counts_its_calls_is_not_compiled_at_every_solve(engine):
    calls, counter = [], {"calls": 0}

    def rhs(t, y, p):
        calls.append(1)
        counter["calls"] += 1
        return -p * y

    def end(p):
        return solve(rhs, jnp.ones(2), jnp.array([1.0]), p, engine=engine).ys[0, 0]

    end(1.0)
    jax.grad(end)(1.0)
    end(1.0)
    once = len(calls)
    for _ in range(3):
        end(1.0)
    assert len(calls) == once


def test_what_a_function_does_not_read_may_change():
    class Model:
        def __init__(self):
            self.rate, self.losses, self.traces = 1.0, [], []

        def scaled(self, y):
            return self.rate * y

        def rhs(self, t, y, p):
            TRACES.append(1)
            return -self.scaled(y) * p

    model = Model()

    def end():
        return float(solve(model.rhs, jnp.ones(2), jnp.array([1.0]), 1.0, engine="xla").ys[0, 0])

    model.losses.append(end())
    model.losses.append(end())
    once = len(TRACES)
    for _ in range(3):
        model.losses.append(end())
    assert len(TRACES) == once
    model.rate = 2.0
    assert end() == pytest.approx(math.exp(-2.0), rel=1e-4)


def test_an_attribute_of_a_class():
    class Model:
        rate = 1.0

        def rhs(self, t, y, p):
            return -self.rate * y

    model = Model()
    for rate in (1.0, 2.0):
        Model.rate = rate
        found = solve(model.rhs, jnp.ones(2), jnp.array([1.0]), engine="xla").ys[0, 0]
        assert float(found) == pytest.approx(math.exp(-rate), rel=1e-4)
    for rate in (3.0, 4.0):
        model.rate = rate
        found = solve(model.rhs, jnp.ones(2), jnp.array([1.0]), engine="xla").ys[0, 0]
        assert float(found) == pytest.approx(math.exp(-rate), rel=1e-3)
