"""Start and save times of the open JAX solver: repeated, traced, batched, differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adjointbench.adjoints.jax import solve

TIGHT = {"rtol": 1e-10, "atol": 1e-12, "max_steps": 512, "solver": "dop853"}
P, T0, Y0 = 0.8, 0.3, 1.3


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def growth(t, y, p):
    """y(t) = y0 exp(p (sin t - sin t0))."""
    return p * jnp.cos(t) * y


def exact(t, t0=T0, p=P, y0=Y0):
    return y0 * np.exp(p * (np.sin(t) - np.sin(t0)))


def saved(t0, saves, p, y0=Y0, **options):
    start = jnp.full(1, y0)
    return solve(growth, start, saves, p, t0=t0, **{**TIGHT, **options}).ys[:, 0]


@pytest.mark.parametrize("adjoint", ["discrete", "forward", "interpolating", "backsolve"])
def test_save_times_that_are_repeated(adjoint):
    """As where series of different lengths are padded with their last time."""
    weights = np.array([0.7, -1.1, 1.6])

    def loss(p, saves):
        ys = saved(T0, saves, p, adjoint=adjoint)
        return ys @ weights, ys

    transform = jax.jacfwd if adjoint == "forward" else jax.grad
    traced = jax.jit(transform(loss, has_aux=True))
    for saves in ([1, 1, 1], [0.5, 1, 1], [0.5, 0.5, 1], [T0, T0, 1], [T0, 0.7, 1]):
        slope, ys = traced(jnp.array(P), jnp.array(saves, float))
        at = np.array(saves, float)
        np.testing.assert_allclose(ys, exact(at), rtol=1e-8, err_msg=str(saves))
        expected = (exact(at) * (np.sin(at) - np.sin(T0))) @ weights
        assert slope == pytest.approx(expected, rel=1e-6), saves


@pytest.mark.parametrize("saves", [[1.0, 1.0], [0.5, 1.0, 1.0]])
def test_save_times_that_are_repeated_and_known(saves):
    np.testing.assert_allclose(saved(T0, saves, P), exact(np.array(saves)), rtol=1e-8)


def test_repeated_saves_at_a_jump_are_the_value_after_it():
    def saves_of(saves):
        return solve(
            lambda t, y, p: -y,
            jnp.ones(1),
            saves,
            jump_times=[0.5, 1.0],
            jump=lambda i, t, y, p: y + 2.0,
            **TIGHT,
        ).ys[:, 0]

    half = np.exp(-0.5) + 2
    end = half * np.exp(-0.5) + 2
    found = jax.jit(saves_of)(jnp.array([0.5, 0.5, 1.0, 1.0]))
    np.testing.assert_allclose(found, [half, half, end, end], rtol=1e-8)


@pytest.mark.parametrize("adjoint", ["discrete", "forward", "interpolating", "backsolve", "gauss"])
def test_derivatives_by_start_and_save_times(adjoint):
    """dy(t)/dt = f, dy(t)/dt0 = -f(t0) dy(t)/dy0; a save at t0 moves with the time alone."""
    at = np.array([T0, 0.9, 2.0])

    def ys(t0, saves, p):
        return saved(t0, saves, p, adjoint=adjoint)

    transform = jax.jacfwd if adjoint == "forward" else jax.jacrev
    by_t0, by_saves, by_p = jax.jit(transform(ys, (0, 1, 2)))(T0, jnp.array(at), P)
    y = exact(at)
    np.testing.assert_allclose(by_t0, -P * np.cos(T0) * y, rtol=1e-6)
    np.testing.assert_allclose(by_saves, np.diag(P * np.cos(at) * y), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(by_p, (np.sin(at) - np.sin(T0)) * y, rtol=1e-6, atol=1e-9)


def test_a_start_time_that_moves_a_jump_near():
    """After a dose at t = 1 nothing but the decay until then depends on the start."""

    def end(t0):
        return solve(
            lambda t, y, p: -P * y,
            jnp.full(1, Y0),
            [2.0],
            t0=t0,
            jump_times=[1.0],
            jump=lambda i, t, y, p: y * y,
            **TIGHT,
        ).ys[0, 0]

    value, slope = jax.jit(jax.value_and_grad(end))(T0)
    expected = Y0**2 * np.exp(-2 * P * (1 - T0) - P)
    np.testing.assert_allclose([value, slope], [expected, 2 * P * expected], rtol=1e-6)


def dosed(t, t0, k, y0, times, doses):
    """Decay from `t0` with those doses that lie between, as a formula."""
    given = sum(
        d * np.exp(-k * (t - at)) for at, d in zip(times, doses, strict=True) if t0 <= at <= t
    )
    return y0 * np.exp(-k * (t - t0)) + given


@pytest.mark.parametrize("solver", ["tsit5", "rk4"])
def test_spans_that_are_traced_with_one_table_of_doses(solver):
    """Each lane has the doses of its own span, those at its ends included."""
    times, doses, k = np.array([0.4, 0.8, 1.2]), np.array([1.0, 2.0, 0.5]), 0.7
    options = {"first_step": 0.01} if solver == "rk4" else {"rtol": 1e-8, "atol": 1e-11}

    def end(t0, t1, dose):
        return solve(
            lambda t, y, p: -k * y,
            jnp.ones(1),
            t1[None],
            dose,
            t0=t0,
            jump_times=times,
            jump=lambda i, t, y, p: y + p[i],
            solver=solver,
            **options,
        ).ys[0, 0]

    spans = np.array([(0.0, 0.3), (0.0, 0.8), (0.0, 1.0), (0.0, 2.0), (0.4, 0.5), (0.9, 2.0)])
    lanes = jax.jit(jax.vmap(jax.value_and_grad(end, 2), in_axes=(0, 0, None)))
    values, slopes = lanes(*spans.T, doses)
    one = np.eye(3)
    for (t0, t1), value, slope in zip(spans, values, slopes, strict=True):
        assert value == pytest.approx(dosed(t1, t0, k, 1.0, times, doses), rel=1e-6)
        expected = [dosed(t1, t0, k, 0.0, times, unit) for unit in one]
        np.testing.assert_allclose(slope, expected, rtol=1e-6)
