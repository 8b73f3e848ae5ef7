"""What is traced and compiled for a gradient through `solve`: no more than is needed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adjointbench.adjoints.jax import chunks, solve

SAVES = np.array([0.5, 1.0])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def spiral(t, y, p):
    return jnp.stack([y[1], p["k"][0] * y[0] - p["k"][1] * y[1] ** 3]) * p["scale"]


def parameters():
    return {"k": jnp.array([-1.5, 0.3]), "scale": jnp.array(1.3)}


def solved(p, rhs=spiral, **settings):
    return solve(rhs, jnp.array([1.0, 0.2]), SAVES, p, rtol=1e-6, engine="xla", **settings)


def loss(p, **settings):
    return jnp.sum(solved(p, **settings).ys[:, 0] ** 2)


def loops_of(function, *arguments):
    return jax.jit(function).lower(*arguments).as_text().count("stablehlo.while")


@pytest.mark.parametrize("solver", ["tsit5", "rodas5p"])
def test_a_right_hand_side_is_traced_no_more_than_three_times(solver):
    calls = []

    def counted(t, y, p):
        calls.append(y.shape)
        return spiral(t, y, p)

    jax.jit(jax.grad(lambda p: jnp.sum(solved(p, counted, solver=solver).ys))).lower(parameters())
    # Once where its shape is checked, once where what it closes over is found, and once.
    assert len(calls) <= 3


def test_a_small_system_is_recorded_in_one_window_and_a_large_one_in_several():
    small = loops_of(jax.grad(loss), parameters())
    several = loops_of(jax.grad(lambda p: loss(p, checkpoints=16)), parameters())
    long = loops_of(jax.grad(lambda p: loss(p, max_steps=10**6)), parameters())
    assert small < several
    assert long == several


def test_one_window_gives_the_gradient_of_many():
    one, many = (jax.grad(loss)(parameters(), **how) for how in ({}, {"checkpoints": 300}))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), one, many)


@pytest.mark.parametrize("checkpoints", [None, 300])
def test_the_steps_of_a_differentiated_solve_are_those_of_the_record(checkpoints):
    def with_steps(p):
        solution = solved(p, checkpoints=checkpoints)
        return jnp.sum(solution.ys), solution.steps

    steps = jax.jit(jax.grad(with_steps, has_aux=True))(parameters())[1]
    expected = jax.jit(with_steps)(parameters())[1]
    jax.tree.map(np.testing.assert_array_equal, steps, expected)


def test_the_cotangents_of_parameters_are_the_same_one_by_one_and_all_at_once(monkeypatch):
    times, states = np.zeros((7, 5)), np.sin(np.arange(70.0)).reshape(7, 5, 2)
    cotangents = jnp.cos(jnp.arange(70.0)).reshape(7, 5, 2)

    def pulled():
        values = lambda p, at: spiral(*at, p)  # noqa: E731
        at = (jnp.asarray(times), jnp.asarray(states))
        return chunks.pull_parameters(values, at, parameters(), cotangents)

    one_by_one = pulled()
    monkeypatch.setattr(chunks, "LARGEST_SUM", 0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13), one_by_one, pulled())
