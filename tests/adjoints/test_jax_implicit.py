"""Implicit solvers: orders, exact discrete adjoints, failures, time-dependent equations."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from implicit_replay import replay_implicit

import adjointbench as ab
from adjointbench.adjoints.jax import solve

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


def close(a, b, rtol):
    return np.allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=0)


def gap(a, b):
    return np.linalg.norm(np.asarray(a) - np.asarray(b)) / np.linalg.norm(b)


def gradient_of(function):
    dp, dy0 = jax.jit(jax.grad(function, (0, 1)))(jnp.asarray(P), jnp.asarray(Y0))
    return np.concatenate([dp, dy0])


@pytest.mark.parametrize("solver", SOLVERS)
def test_exact_derivative_of_the_accepted_steps(solver):
    options = {"solver": solver, "rtol": 1e-5, "atol": 1e-8, "max_steps": 200}
    if solver == "implicit_midpoint":
        options["first_step"] = 0.02
    steps = solve(forced, Y0, [2.0], P, **options).steps

    def loss(p, y0):
        return loss_of(
            solve(forced, y0, [2.0], p, solver=solver, steps=steps, newton_tolerance=1e-12).ys[-1]
        )

    assert len(steps[0]) > 10
    assert gap(gradient_of(loss), complex_step_gradient(solver, steps)) < 1e-11


@pytest.mark.parametrize("solver", ["rodas5p", "kvaerno5", "implicit_midpoint"])
def test_reverse_and_forward_mode_agree(solver):
    options = {"solver": solver, "rtol": 1e-6, "atol": 1e-9, "max_steps": 200}
    saves = [0.3, 1.1, 2.0]

    def loss(adjoint):
        def of(x):
            found = solve(forced, x[4:], saves, x[:4], adjoint=adjoint, **options)
            return jnp.sum(found.ys**2)

        return of

    x = jnp.concatenate([jnp.asarray(P), jnp.asarray(Y0)])
    reverse = jax.jit(jax.grad(loss("discrete")))(x)
    forward = jax.jit(jax.jacfwd(loss("forward")))(x)
    assert gap(reverse, forward) < (1e-11 if solver.startswith("rodas") else 1e-5)


def van_der_pol(t, y, p):
    return jnp.stack([y[1], p["mu"] * (1 - y[0] ** 2) * y[1] - y[0]])


def solve_oscillator(mu, y0=(2.0, 0.0), end=2.0, **options):
    options = {"rtol": 1e-6, "atol": 1e-9, "max_steps": 4000, **options}
    return solve(van_der_pol, jnp.asarray(y0), [end], {"mu": mu}, **options)


def test_auto_goes_implicit_where_it_is_stiff_and_stays_explicit_where_it_is_not():
    stiff = solve_oscillator(1e3, solver="auto")
    assert stiff.status == "ok"
    assert 0 < stiff.stats["jacobian_evals"] < stiff.stats["steps"]
    assert solve_oscillator(1e3, solver="tsit5").stats["steps"] > 4 * stiff.stats["steps"]
    gentle = solve_oscillator(1.0, solver="auto", end=10.0)
    assert gentle.stats["jacobian_evals"] == 1  # that of the start
    assert close(gentle.ys[-1], solve_oscillator(1.0, end=10.0).ys[-1], 1e-12)


def test_auto_goes_back_to_the_explicit_method():
    """A stiff start that turns gentle: implicit steps only while it lasts."""

    def relaxing(t, y, p):
        return -p * jnp.exp(-10.0 * t) * (y - jnp.cos(t)) - jnp.sin(3.0 * t)

    def run(solver, end):
        return solve(relaxing, jnp.ones(1), [end], 1e5, solver=solver, rtol=1e-8, atol=1e-8)

    assert run("auto", 1.0).stats["jacobian_evals"] > 0
    # After the stiffness has gone, all steps are explicit.
    later = run("auto", 9.0).stats["jacobian_evals"] - run("auto", 4.0).stats["jacobian_evals"]
    assert later == 0


def test_auto_sees_stiff_modes_that_are_at_rest():
    """The steps' own estimate sees none of them, yet they would ruin the derivative."""
    problem = ab.problems.get("burgers")
    exact = ab.gradient(problem, "jax-discrete", rtol=1e-8).dparams["viscosity"]
    found = ab.gradient(problem, "jax-discrete", solver="auto", rtol=1e-4)
    assert found.dparams["viscosity"] == pytest.approx(exact, rel=1e-2)


