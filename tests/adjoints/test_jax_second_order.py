"""Second derivatives through ``solve``: those of the accepted steps, to rounding."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adjointbench import problems
from adjointbench.adjoints.certify_hessian import loss_by_parameters
from adjointbench.adjoints.jax import gauss_newton_product, hessian, hessian_vector_product, solve
from adjointbench.adjoints.scipy.flat import pack
from adjointbench.adjoints.steps.rosenbrock import rosenbrock_stages
from adjointbench.adjoints.steps.tableaus import tableau

SAVE_AT = [0.5, 1.0]


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def test_the_hessian_is_that_of_the_steps_in_closed_form():
    """Of ``y' = k y`` by four classical steps: ``y0 R(k h)^4``, a polynomial."""

    def end(both):
        return solve(
            lambda t, y, k: k * y, both[:1], SAVE_AT[1:], both[1], solver="rk4", first_step=0.25
        ).ys[-1, 0]

    step = np.polynomial.Polynomial([1, 1, 1 / 2, 1 / 6, 1 / 24])(
        np.polynomial.Polynomial([0.0, 0.25])
    )
    by_k = step**4
    y0, k = 1.3, -0.7
    slope, bend = by_k.deriv()(k), y0 * by_k.deriv(2)(k)
    found = jax.jit(jax.hessian(end))(jnp.array([y0, k]))
    np.testing.assert_allclose(found, [[0.0, slope], [slope, bend]], rtol=1e-13, atol=1e-14)


def test_a_product_through_rosenbrock_steps_windows_and_dense_output_is_cauchys_integral():
    """Of the steps replayed in NumPy at complex parameters around the real one."""

    def ends(k, **how):
        return solve(
            lambda t, y, k: -k * y * y, jnp.ones(1), SAVE_AT, k, solver="rodas4p", rtol=1e-3, **how
        )

    t, h = (np.asarray(x) for x in ends(1.0, max_steps=64).steps)
    tab = tableau("rodas4p")

    def replayed(k):
        def slope(_, y):
            return -k * y * y

        y = np.ones(1, complex)
        for start, size in zip(t[h > 0], h[h > 0], strict=True):
            solve_with = partial(np.multiply, 1 / (1 / tab.gamma + 2 * size * k * y))
            here, in_time = slope(start, y), np.zeros(1)
            stages = rosenbrock_stages(slope, tab, start, y, size, here, in_time, solve_with)
            y = y + size * sum(b * u for b, u in zip(tab.b, stages, strict=True))
        return y[0] ** 3

    circle = 0.1 * np.exp(2j * np.pi * np.arange(16) / 16)
    bend = 2 * np.mean([replayed(1.0 + z) / z**2 for z in circle]).real
    found = jax.jit(
        lambda k: hessian_vector_product(
            lambda k: ends(k, max_steps=64, checkpoints=32).ys[-1, 0] ** 3, k, 2.0
        )
    )(1.0)
    np.testing.assert_allclose(found, 2 * bend, rtol=1e-10)


def test_a_gauss_newton_product_in_closed_form():
    """Of ``y(1) = exp(-k)``: J is its negative."""

    def residual(k):
        return solve(lambda t, y, k: -k * y, jnp.ones(1), SAVE_AT[1:], k, rtol=1e-9).ys

    found = jax.jit(lambda k, v: gauss_newton_product(residual, k, v))(0.7, 2.0)
    np.testing.assert_allclose(found, 2 * np.exp(-1.4), rtol=1e-8)


