"""The contract of every problem in the zoo: one definition, the same numbers everywhere."""

import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from adjointbench import problems

NAMES = problems.names()
DTYPES = ("float64", "float32")
#: Norm of the difference allowed, relative, in units of rounding.
ULPS = 64.0


#: The loss is a mean of absolute values.
NOT_ANALYTIC = ("stiff_neural_ode",)


def close(found, expected, dtype, scale=None):
    """Equal to rounding, relative to the largest component, or to the terms that add up to it."""
    found, expected = np.asarray(found), np.asarray(expected)
    scale = np.max(np.abs(expected)) if scale is None else scale
    assert np.max(np.abs(found - expected)) <= ULPS * np.finfo(dtype).eps * max(scale, 1e-30)


def some_state(problem, seed=0):
    """A state near the start, where nothing is zero by accident."""
    rng = np.random.default_rng(seed)
    return (problem.y0 + 0.1 * rng.uniform(0.5, 1.0, problem.y0.shape)).astype(problem.dtype)


def arguments(problem):
    """``t, y, p`` and saved states on NumPy."""
    y = some_state(problem)
    ys = np.stack([some_state(problem, seed) for seed in range(len(problem.save_at))])
    t = np.asarray(0.3 * problem.t_span[1], dtype=problem.dtype)
    times = np.linspace(*problem.t_span, problem.max_events, dtype=problem.dtype)
    return t, y, problem.merged() | problem.events_seen_by_loss(times), ys


def functions(problem):
    """Every function of the problem as a function of ``(t, y, p, ys)``."""
    found = {
        "rhs": lambda t, y, p, ys: problem.rhs(t, y, p),
        "loss": lambda t, y, p, ys: problem.loss(ys, p),
    }
    if problem.jacobian is not None:
        found["jacobian"] = lambda t, y, p, ys: problem.jacobian(t, y, p)
    if problem.jump is not None:
        found["jump"] = lambda t, y, p, ys: problem.jump(0, t, y, p)
    for i, event in enumerate(problem.events):
        found[f"when {i}"] = lambda t, y, p, ys, when=event.when: when(t, y, p)
        if event.jump is not None:
            found[f"event jump {i}"] = lambda t, y, p, ys, jump=event.jump: jump(t, y, p)
    return found


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture(params=DTYPES)
def problem(request, name):
    return problems.get(name).with_dtype(request.param)


def test_numpy_keeps_shape_and_dtype(problem):
    t, y, p, ys = arguments(problem)
    for label, function in functions(problem).items():
        out = function(t, y, p, ys)
        assert out.dtype == problem.dtype, label
        assert np.isfinite(out).all(), label
    assert problem.rhs(t, y, p).shape == problem.y0.shape
    assert problem.loss(ys, p).shape == ()


def test_jax_gives_the_numbers_of_numpy(problem):
    t, y, p, ys = arguments(problem)
    with jax.enable_x64(True):
        for label, function in functions(problem).items():
            out = jax.jit(function)(*jax.tree.map(jnp.asarray, (t, y, p, ys)))
            assert out.dtype == problem.dtype, label
            close(out, function(t, y, p, ys), problem.dtype)


def test_torch_gives_the_numbers_of_numpy(problem):
    t, y, p, ys = arguments(problem)
    on_torch = jax.tree.map(torch.asarray, (t, y, p, ys))
    for label, function in functions(problem).items():
        out = function(*on_torch)
        assert out.dtype == getattr(torch, problem.dtype.name), label
        close(out.numpy(), function(t, y, p, ys), problem.dtype)


def test_torch_stays_on_the_device_of_the_state(name):
    problem = problems.get(name)
    arrays = jax.tree.map(lambda a: torch.asarray(a).to("meta"), arguments(problem))
    for label, function in functions(problem).items():
        # A tensor made on the default device cannot be combined with one on "meta".
        assert function(*arrays).device.type == "meta", label


@pytest.mark.parametrize("name", [n for n in NAMES if problems.get(n).jacobian is not None])
def test_jacobian_is_the_derivative_of_the_right_hand_side(name):
    problem = problems.get(name)
    t, y, p, _ = arguments(problem)
    with jax.enable_x64(True):
        p = jax.tree.map(jnp.asarray, p)
        expected = jax.jacfwd(lambda u: problem.rhs(t, u.reshape(y.shape), p).ravel())(y.ravel())
        close(problem.jacobian(t, jnp.asarray(y), p), expected, np.float64)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_ANALYTIC])
