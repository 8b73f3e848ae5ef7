"""The solution between its saves and before its jumps, in JAX: values, gradients, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adjointbench.adjoints.jax import solve
from tests.adjoints.equations import lotka_volterra

JUMPS = [0.0, 1.0, 2.0, 2.0, 3.0, 9.0]
DOSES = {"k": 0.7, "d": np.arange(1.0, 7.0)}
END = np.array([3.0])
TIMES = np.array([0.0, 0.3, 1.0, 1.7, 2.0, 2.5, 3.0])


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


def dosed(p, y0=2.0, **options):
    """``y' = -k y`` with doses, one at the start, two at one time, one at the end, one after it."""
    return solve(
        lambda t, y, p: -p["k"] * y,
        jnp.array([y0]),
        END,
        p,
        jump_times=JUMPS,
        jump=lambda i, t, y, p: y + p["d"][i],
        dense_output=True,
        **{"rtol": 1e-9, "atol": 1e-11, **options},
    )


def exact(t, p, y0=2.0, *, side="after"):
    jumps = jnp.array(JUMPS)
    acts = (t > jumps) if side == "before" else (t >= jumps)
    since = jnp.where(acts, t - jumps, 0.0)
    return y0 * jnp.exp(-p["k"] * t) + jnp.sum(
        jnp.where(acts, p["d"] * jnp.exp(-p["k"] * since), 0)
    )


@pytest.mark.parametrize(
    ("solver", "adjoint"),
    [("tsit5", "discrete"), ("rodas5p", "forward"), ("tsit5", "backsolve")],
)
def test_gradients_on_both_sides_of_jumps_are_those_of_the_closed_form(solver, adjoint):
    def both_sides(read):
        weights = 1 + jnp.arange(14.0)
        return lambda p, y0: (
            weights @ jnp.concatenate([read(p, y0, s) for s in ("after", "before")])
        )

    def read(p, y0, side):
        return dosed(p, y0, solver=solver, adjoint=adjoint)(TIMES, side=side)[:, 0]

    def true(p, y0, side):
        return jax.vmap(lambda t: exact(t, p, y0, side=side))(TIMES)

    derivative = jax.jacfwd if adjoint == "forward" else jax.grad
    found = jax.jit(derivative(both_sides(read), argnums=(0, 1)))(DOSES, 2.0)
    expected = jax.grad(both_sides(true), argnums=(0, 1))(DOSES, 2.0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-7), found, expected)


def test_states_before_jumps_are_those_before_all_jumps_at_their_time():
    solution = dosed(DOSES)
    expected = [exact(t, DOSES, side="before") for t in JUMPS[:-1]]
    np.testing.assert_allclose(solution.before_jumps[:-1, 0], expected, rtol=1e-7)
    assert np.isnan(solution.before_jumps[-1])


@pytest.mark.parametrize("solver", ["tsit5", pytest.param("kvaerno5", marks=pytest.mark.long)])
def test_read_between_saves_it_is_what_saves_there_are(solver):
    start, times = jnp.array([1.0, 1.0]), jnp.linspace(0.0, 2.0, 9)
    p = jnp.array([1.5, 1.0, 3.0, 1.0])

    def saved(y0, p, t):
        return solve(lotka_volterra, y0, t, p, solver=solver).ys

    def read(y0, p, t):
        own = solve(lotka_volterra, y0, t[-1:], p, solver=solver, dense_output=True)
        return own(t.reshape(3, 3)).reshape(9, 2)

    def total(ys):
        return jax.jit(jax.grad(lambda *x: jnp.sin(ys(*x)).sum(), argnums=(0, 1, 2)))

    for a, b in zip(total(read)(start, p, times), total(saved)(start, p, times), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_a_solution_drives_another_solve_and_is_differentiated_through_it():
    def integral(k):
        y = solve(lambda t, y, k: -k * y, jnp.ones(1), END, k, rtol=1e-9, dense_output=True)
        rhs = lambda t, z, y: y(t)  # noqa: E731
        return solve(rhs, jnp.zeros(1), np.array([1.0]), y, rtol=1e-9).ys[0, 0]

    value, slope = jax.value_and_grad(integral)(0.7)
    np.testing.assert_allclose(value, (1 - np.exp(-0.7)) / 0.7, rtol=1e-7)
    expected = (np.exp(-0.7) * (0.7 + 1) - 1) / 0.7**2
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_outside_the_span_and_after_a_breakdown_there_is_no_solution():
    solution = dosed(DOSES)
    for t in (-1e-9, 3.1, np.nan):
        with pytest.raises(ValueError, match="the span of the solve"):
            solution(t)
    read = jax.jit(lambda solution, t: solution(t))(solution, jnp.array([-1.0, 0.3, 3.1, jnp.nan]))
    assert np.isnan(read[:, 0]).tolist() == [True, False, True, True]
    assert np.isnan(dosed(DOSES, max_steps=2)(0.3)).all()


def test_a_batch_is_read_under_vmap():
    batch = jax.vmap(lambda y0: dosed(DOSES, y0))(jnp.array([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"jax\.vmap"):
        batch(0.3)
    read = jax.vmap(lambda solution: solution(0.3)[0])(batch)
    np.testing.assert_allclose(read, [exact(0.3, DOSES, y0) for y0 in (1.0, 2.0)], rtol=1e-7)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"differentiate_step_size": True}, "differentiate_step_size"),
        ({"checkpoints": 3}, "keeps every step"),
    ],
)
def test_what_does_not_combine_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        dosed(DOSES, **options)


def test_without_dense_output_a_sentence_says_how_to_get_it():
    solution = solve(lambda t, y, k: -k * y, jnp.ones(1), END, 0.7)
    with pytest.raises(ValueError, match="dense_output=True"):
        solution(1.0)
