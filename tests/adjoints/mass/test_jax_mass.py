"""Mass matrices in the open JAX solver: exact derivatives of the steps, and right solutions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from implicit_replay import replay_implicit
from mass_equations import (
    END,
    KICKED,
    MASS,
    RATE,
    ROUGH,
    SWITCHED,
    UNKNOWNS,
    by_rate,
    by_start,
    exact,
    jacobian,
    rhs,
    switched,
    switched_derivative,
    switched_exact,
    time_slope,
)

from adjointbench.adjoints.jax import solve

COARSE = {"rtol": 1e-4, "atol": 1e-6}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def solved(k=RATE, u0=ROUGH, saves=(END,), **settings):
    return solve(
        rhs, u0, jnp.asarray(saves), {"k": k}, mass=MASS, **{"solver": "rodas5p", **settings}
    )


def consistent(k, u0):
    """The start that a solve makes of rough values; complex numbers pass through."""
    y0 = UNKNOWNS[0] @ u0
    return np.linalg.solve(UNKNOWNS, np.stack([y0, y0]))


@pytest.mark.parametrize("engine", ["native", "xla"])
@pytest.mark.parametrize("solver", ["rodas5p", pytest.param("rodas4p", marks=pytest.mark.long)])
def test_the_gradient_is_the_exact_derivative_of_the_steps(solver, engine):
    def total(k, u0):
        solution = solved(k, u0, solver=solver, engine=engine, **COARSE)
        return jnp.sum(solution.ys[-1] ** 2), solution

    gradients, solution = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))(RATE, ROUGH)
    t, h = (np.asarray(part)[: int(solution.stats["steps"])] for part in solution.steps)
    tiny = 1e-30

    def replayed(k, u0):
        start = consistent(k, u0)
        end = replay_implicit(rhs, jacobian, time_slope, solver, start, {"k": k}, (t, h), mass=MASS)
        return np.sum(end**2).imag / tiny

    np.testing.assert_allclose(gradients[0], replayed(RATE + 1j * tiny, ROUGH), rtol=1e-9)
    for i, unit in enumerate(np.eye(2)):
        expected = replayed(RATE, ROUGH + 1j * tiny * unit)
        np.testing.assert_allclose(gradients[1][i], expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("solver", "order"), [("rodas5p", 5), pytest.param("rodas4p", 4, marks=pytest.mark.long)]
)
def test_value_and_gradient_have_the_order_of_the_solver(solver, order):
    def end(k, size):
        return solved(k, solver=solver, step_size=size, max_steps=512).ys[-1]

    both = jax.jit(lambda k, h: (end(k, h), jax.jacrev(end)(k, h)))
    errors = [
        [
            np.linalg.norm(found - true)
            for found, true in zip(both(RATE, h), (exact(END), by_rate(END)), strict=True)
        ]
        for h in (END / 20, END / 320)
    ]
    # Over four halvings: between two alone the leading terms of an error may cancel.
    assert np.all(np.log2(np.divide(*errors)) / 4 > order - 0.4), errors


def test_saves_between_steps_and_all_derivatives_are_those_of_the_solution():
    times = np.array([0.5, 1.3, END])
    tight = {"rtol": 1e-9, "atol": 1e-11, "saves": times}
    pull = jax.jit(jax.jacrev(lambda k, u0: solved(k, u0, **tight).ys, argnums=(0, 1)))
    of_rate, of_start = pull(RATE, ROUGH)
    for i, t in enumerate(times):
        np.testing.assert_allclose(of_rate[i], by_rate(t), rtol=1e-6)
        np.testing.assert_allclose(of_start[i], by_start(t), rtol=1e-6, atol=1e-9)


@pytest.mark.long
def test_forward_mode_and_second_derivatives_go_through_the_same_steps():
    def total(q, adjoint):
        return jnp.sum(solved(q[0], q[1:], adjoint=adjoint, **COARSE).ys ** 2)

    q, along = jnp.array([RATE, *ROUGH]), jnp.array([0.3, -1.0, 0.5])

    def product(gradient, adjoint):
        return jax.jit(lambda q: jax.jvp(gradient(lambda q: total(q, adjoint)), (q,), (along,)))(q)

    for found, expected in zip(
        product(jax.grad, "discrete"), product(jax.jacfwd, "forward"), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_values_are_consistent_again_after_jumps_and_discontinuities():
    def ys(p):
        return solve(switched, jnp.array([1.0, 0.0]), jnp.array([0.6, END]), p, **SWITCHED).ys

    p = {name: jnp.array(value) for name, value in KICKED.items()}
    found, pulled = jax.jit(lambda p: (ys(p), jax.jacrev(ys)(p)))(p)
    np.testing.assert_allclose(found, switched_exact(KICKED), rtol=1e-7)
    for name in p:
        np.testing.assert_allclose(pulled[name], switched_derivative(name), rtol=1e-6)


def test_derivatives_by_times_are_the_slopes_of_the_solution():
    def end(t0, times):
        return solved(saves=times, t0=t0, rtol=1e-9, atol=1e-11).ys

    by_t0, by_times = jax.jit(jax.jacrev(end, argnums=(0, 1)))(0.0, jnp.array([0.5, END]))
    step = 1e-5
    for i, t in enumerate((0.5, END)):
        slope = (exact(t + step) - exact(t - step)) / (2 * step)
        np.testing.assert_allclose(by_times[i, :, i], slope, rtol=1e-6)
        # A start at another time has the same y(t0): log y changes by k (1 + sin t0) dt0.
        np.testing.assert_allclose(by_t0[i], RATE * exact(t), rtol=1e-6)


@pytest.mark.parametrize("engine", ["native", pytest.param("xla", marks=pytest.mark.long)])
def test_lanes_give_what_each_gives_alone(engine):
    def gradient(k):
        return jax.grad(lambda k: jnp.sum(solved(k, engine=engine, **COARSE).ys ** 2))(k)

    rates = jnp.array([0.2, RATE, 1.5])
    together = jax.vmap(gradient)(rates)
    np.testing.assert_allclose(together, [gradient(k) for k in rates], rtol=1e-9)


def large(t, u, p):
    """Pairs of a decaying and an algebraic component, coupled along the chain of pairs."""
    y, z = u[0::2], u[1::2]
    slope = p["k"] * (jnp.roll(z, 1) - 2.0 * z) - 0.1 * y**3
    return jnp.stack([slope, z + 0.1 * z**3 - y], axis=1).ravel()


@pytest.mark.parametrize(
    ("linear_solver", "engine"), [("dense", "xla"), ("sparse", "xla"), ("auto", "native")]
)
def test_large_states_are_swept_step_by_step_with_any_linear_solver(linear_solver, engine):
    pairs = 5
    y0 = jnp.ravel(jnp.stack([jnp.linspace(0.5, 1.0, pairs), jnp.zeros(pairs)], axis=1))

    # An entry where the Jacobian has none, and beside the diagonal.
    mass = np.diag([1.0, 0.0] * pairs)
    mass[0, 6], mass[4, 2] = 0.25, -0.125

    def end(k, **settings):
        return solve(
            large,
            y0,
            jnp.ones(1),
            {"k": k},
            mass=mass,
            solver="rodas5p",
            linear_solver=linear_solver,
            **COARSE,
            **settings,
        )

    k = jnp.linspace(0.5, 1.0, pairs)
    found = jax.jit(jax.grad(lambda k: jnp.sum(end(k, engine=engine).ys ** 2)))(k)
    exactly = jax.jit(jax.jacfwd(lambda k: jnp.sum(end(k, adjoint="forward").ys ** 2)))(k)
    np.testing.assert_allclose(found, exactly, rtol=1e-9)


def test_single_precision():
    with jax.enable_x64(False):
        k, u0 = jnp.float32(RATE), jnp.asarray(ROUGH, jnp.float32)
        gradient = jax.jit(jax.grad(lambda k: solved(k, u0, **COARSE).ys[-1, 0]))(k)
        assert gradient.dtype == jnp.float32
        np.testing.assert_allclose(gradient, by_rate(END)[0], rtol=1e-3)


def second_index(t, u, p):
    """``x' = v``, ``v' = -x + z``, ``0 = x - sin(k t)``: of index 3."""
    return jnp.stack([u[1], u[2] - u[0], u[0] - jnp.sin(p["k"] * t)])


@pytest.mark.parametrize(
    ("equations", "u0", "status"),
    [
        (second_index, (0.0, 1.0, 0.0), "linear_solve"),
        (lambda t, u, p: jnp.stack([-u[0], 0.0 * u[1], u[2] ** 2 + 1.0]), (1, 1, 1), "newton"),
    ],
)
def test_a_start_without_consistent_values_is_a_status(equations, u0, status):
    def loss(k):
        solution = solve(
            equations,
            jnp.asarray(u0, float),
            jnp.ones(1),
            {"k": k},
            mass=np.diag([1.0, 1.0, 0.0]),
            solver="rodas5p",
        )
        return solution.ys.sum(), solution

    gradient, solution = jax.grad(loss, has_aux=True)(1.0)
    assert solution.status == status
    assert np.isnan(gradient)
    assert np.isnan(solution.ys).all()


def test_what_does_not_go_with_a_mass_matrix_is_refused():
    for settings, words in (
        ({"solver": "tsit5"}, "use one of: rodas5p, rodas4p"),
        ({"solver": "auto"}, "use one of: rodas5p, rodas4p"),
        ({"adjoint": "backsolve"}, "use adjoint='discrete' or 'forward'"),
        (
            {"engine": "native", "discontinuities": (1.0,)},
            "a mass matrix with stops is nothing that a native loop does",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            solved(**settings)
    with pytest.raises(ValueError, match="mass is traced"):
        jax.jit(lambda m: solve(rhs, ROUGH, jnp.ones(1), {"k": RATE}, mass=m, solver="rodas5p"))(
            MASS
        )
    with pytest.raises(ValueError, match="mass has shape"):
        solve(rhs, ROUGH, jnp.ones(1), {"k": RATE}, mass=np.eye(3), solver="rodas5p")
    assert solved(saves=(0.1,)).stiffness_estimate is None