@pytest.mark.long
def test_lanes_outputs_and_a_gauss_newton_product():
    """Over lanes the Hessian is that of each; ``J^T J v`` needs no second derivative."""

    def residual(p):
        return solve(
            lambda t, y, p: -p[0] * y + p[1], jnp.ones(1), SAVE_AT[1:], p, max_steps=32, rtol=1e-3
        )

    def loss(p):
        found = residual(p)
        assert found.error_estimate is not None
        return (found.ys**2).sum() + found.error_estimate

    p, v = jnp.array([1.5, 0.5]), jnp.array([0.3, -0.2])
    one = jax.jit(jax.hessian(loss))(p)
    np.testing.assert_allclose(one, one.T, rtol=1e-11)
    np.testing.assert_allclose(jax.jit(partial(hessian, loss))(p), one, rtol=1e-11)
    lanes = jax.jit(jax.hessian(lambda q: jax.vmap(loss)(q[None] * jnp.stack([p, p])).sum()))
    np.testing.assert_allclose(lanes(jnp.ones(2)), 2 * one * np.outer(p, p), rtol=1e-10)
    jacobian = jax.jit(jax.jacrev(lambda p: residual(p).ys.ravel()))(p)
    found = jax.jit(lambda p: gauss_newton_product(lambda p: residual(p).ys, p, v))(p)
    np.testing.assert_allclose(found, jacobian.T @ (jacobian @ v), rtol=1e-12)


def test_what_has_no_second_derivative_says_so():
    """A continuous adjoint, and a direction of another shape."""

    def loss(k):
        return solve(
            lambda t, y, k: k * y, jnp.ones(1), SAVE_AT[1:], k, adjoint="quadrature", max_steps=8
        ).ys.sum()

    with pytest.raises(NotImplementedError, match="continuous adjoint cannot be differentiated"):
        hessian_vector_product(loss, 1.0, 1.0)
    with pytest.raises(ValueError, match="v must have the shapes of params"):
        hessian_vector_product(loss, jnp.ones(2), jnp.ones(3))


def test_by_a_time_alone_but_not_mixed():
    """Of ``exp(k T)``: a mixed derivative, that JAX would leave out, is refused."""

    def end(time, k):
        return solve(lambda t, y, k: k * y, jnp.ones(1), time[None], k, rtol=1e-9, max_steps=64).ys[
            0, 0
        ]

    found = hessian_vector_product(lambda time: end(time, -0.7), jnp.array(1.0), 1.0)
    np.testing.assert_allclose(found, 0.49 * np.exp(-0.7), rtol=1e-7)
    with pytest.raises(NotImplementedError, match="by another of t0 and save_at"):
        jax.hessian(lambda both: end(both[0], both[1]))(jnp.array([1.0, -0.7]))


def test_through_a_jump():
    """A square at ``t = 1/2`` of ``y' = 2 k t y``: ``y0^2 exp(5 k / 4)``."""

    def end(both):
        return solve(
            lambda t, y, k: 2 * k * t * y,
            both[:1],
            SAVE_AT[1:],
            both[1],
            solver="rk4",
            first_step=0.01,
            jump_times=(0.5,),
            jump=lambda i, t, y, k: y * y,
        ).ys[-1, 0]

    found = jax.jit(partial(hessian, end))(jnp.array([1.0, -0.7]))
    exact = np.exp(-0.875) * np.array([[2.0, 2.5], [2.5, 1.5625]])
    np.testing.assert_allclose(found, exact, rtol=1e-7)


@pytest.mark.parametrize(
    "name",
    [
        "lotka_volterra",
        *(pytest.param(n, marks=pytest.mark.long) for n in ("pendulum", "robertson")),
    ],
)
def test_the_certified_hessian_is_reached_by_products_with_it(name):
    problem = problems.get(name)
    certified = problem.reference.hessian
    exact, theta = np.array(certified["matrix"]), pack(problem.params)
    solver = "rodas5p" if problem.stiff else "tsit5"
    loss = loss_by_parameters(problem, solver=solver, rtol=1e-9, atol=1e-12, max_steps=8192)
    product = jax.jit(lambda at, v: hessian_vector_product(loss, at, v))
    along = np.linspace(1.0, 2.0, len(theta)) * theta
    found, expected = product(jnp.asarray(theta), jnp.asarray(along)), exact @ along
    assert certified["agreement"] < 1e-8
    assert np.linalg.norm(theta * (found - expected)) < 1e-6 * np.linalg.norm(theta * expected)