def test_auto_takes_steps_again_as_they_were():
    """Recomputed windows of steps, rejected ones among them, are those of the one sweep."""

    def slope(**memory):
        def last(mu):
            return solve_oscillator(mu, solver="auto", end=1e3, rtol=1e-5, **memory).ys[-1, 0]

        return jax.jit(jax.grad(last))(jnp.float64(1e3))

    assert close(slope(checkpoints=8), slope(), 1e-9)


@pytest.mark.parametrize("adjoint", ["discrete", "gauss"])
def test_gradient_of_a_solve_that_switches(adjoint):
    def slope(solver, adjoint):
        def last(mu):
            return solve_oscillator(mu, solver=solver, adjoint=adjoint, rtol=1e-8).ys[-1, 0]

        return jax.jit(jax.grad(last))(jnp.float64(1e3))

    assert close(slope("auto", adjoint), slope("rodas5p", "discrete"), 1e-4)


@pytest.mark.parametrize("solver", ["rodas5p", pytest.param("auto", marks=pytest.mark.long)])
def test_lanes_under_vmap_are_the_single_solves(solver):
    @jax.jit
    def gradient(mu):
        return jax.grad(lambda mu: solve_oscillator(mu, solver=solver, end=1.0).ys[-1, 0])(mu)

    mus = jnp.array([2.0, 50.0, 1e3])
    together = jax.jit(jax.vmap(gradient))(mus)
    assert close(together, jnp.stack([gradient(mu) for mu in mus]), 1e-9)


@cache
def to_tolerance(solver, adjoint):
    """A gradient as a function of the tolerance, in one program for all of them."""

    @jax.jit
    def gradient(p, y0, rtol):
        def loss(p, y0):
            options = {"solver": solver, "adjoint": adjoint, "rtol": rtol, "atol": rtol}
            return jnp.sum(solve(forced, y0, [0.15, 0.3], p, **options).ys ** 2)

        return jnp.concatenate(jax.grad(loss, (0, 1))(p, y0))

    return lambda rtol: gradient(jnp.asarray(P), jnp.asarray(Y0), rtol)


@pytest.mark.parametrize(
    ("adjoint", "solver"),
    [
        ("interpolating", "rodas5p"),
        ("gauss", "rodas5p"),
        ("quadrature", "rodas4p"),
        ("backsolve", "rodas5p"),
        ("interpolating", "kvaerno5"),
    ],
)
def test_continuous_adjoints_converge_with_the_tolerance(adjoint, solver):
    """To the discrete adjoint at a tight tolerance, on equations that can be solved backwards."""

    true = to_tolerance("rodas5p", "discrete")(1e-11)
    gradient = to_tolerance(solver, adjoint)
    errors = [gap(gradient(rtol), true) for rtol in (1e-4, 1e-6, 1e-8)]
    assert errors[2] < 1e-6
    assert errors[2] < errors[0] / 50


@pytest.mark.parametrize("solver", ["rodas5p", "kvaerno5"])
def test_estimates_have_the_derivatives_of_frozen_steps(solver):
    """Reverse and forward mode agree to rounding, and with differences of the replayed steps."""
    base = {"solver": solver, "newton_tolerance": 1e-12}
    # A first step as tiny as the solver's own has a stiffness estimate of rounding errors.
    steps = solve(forced, Y0, [1.0], P, rtol=1e-5, atol=1e-7, first_step=0.02, **base).steps

    def estimates(x, adjoint="discrete"):
        found = solve(forced, x[4:], [1.0], x[:4], steps=steps, adjoint=adjoint, **base)
        return jnp.stack([found.error_estimate, found.error_squared, found.stiffness_estimate])

    x = jnp.concatenate([jnp.asarray(P), jnp.asarray(Y0)])
    reverse = jax.jit(jax.jacrev(estimates))(x)
    forward = jax.jit(jax.jacfwd(lambda x: estimates(x, "forward")))(x)
    value, step = jax.jit(estimates), 1e-6
    moved = [(value(x.at[i].add(step)) - value(x.at[i].add(-step))) / (2 * step) for i in range(6)]
    for k in range(3):
        # The embedded error lies ten digits below the state, and rounding six below it.
        assert gap(reverse[k], forward[k]) < 1e-6
        assert gap(jnp.stack(moved)[:, k], forward[k]) < 1e-3