def test_complex_step_gives_the_derivatives_of_jax(name):
    """The functions take complex numbers and are analytic: a complex step is a derivative."""
    problem = problems.get(name)
    t, y, p, ys = arguments(problem)
    step, rng = 1e-30, np.random.default_rng(1)

    def split(arrays):
        floating = {k: v for k, v in arrays.items() if v.dtype.kind == "f"}
        return floating, {k: v for k, v in arrays.items() if v.dtype.kind != "f"}

    floating, rest = split(p)
    directions = jax.tree.map(lambda a: rng.standard_normal(a.shape), (y, floating, ys))
    moved = jax.tree.map(lambda a, d: a + 1j * step * d, (y, floating, ys), directions)
    for label in ("rhs", "loss"):
        function = functions(problem)[label]

        def flat(y, floating, ys, function=function):
            return function(t, y, floating | rest, ys)

        with jax.enable_x64(True):
            _, expected = jax.jvp(flat, (y, floating, ys), directions)
            scale = sum_of_terms(flat, (y, floating, ys), directions) if label == "loss" else None
        found = function(t + 0j, moved[0], moved[1] | rest, moved[2]).imag / step
        close(found, expected, np.float64, scale)


def sum_of_terms(loss, arguments, directions):
    """The absolute terms of a directional derivative, which may cancel in their sum."""
    gradient = jax.grad(loss, argnums=(0, 1, 2))(*arguments)
    terms = jax.tree.map(lambda g, d: np.abs(g * d).sum(), gradient, directions)
    return max(jax.tree.leaves(terms))


def test_factories_publish_their_definition(name):
    entry = problems.entry(name)
    problem = problems.get(name)
    assert problem.name == name
    assert problem.settings.keys() == entry.defaults.keys()
    assert problem.stiff == entry.stiff
    assert problem.tags == entry.tags
    assert ("stiff" in problem.tags) == problem.stiff
    assert "Reference" in entry.factory.__doc__
    assert entry.summary.endswith(".")


def test_dtype_argument_makes_the_problem_in_that_dtype():
    for name in NAMES:
        if "dtype" in problems.entry(name).defaults:
            made = problems.get(name, dtype="float32")
            assert made.dtype == np.float32
            assert made.definition_hash() == problems.get(name).with_dtype("f4").definition_hash()


@pytest.mark.parametrize(("mu", "t_end", "stiff"), [(1.0, 10.0, False), (1e3, 500.0, True)])
def test_van_der_pol_span_and_stiffness_follow_mu(mu, t_end, stiff):
    problem = problems.get("van_der_pol", mu=mu)
    assert problem.t_span == (0.0, t_end)
    assert problem.stiff is stiff


@pytest.mark.parametrize("n", [1, 5, 100])
def test_heat_equation_of_any_size_keeps_its_steady_state(n):
    """With s = 2 α the parabola x (1 - x) is steady, for the differences as well."""
    problem = problems.get("heat_equation", n=n)
    x = np.arange(1, n + 1) / (n + 1)
    alpha = problem.params["diffusivity"]
    p = problem.merged({"diffusivity": alpha, "source": np.full(n, 2 * alpha)})
    steady = problem.rhs(np.asarray(0.0), x * (1 - x), p)
    np.testing.assert_allclose(steady, 0.0, atol=1e-12 * (n + 1) ** 2)
    assert problem.stiff == (n >= 100)


@pytest.mark.parametrize(
    ("name", "n", "states"),
    [
        ("heat_equation", 100_000, 100_000),
        ("burgers", 100_000, 100_000),
        ("allen_cahn", 100_000, 100_000),
        ("fisher_kpp", 100, 10_000),
        ("thermal_explosion", 32, 32_768),
        ("brusselator", 128, 32_768),
    ],
)
def test_problems_of_any_size_are_made_in_memory_of_that_size(name, n, states):
    tracemalloc.start()
    problem = problems.get(name, n=n)
    problem.rhs(np.asarray(0.0), problem.y0, problem.merged())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert problem.n_states == states
    assert problem.stiff
    saved = len(problem.save_at) * problem.y0.nbytes
    assert most < 100 * problem.y0.nbytes + 5 * saved


@pytest.mark.parametrize("n", [1, 7, 24])
def test_nobody_comes_or_goes_without_growth_and_the_lake_stays_empty(n):
    problem = problems.get("fisher_kpp", n=n)
    t, y, p, _ = arguments(problem)
    centres = (np.arange(n) + 0.5) / n
    lake = np.add.outer((centres - 0.55) ** 2, (centres - 0.6) ** 2) < 0.15**2
    slope = problem.rhs(t, y, p | {"growth": np.zeros((n, n))})
    assert abs(slope.sum()) <= 1e-12 * np.abs(slope).sum()
    assert (slope[lake] == 0.0).all()
    assert (problem.y0[lake] == 0.0).all()


