"""Implicit solvers: orders, exact discrete adjoints, failures, time-dependent equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from implicit_replay import replay_implicit

from adjointbench.adjoints.jax import solve
from adjointbench.adjoints.tableaus import tableau

ADAPTIVE = ("rodas5p", "rodas4p", "kvaerno5")
SOLVERS = (*ADAPTIVE, "implicit_midpoint")
P = np.array([1.3, 0.7, 0.4, 40.0])
Y0 = np.array([1.0, 0.4])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def forced(t, y, p, xp=jnp):
    """Stiff, nonlinear, and dependent on time."""
    fast = p[3] * (xp.cos(t) - y[1])
    return xp.stack([p[0] * y[1] - p[1] * y[0] ** 2, fast - p[2] * y[0] * y[1]])


def forced_numpy(t, y, p):
    return forced(t, y, p, np)


def forced_jacobian(t, y, p):
    return np.array([[-2 * p[1] * y[0], p[0]], [-p[2] * y[1], -p[3] - p[2] * y[0]]])


def forced_time_slope(t, y, p):
    return np.array([0 * p[3], -p[3] * np.sin(t)])


def loss_of(y):
    return y[0] ** 2 + 3.0 * y[1]


def complex_step_gradient(solver, steps):
    gradient = []
    for i in range(6):
        x = np.concatenate([P, Y0]).astype(complex)
        x[i] += 1e-30j
        y = replay_implicit(
            forced_numpy, forced_jacobian, forced_time_slope, solver, x[4:], x[:4], steps
        )
        gradient.append(loss_of(y).imag / 1e-30)
    return np.array(gradient)


def gap(a, b):
    return np.linalg.norm(np.asarray(a) - np.asarray(b)) / np.linalg.norm(b)


def gradient_of(function):
    dp, dy0 = jax.grad(function, (0, 1))(jnp.asarray(P), jnp.asarray(Y0))
    return np.concatenate([dp, dy0])


@pytest.mark.parametrize("solver", SOLVERS)
def test_exact_derivative_of_the_accepted_steps(solver):
    options = {"solver": solver, "rtol": 1e-5, "atol": 1e-8, "max_steps": 200}
    if solver == "implicit_midpoint":
        options["first_step"] = 0.02
    steps = solve(forced, Y0, [2.0], P, **options).steps

    def loss(p, y0):
        return loss_of(
            solve(
                forced, y0, [2.0], p, solver=solver, steps=steps, newton_tolerance=1e-12
            ).ys[-1]
        )

    assert len(steps[0]) > 10
    assert gap(gradient_of(loss), complex_step_gradient(solver, steps)) < 1e-11


@pytest.mark.parametrize("solver", SOLVERS)
def test_reverse_and_forward_mode_agree(solver):
    options = {"solver": solver, "rtol": 1e-6, "atol": 1e-9, "max_steps": 200}
    saves = [0.3, 1.1, 2.0]

    def loss(adjoint):
        def of(x):
            found = solve(forced, x[4:], saves, x[:4], adjoint=adjoint, **options)
            return jnp.sum(found.ys**2)

        return of

    x = jnp.concatenate([jnp.asarray(P), jnp.asarray(Y0)])
    reverse = jax.grad(loss("discrete"))(x)
    forward = jax.jacfwd(loss("forward"))(x)
    assert gap(reverse, forward) < (1e-11 if solver.startswith("rodas") else 1e-5)
