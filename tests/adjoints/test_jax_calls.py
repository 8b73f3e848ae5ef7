"""The open JAX solver in anybody's program: pytrees, arguments, backwards, steps of one size."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adjointbench.adjoints.jax import solve


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def spring(t, state, k):
    """x(t) = cos(sqrt(k) (t - t0)) from rest at 1."""
    return {"x": state["v"], "v": -k * state["x"]}


def end(k, t0=0.0, t1=1.0, **options):
    start = {"x": jnp.array(1.0), "v": jnp.zeros(())}
    given = {"rtol": 1e-9, "atol": {"x": 1e-12, "v": jnp.array(1e-12)}, **options}
    solution = solve(spring, start, jnp.array([(t0 + t1) / 2, t1]), k, t0=t0, **given)
    return solution.ys["x"][-1], solution


def check_spring(options, t1=1.0, t0=0.0):
    gradient = jax.value_and_grad(end, (0, 1), has_aux=True)
    (value, solution), (by_k, by_t0) = gradient(4.0, t0, t1, **options)
    span = t1 - t0
    expected = np.cos(2 * span), -np.sin(2 * span) * span / 4
    np.testing.assert_allclose([value, by_k], expected, rtol=1e-6)
    assert by_t0 == pytest.approx(2 * np.sin(2 * span), rel=1e-6)
    return solution


@pytest.mark.parametrize("options", [{"adjoint": "interpolating"}, {"solver": "rodas5p"}], ids=str)
def test_a_state_is_a_pytree_with_tolerances_for_its_leaves(options):
    assert check_spring(options).ys["v"].shape == (2,)


def test_backwards_the_steps_are_mirrored():
    back = check_spring({}, t1=-1.0)
    ahead = end(4.0)[1]
    np.testing.assert_array_equal(back.steps[1], -ahead.steps[1])
    again = end(4.0, 0.0, -1.0, steps=back.steps)[1]
    np.testing.assert_allclose(again.ys["x"], back.ys["x"], rtol=1e-14)


def test_backwards_under_jit_from_times_that_are_written_down():
    start = {"x": np.array(1.0), "v": np.array(0.0)}
    back = jax.jit(lambda k: solve(spring, start, [0.5, 0.0], k, t0=1.0).ys["x"][-1])
    assert back(4.0) == pytest.approx(np.cos(2), rel=1e-5)


def test_a_traced_direction_is_no_silent_answer():
    status = jax.jit(lambda t1: end(4.0, 0.0, t1)[1].status_code)
    assert status(1.0) == 0
    assert status(-1.0) != 0


def test_steps_of_one_size_with_any_solver():
    """300 of them: more than a record keeps as they are."""
    counted = check_spring({"number_of_steps": 300, "solver": "rodas5p"})
    sized = end(4.0, step_size=1 / 300, solver="rodas5p")[1]
    assert counted.stats["steps"] == sized.stats["steps"] == 300
    np.testing.assert_array_equal(counted.ys["x"], sized.ys["x"])


def test_a_size_that_does_not_divide_the_span_ends_on_it():
    solution = end(4.0, step_size=0.3)[1]
    np.testing.assert_allclose(solution.steps[1], [0.3, 0.3, 0.3, 0.1])


def test_a_function_may_be_a_pytree_of_parameters():
    def loss(k, jump):
        rhs = jax.tree_util.Partial(lambda k, t, y: -k * y, k)
        jumps = {"jump_times": [0.5], "jump": jax.tree_util.Partial(lambda d, i, t, y: y + d, jump)}
        return solve(rhs, np.array(1.0), [1.0], rtol=1e-8, **jumps).ys[-1]

    k, half = jnp.array(2.0), jnp.exp(-1.0)
    assert loss(k, 1.0) == pytest.approx(half**2 + half)
    found = jax.jit(jax.grad(loss, (0, 1)))(k, jnp.array(1.0))
    np.testing.assert_allclose(found, (-(half**2) - half / 2, half), rtol=1e-6)


def test_parameters_that_are_no_arrays_are_static():
    params = {"f": jnp.sinh, "n": 2, "name": None, "k": 0.5}

    def loss(k):
        rhs = lambda t, y, p: p["k"] * p["n"] * y + p["f"](0 * y)  # noqa: E731
        return solve(rhs, 1.0, [1.0], {**params, "k": k}, rtol=1e-9).ys[0]

    value, slope = jax.value_and_grad(loss)(0.5)
    np.testing.assert_allclose([value, slope], [np.e, 2 * np.e], rtol=1e-7)


def test_functions_of_two_arguments_and_of_several():
    def loss(a, b):
        return solve(lambda t, y, a, b: -a * y + b, 1.0, [1.0], args=(a, b), rtol=1e-9).ys[0]

    value, slopes = jax.value_and_grad(loss, (0, 1))(1.0, 0.0)
    np.testing.assert_allclose(
        [value, *slopes], np.exp(-1) * np.array([1, -1, np.e - 1]), rtol=1e-7
    )
    np.testing.assert_allclose(solve(lambda t, y: -y, 1.0, [1.0]).ys, [np.exp(-1)], rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        ({"rhs": lambda t, y, p: (y[0],)}, r"rhs is not of the structure of y0, \(., .\)"),
        ({"rhs": lambda t, y, p: (y[0], y[0])}, r"for y0\[1\], which has shape \(3,\)"),
        ({"y0": (np.ones(2, np.float32), np.ones(3))}, "pass one dtype for all"),
        ({"y0": (1j * np.ones(2), 1j * np.ones(3))}, "imaginary parts"),
        ({"atol": {"x": 1.0}}, "atol is not of the structure of y0"),
        ({"atol": (1.0, np.ones(2))}, r"atol\[1\] has shape \(2,\)"),
        ({"params": [{1, 2}]}, "params: unhashable type"),
        ({"params": 1.0, "args": (1.0,)}, "params and args are both given"),
        ({"step_size": 0.1, "first_step": 0.1}, "step_size and first_step are both given"),
        ({"step_size": 0.1, "max_step": 0.1}, "step_size and max_step are both given"),
        ({"step_size": -0.1}, "step_size=-0.1 must be positive"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(call, match):
    call = {"rhs": lambda t, y, p: y, "y0": (np.ones(2), np.ones(3)), "save_at": [1.0], **call}
    with pytest.raises(ValueError, match=match):
        solve(**call)


def closed_over(k, **options):
    """y' = -k y from 1 to the time 1, then half of it, with k in the closure of both functions."""
    solution = solve(
        lambda t, y: -k * y,
        jnp.ones(2),
        [1.0],
        jump_times=[0.5],
        jump=lambda i, t, y: y * k,
        **options,
    )
    return solution.ys.sum()