def test_a_layer_of_allen_cahn_rests_to_the_order_of_the_differences():
    """tanh(x / √(2 ε)) is steady on the line, and its ends are ±1 to 1e-6 already."""
    at_rest = []
    for n in (99, 199):
        problem = problems.get("allen_cahn", n=n)
        x = -1.0 + 2.0 * np.arange(1, n + 1) / (n + 1)
        layer = np.tanh(x / np.sqrt(0.02))
        at_rest.append(np.abs(problem.rhs(np.asarray(0.0), layer, problem.merged())).max())
    assert at_rest[0] < 0.01
    assert 3.9 < at_rest[0] / at_rest[1] < 4.1


def test_heat_in_the_block_decays_as_a_product_of_sines():
    """Without a reaction; with other waves and another conductivity in each direction."""
    n, modes, conductivity = 9, np.array([1, 2, 3]), np.array([2.0, 3.0, 5.0])
    problem = problems.get("thermal_explosion", n=n)
    x, y, z = np.sin(np.pi * np.outer(modes, np.arange(1, n + 1)) / (n + 1))
    u = x[:, None, None] * y[:, None] * z
    p = problem.merged() | {"activity": np.zeros((n, n, n)), "conductivity": conductivity}
    rate = (n + 1) ** 2 * np.sum(conductivity * np.sin(0.5 * np.pi * modes / (n + 1)) ** 2)
    np.testing.assert_allclose(problem.rhs(np.asarray(0.0), u, p), -rate * u, atol=1e-12 * rate)


def test_robertson_conserves_mass():
    problem = problems.get("robertson", save_at=[0.4, 4.0, 40.0], t_end=40.0)
    assert problem.save_at.tolist() == [0.4, 4.0, 40.0]
    t, y, p, _ = arguments(problem)
    assert abs(problem.rhs(t, y, p).sum()) <= 1e-15 * np.abs(problem.rhs(t, y, p)).max()


def test_cubic_spiral_data_solve_the_cubic_spiral():
    """The trajectory from (2, 0) against DOP853, which knows nothing of the data's integrator."""
    problem = problems.get("cubic_spiral", batch=1)
    a = np.array([[-0.1, 2.0], [-2.0, -0.1]])
    true = solve_ivp(
        lambda t, y: y**3 @ a,
        problem.t_span,
        [2.0, 0.0],
        t_eval=problem.save_at,
        method="DOP853",
        rtol=1e-12,
        atol=1e-12,
    )
    np.testing.assert_allclose(problem.constants["data"][:, 0], true.y.T, atol=1e-9)


def test_two_spirals_has_free_sizes_and_integer_labels():
    problem = problems.get("two_spirals", batch=7, hidden=5, layers=3)
    assert problem.y0.shape == (7, 2)
    shapes = {name: value.shape for name, value in problem.params.items()}
    assert shapes["w1"] == (2, 5)
    assert shapes["w3"] == (5, 5)
    assert shapes["w4"] == (5, 2)
    assert problem.constants["labels"].tolist() == [0, 1, 0, 1, 0, 1, 0]


def test_two_spirals_loss_is_the_cross_entropy_and_does_not_overflow():
    problem = problems.get("two_spirals", batch=2)
    p = problem.merged(
        {**problem.params, "head_w": np.eye(2), "head_b": np.array([0.0, np.log(3.0)])}
    )
    # Logits (0, log 3) for both points, labels 0 and 1: probabilities 1/4 and 3/4.
    expected = -(np.log(0.25) + np.log(0.75)) / 2
    np.testing.assert_allclose(problem.loss(np.zeros((1, 2, 2)), p), expected, rtol=1e-15)
    far = np.array([[[1e4, 0.0], [1e4, 0.0]]])
    np.testing.assert_allclose(problem.loss(far, p), (1e4 - np.log(3.0)) / 2, rtol=1e-15)


def test_seeds_make_other_weights():
    first, same, other = (problems.get("cubic_spiral", seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.params["w1"], same.params["w1"])
    assert not np.array_equal(first.params["w1"], other.params["w1"])


def test_linear_exact_gradient_agrees_with_finite_differences():
    problem = problems.get("linear")
    loss, dparams, dy0 = problem.exact(problem.params, problem.y0)

    def moved(name, index, step):
        params = {k: v.copy() for k, v in problem.params.items()} | {"y0": problem.y0.copy()}
        params[name][index] += step
        return problem.exact(params, params["y0"])[0]

    for name, gradient in {**dparams, "y0": dy0}.items():
        for index in np.ndindex(gradient.shape):
            slope = (moved(name, index, 1e-6) - moved(name, index, -1e-6)) / 2e-6
            np.testing.assert_allclose(gradient[index], slope, rtol=1e-7, atol=1e-8)
    assert np.isfinite(loss)