def test_the_given_jacobian_is_used_and_changes_nothing():
    def jacobian(t, y, p):
        return jnp.stack(
            [
                jnp.stack([-2 * p[1] * y[0], p[0]]),
                jnp.stack([-p[2] * y[1], -p[3] - p[2] * y[0]]),
            ]
        )

    given = solve(forced, Y0, [2.0], P, solver="rodas5p", jacobian=jacobian)
    formed = solve(forced, Y0, [2.0], P, solver="rodas5p")
    assert close(given.ys, formed.ys, 1e-10)
    # Another matrix, another solution within the tolerance: it is the one that is used.
    scaled = solve(forced, Y0, [2.0], P, solver="kvaerno5", jacobian=lambda *a: 0 * jacobian(*a))
    assert scaled.stats["linear_solves"] > 2 * formed.stats["steps"]


def test_a_jacobian_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"jacobian returned shape \(2,\)"):
        solve(forced, Y0, [2.0], P, solver="rodas5p", jacobian=lambda t, y, p: y)


@pytest.mark.parametrize("value", [0.0, -1.0, 1.0])
def test_a_newton_tolerance_outside_its_range_is_refused(value):
    with pytest.raises(ValueError, match="newton_tolerance"):
        solve(forced, Y0, [2.0], P, solver="kvaerno5", newton_tolerance=value)


def test_newton_that_cannot_converge_is_a_status():
    """Without its Jacobian no step that time can resolve is small enough to converge."""

    def decay(t, y, p):
        return -1e30 * (y - p)

    def nothing(t, y, p):
        return jnp.zeros((1, 1))

    options = {"solver": "kvaerno5", "jacobian": nothing, "t0": 1.0, "first_step": 1e-3}
    found = solve(decay, jnp.ones(1), [2.0], 0.5, **options)
    assert found.status == "newton"
    assert np.isnan(found.ys).all()


def test_a_singular_matrix_is_a_status():
    """Beside elements this large the identity is lost, and the matrix has rank one."""

    def singular(t, y, p):
        return jnp.full((2, 2), 1e300)

    found = solve(lambda t, y, p: -y, Y0, [2.0], solver="rodas5p", jacobian=singular, t0=1.0)
    assert found.status == "linear_solve"
    assert np.isnan(found.ys).all()


def test_a_solution_that_blows_up_is_a_status():
    found = solve(lambda t, y, p: y**2, jnp.ones(1), [2.0], solver="rodas5p", max_steps=2000)
    assert found.status in ("step_too_small", "nonfinite", "max_steps")
    assert np.isnan(found.ys).all()


@pytest.mark.parametrize("solver", ["rodas5p", "kvaerno5"])
def test_windows_of_the_record_are_taken_again_exactly(solver):
    def loss(**options):
        def of(mu):
            return solve_oscillator(mu, solver=solver, end=300.0, rtol=1e-7, **options).ys[-1, 0]

        return jax.jit(jax.grad(of))(jnp.float64(100.0))

    steps = solve_oscillator(100.0, solver=solver, end=300.0, rtol=1e-7).stats["steps"]
    assert steps > 600
    assert close(loss(checkpoints=20), loss(checkpoints=1), 1e-9)


def test_stiffness_does_not_multiply_rounding():
    """A stage's slope moved by the product of a Jacobian would be off by some percent."""
    problem = ab.problems.get("pollu")
    assert problem.reference is not None
    found = ab.gradient(problem, "jax-discrete", solver="kvaerno5", rtol=1e-4, atol=1e-7)
    apart = np.linalg.norm(found.dy0 - problem.reference.dy0)
    assert apart < 1e-3 * np.linalg.norm(problem.reference.dy0)


@pytest.mark.parametrize("adjoint", ["gauss", "quadrature"])
def test_the_adjoint_of_robertson_is_solved_with_the_transposed_matrix(adjoint):
    problem = ab.problems.get("robertson")
    assert problem.reference is not None
    found = ab.gradient(problem, f"jax-{adjoint}", rtol=1e-4, atol=1e-7)
    assert found.status == "ok"
    assert found.stats.reverse_steps < 100
    for name, exact in problem.reference.dparams.items():
        np.testing.assert_allclose(found.dparams[name], exact, rtol=1e-3)
