"""The open solver composes with jit, vmap, grad and jacrev, and keeps dtypes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equations import lotka_volterra, riccati

from adjointbench.adjoints.jax import solve

P = jnp.array([1.5, 1.0, 3.0, 1.0])
LANES = 1 + 0.1 * np.arange(3)


def final_sum(y0, p=P, adjoint="discrete", **options):
    options = {"rtol": 1e-8, "atol": 1e-10, "max_steps": 512, **options}
    p = p.astype(y0.dtype)
    return solve(lotka_volterra, y0, [1.0, 4.0], p, adjoint=adjoint, **options).ys.sum()


def starts(dtype=jnp.float32):
    return jnp.asarray(np.stack([LANES, np.ones(3)], axis=1), dtype)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize(
    "adjoint",
    ["discrete", "backsolve", "interpolating", pytest.param("gauss", marks=pytest.mark.long)],
)
def test_vmap_of_grad_and_grad_of_vmap(adjoint, float64):
    one = jax.jit(jax.grad(lambda y: final_sum(y, adjoint=adjoint)))
    expected = np.stack([one(y) for y in starts(jnp.float64)])
    lanes = jax.jit(jax.vmap(one))(starts(jnp.float64))
    np.testing.assert_allclose(lanes, expected, rtol=1e-6)
    together = jax.jit(
        jax.grad(lambda ys: jax.vmap(lambda y: final_sum(y, adjoint=adjoint))(ys).sum())
    )
    np.testing.assert_allclose(together(starts(jnp.float64)), expected, rtol=1e-6)


def test_vmap_over_windows_of_the_record(float64):
    one = jax.grad(lambda y: final_sum(y, rtol=1e-7, checkpoints=16))
    plain = jax.grad(lambda y: final_sum(y, rtol=1e-7, checkpoints=1))
    found, expected = (jax.jit(jax.vmap(f))(starts(jnp.float64)) for f in (one, plain))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_jacrev_gives_a_row_for_each_output():
    ys = lambda y: solve(lotka_volterra, y, [1.0], P, rtol=1e-4, atol=1e-6, max_steps=64).ys[-1]  # noqa: E731
    jacobian = jax.jacrev(ys)(starts()[0])
    rows = [jax.grad(lambda y, i=i: ys(y)[i])(starts()[0]) for i in range(2)]
    np.testing.assert_allclose(jacobian, np.stack(rows), rtol=1e-5)


def test_parameters_are_any_pytree_and_the_state_has_any_shape():
    weights = {"k": jnp.array([[0.3, 0.1], [0.0, 0.2]]), "more": [jnp.float32(0.5), jnp.int32(2)]}

    def rhs(t, y, p):
        scale = p["more"][0] * p["more"][1].astype(y.dtype)
        return -scale * jnp.tanh(y @ p["k"])

    y0 = jnp.ones((3, 2), jnp.float32)

    def loss(p, y0):
        return solve(rhs, y0, [1.0], p, rtol=1e-4, atol=1e-6, max_steps=64).ys.sum()

    dp, dy0 = jax.grad(loss, (0, 1), allow_int=True)(weights, y0)
    assert dp["k"].shape == (2, 2)
    assert dp["more"][0].shape == ()
    assert dy0.shape == (3, 2)
    step = 1e-2
    bump = {"k": weights["k"], "more": [weights["more"][0] + step, weights["more"][1]]}
    dent = {"k": weights["k"], "more": [weights["more"][0] - step, weights["more"][1]]}
    expected = float(loss(bump, y0) - loss(dent, y0)) / (2 * step)
    assert float(dp["more"][0]) == pytest.approx(expected, rel=1e-2)


def test_dtype_is_that_of_the_start_value_and_nothing_is_configured():
    before = jax.config.jax_enable_x64
    solution = solve(lotka_volterra, np.ones(2, np.float32), [1.0], P, max_steps=64)
    assert solution.ys.dtype == jnp.float32
    assert solution.error_estimate.dtype == jnp.float32
    assert jax.config.jax_enable_x64 == before


def test_unused_estimates_and_a_norm_at_zero_have_derivative_zero():
    still = lambda t, y, p: p["k"] * jnp.zeros_like(y)  # noqa: E731

    def loss(p):
        s = solve(still, jnp.ones(2, jnp.float32), [1.0], p, max_steps=32)
        return s.error_estimate + s.stiffness_estimate + s.error_squared

    assert jax.grad(loss)({"k": jnp.float32(1.0)})["k"] == 0.0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"solver": "tsit6"}, "did you mean 'tsit5'"),
        ({"adjoint": "discreet"}, "did you mean 'discrete'"),
        ({"reduction": "median"}, "known: sum, mean, max"),
        ({"save_at": [2.0, 1.0]}, "must not decrease"),
        ({"save_at": []}, "save_at has shape"),
        ({"rhs": lambda t, y, p: y[None]}, "rhs returned shape"),
        ({"max_steps": 0}, "must be positive"),
    ],
)
def test_bad_arguments_are_refused_with_a_remedy(arguments, match):
    good = {"rhs": riccati, "y0": np.ones(1, np.float32), "save_at": [1.0], "params": {"k": 1.0}}
    call = {**good, **arguments}
    with pytest.raises(ValueError, match=match):
        solve(call.pop("rhs"), call.pop("y0"), call.pop("save_at"), call.pop("params"), **call)


@pytest.mark.parametrize(
    ("rhs", "options", "status"),
    [
        (lambda t, y, p: p["k"] * y * y, {}, ("step_too_small", "nonfinite")),
        (lambda t, y, p: jnp.sqrt(0.5 - t) * p["k"] * y, {}, ("nonfinite",)),
        (lambda t, y, p: p["k"] * jnp.sin(50 * t) * y, {"max_steps": 8}, ("max_steps",)),
    ],
)
def test_breakdown_is_a_status_with_nan_values_and_gradients(rhs, options, status):
    options = {"max_steps": 1024, **options}

    def loss(k):
        s = solve(rhs, jnp.ones(1, jnp.float32), [2.0], {"k": k}, **options)
        return s.ys.sum(), s

    gradient, solution = jax.grad(loss, has_aux=True)(jnp.float32(1.0))
    assert solution.status in status
    assert np.isnan(solution.ys).all()
    assert np.isnan(gradient)
