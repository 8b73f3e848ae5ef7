"""Stops of the open JAX solver: sides, several jumps at one time, and steps that are given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adjointbench.adjoints.jax import solve

TIGHT = {"rtol": 1e-9, "atol": 1e-12, "max_steps": 512}
#: The first jump acts first: two at t = 1, where the rate changes too, one at either end.
JUMP_TIMES = (1.0, 1.5, 1.0, 0.0, 2.0)
SAVES = (0.0, 0.5, 1.0, 1.5, 1.7, 2.0)
VALUES = {"k": 0.6, "dose": [1.0, 0.5, 2.0, 0.3, 4.0], "kept": 0.8, "y0": 0.7}
WEIGHTS = np.array([0.3, 1.0, -2.0, 0.7, 1.3, 0.9])


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def rate(t):
    """Of decay; outside the span it would be felt at once."""
    inside = jnp.where(t < 1.0, 1.0 + 0.5 * t, 3.0 - 0.4 * t * t)
    return jnp.where((t <= 0.0) | (t >= 2.0), 300.0, inside)


def integral(a, b):
    """Of the rate from `a` to `b`, on one side of t = 1."""
    if b <= 1:
        return (b - a) + 0.25 * (b * b - a * a)
    return 3.0 * (b - a) - 0.4 * (b**3 - a**3) / 3


def exact(k, dose, kept, y0):
    """The saves; all arguments may be complex."""
    found, at, y = {}, 0.0, y0
    for t in sorted({*JUMP_TIMES, *SAVES}):
        y, at = y * np.exp(-k * integral(at, t)), t
        for i, when in enumerate(JUMP_TIMES):
            if when == t:
                y = y * kept + dose[i]
        found[t] = y
    return np.array([found[t] for t in SAVES])


def exact_slopes():
    """The gradient of the weighted saves, in the order of ``VALUES``, by a complex step."""
    x = np.hstack(list(VALUES.values()))
    moved = (x + 1e-30j * unit for unit in np.eye(len(x)))
    return np.array([exact(m[0], m[1:6], m[6], m[7]) @ WEIGHTS for m in moved]).imag / 1e-30


@pytest.mark.parametrize(
    ("adjoint", "solver"),
    [
        ("discrete", "tsit5"),
        ("discrete", "rodas5p"),
        ("forward", "tsit5"),
        ("interpolating", "tsit5"),
        ("gauss", "tsit5"),
        ("backsolve", "tsit5"),
    ],
)
def test_switches_and_jumps_at_one_time_at_the_start_and_at_the_end(adjoint, solver):
    def jump(i, t, y, p):
        return y * p["kept"] + p["dose"][i]

    def weighted(p):
        solution = solve(
            lambda t, y, p: -p["k"] * rate(t) * y,
            p["y0"][None],
            SAVES,
            p,
            adjoint=adjoint,
            solver=solver,
            discontinuities=(0.0, 1.0, 2.0),
            jump_times=JUMP_TIMES,
            jump=jump,
            **TIGHT,
        )
        ys = solution.ys[:, 0]
        return ys @ WEIGHTS, (ys, solution.status_code)

    p = {name: jnp.asarray(value) for name, value in VALUES.items()}
    transform = jax.jacfwd if adjoint == "forward" else jax.grad
    slopes, (ys, status) = jax.jit(transform(weighted, has_aux=True))(p)
    assert status == 0
    np.testing.assert_allclose(ys, exact(**VALUES), rtol=1e-7)
    found = np.hstack([slopes[name] for name in VALUES])
    np.testing.assert_allclose(found, exact_slopes(), rtol=1e-6, atol=1e-7)


def test_times_are_rounded_to_float32_before_they_are_compared():
    """4.2 is no number of float32; the dose there is in the last save, and in its gradient."""
    times, k = [1.4, 2.8, 4.2], np.float32(0.5)

    def saved(dose):
        return solve(
            lambda t, y, p: -p["k"] * y,
            jnp.zeros(1, jnp.float32),
            times,
            {"k": k, "dose": dose},
            jump_times=times,
            jump=lambda i, t, y, p: y + p["dose"],
            rtol=1e-5,
            atol=1e-7,
        ).ys[:, 0]

    expected = np.array([sum(np.exp(-k * (t - d)) for d in times if d <= t) for t in times])
    found, slopes = jax.jit(lambda d: jax.vjp(saved, d))(jnp.float32(2.0))
    np.testing.assert_allclose(found, 2 * expected, rtol=1e-5)
    assert slopes(jnp.ones(3, jnp.float32))[0] == pytest.approx(expected.sum(), rel=1e-4)


@pytest.mark.parametrize("given", [{"jump_times": [0.5]}, {"jump": lambda i, t, y, p: y}])
def test_jumps_need_times_and_a_function(given):
    with pytest.raises(ValueError, match="pass both or neither"):
        solve(lambda t, y, p: -y, jnp.ones(1), [1.0], **given)


#: Starts and sizes of four steps: y(1) by them, or none where they do not lead there.
GIVEN_STEPS = {
    "to the end": ([0.0, 0.3, 0.5, 0.8], [0.3, 0.2, 0.3, 0.2], "ok"),
    "padded with nothing": ([0.0, 0.5, 1.0, 1.0], [0.5, 0.5, 0.0, 0.0], "ok"),
    "not to the end": ([0.0, 0.1, 0.2, 0.3], [0.1, 0.1, 0.1, 0.1], "failed"),
    "beyond the end": ([0.0, 0.5, 1.0, 1.5], [0.5, 0.5, 0.5, 0.5], "failed"),
    "with a gap": ([0.0, 0.3, 0.6, 0.8], [0.3, 0.2, 0.2, 0.2], "failed"),
    "from elsewhere": ([0.1, 0.3, 0.5, 0.8], [0.2, 0.2, 0.3, 0.2], "failed"),
}


def test_given_steps_that_do_not_lead_to_the_end_are_a_status():
    def value(k, steps):
        solution = solve(lambda t, y, p: -p * y, jnp.ones(1), [1.0], k, steps=steps)
        return solution.ys[0, 0], solution

    def at_the_end(steps):
        slope, solution = jax.grad(value, has_aux=True)(jnp.array(1.0), steps)
        return solution.status, solution.ys[0, 0], slope

    traced = jax.jit(jax.grad(value, has_aux=True))
    for name, (t, h, status) in GIVEN_STEPS.items():
        steps = np.array(t), np.array(h)
        found, y, slope = at_the_end(steps)
        assert found == status, name
        expected = np.exp(-1.0) if status == "ok" else np.nan
        np.testing.assert_allclose([y, -slope], 2 * [expected], rtol=1e-4, err_msg=name)
        slope, solution = traced(jnp.array(1.0), steps)
        assert (solution.status_code == 0) == (status == "ok"), name
        np.testing.assert_allclose([solution.ys[0, 0], -slope], 2 * [expected], rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_step_sees_the_other_side_of_a_switch(dtype):
    """Steps of a constant rate have no error, unless one of their ends lies beyond the switch."""

    def final(p):
        def rhs(t, y, p):
            return jnp.where(t < dtype(1.1), p[0], p[1]) + 0 * y

        options = {"discontinuities": (1.1,), "rtol": 1e-4, "atol": 1e-6, "max_steps": 64}
        solution = solve(rhs, jnp.zeros(1, dtype), [2.0], p, **options)
        return solution.ys[0, 0], solution

    slopes, solution = jax.grad(final, has_aux=True)(jnp.asarray([10.0, -3.0], dtype))
    assert int(solution.stats["rejected"]) == 0
    np.testing.assert_allclose(slopes, [1.1, 0.9], rtol=1e-5)