@pytest.mark.parametrize(
    "options",
    [{}, {"adjoint": "interpolating"}, {"solver": "rodas5p", "rtol": 1e-8}, {"adjoint": "forward"}],
    ids=str,
)
def test_what_functions_close_over_is_differentiated(options):
    """L = 2 k e^-k."""
    slope = jax.jacfwd if options.get("adjoint") == "forward" else jax.grad
    k = 0.7
    exact = 2 * (1 - k) * np.exp(-k)
    assert slope(lambda k: closed_over(k, **options))(k) == pytest.approx(exact, rel=1e-5)


def test_closures_go_with_jit_and_vmap_and_beside_parameters():
    def loss(k, p):
        return solve(lambda t, y, p: -k * p * y, jnp.ones(1), [1.0], p, rtol=1e-9).ys.sum()

    k, p = jnp.array([0.5, 0.7]), 2.0
    by_both = jax.jit(jax.vmap(jax.grad(loss, (0, 1)), (0, None)))(k, p)
    np.testing.assert_allclose(by_both[0], -p * np.exp(-k * p), rtol=1e-7)
    np.testing.assert_allclose(by_both[1], -k * np.exp(-k * p), rtol=1e-7)


def test_a_function_that_closes_over_numbers_alone_is_compiled_once():
    traced = []
    rate = 0.7

    def rhs(t, y):
        traced.append(t)
        return -rate * y

    solve(rhs, jnp.ones(1), [1.0])
    before = len(traced)
    solve(rhs, 2 * jnp.ones(1), [1.5])
    assert len(traced) == before


def test_no_step_is_longer_than_max_step_which_may_be_traced():
    def run(longest):
        return solve(lambda t, y: -0.1 * y, jnp.ones(1), [0.5, 1.0], max_step=longest)

    found = jax.jit(run)(0.06)
    assert found.padded_steps[:, 1].max() <= 0.06 * (1 + 1e-6)
    assert int(found.stats["steps"]) >= 17
    np.testing.assert_allclose(found.ys[-1], np.exp(-0.1), rtol=1e-9)


def test_the_solution_at_any_time_of_a_structure_backwards():
    found = end(4.0, 1.0, 0.0, dense_output=True)[1]
    at = jnp.array([0.9, 0.2])
    np.testing.assert_allclose(found(at)["x"], np.cos(2 * (1 - at)), rtol=1e-7)
    with pytest.raises(ValueError, match=r"t has 1\.5, which is not between 0.0 and 1.0"):
        found(1.5)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Network:
    """A tree of arrays with a function and a number that are none."""

    weight: jax.Array
    activation: Any = dataclasses.field(metadata={"static": True})
    power: int = dataclasses.field(metadata={"static": True})


def test_a_module_with_static_fields_is_a_tree_of_parameters():
    def loss(net):
        rhs = lambda t, y, net: -net.weight * net.activation(y) ** net.power  # noqa: E731
        return solve(rhs, jnp.ones(1), [1.0], net, rtol=1e-9).ys.sum()

    slope = jax.grad(loss)(Network(jnp.array(0.5), jnp.negative, 2))
    # y' = -w y^2: y(1) = 1 / (1 + w).
    assert slope.weight == pytest.approx(-1 / 1.5**2, rel=1e-7)
