"""``solve_sde``: the discrete adjoint, its composition, breakdowns, and adaptive steps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sde_problems import (
    GBM,
    OU,
    gbm_diffusion,
    gbm_drift,
    gbm_solution,
    mixed_diffusion,
    mixed_drift,
    ou_diffusion,
    ou_drift,
)

from adjointbench.adjoints.jax import BrownianPath, solve_sde
from adjointbench.adjoints.jax.sde.tree import Tree
from adjointbench.adjoints.steps.brownian import Increment
from adjointbench.adjoints.steps.stochastic_step import stochastic_step, stochastic_terms
from adjointbench.adjoints.steps.stochastic_tableaus import STOCHASTIC_TABLEAUS

KEY = jax.random.key(11)
SAVES = np.array([0.0, 0.3, 0.3, 1.0])
START = np.linspace(0.5, 1.5, 3)
TIGHT = {"rtol": 5e-3, "atol": 5e-3}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def mixed(p, y0, **options):
    options = {"key": KEY, **TIGHT, **options}
    return solve_sde(mixed_drift, mixed_diffusion, y0, SAVES, p, **options)


def objective(p, y0, **options):
    """Of all that is differentiable in a solution; and the solution."""
    solution = mixed(p, y0, **options)
    total = jnp.sum(solution.ys**2) + 0.7 * solution.error_estimate + 0.1 * solution.error_squared
    if solution.stiffness_estimate is not None:
        total = total + 0.3 * solution.stiffness_estimate
    return total, solution


def slopes_of(**options):
    """Gradients by parameters and start, and the solution."""
    function = functools.partial(objective, **options)
    return jax.grad(function, (0, 1), has_aux=True)(GBM, START)


def unrolled(p, y0, solution, solver, error_norm, reduction):
    """The same of the accepted steps, one after the other."""
    tableau = STOCHASTIC_TABLEAUS[solver]
    between = jax.jit(Tree(y0.shape, jnp.dtype(jnp.float64), 20).between)
    times = np.concatenate([[0.0], SAVES])
    y, ys, terms = y0, [y0], []
    for t, h in zip(*(np.asarray(x) for x in solution.steps), strict=True):
        interval = int(np.searchsorted(times, t + 1e-9)) - 1
        begin, length = times[interval], times[interval + 1] - times[interval]
        key = jax.random.fold_in(KEY, interval)
        share = np.round(np.array([t - begin, t + h - begin]) / length * 2.0**20) / 2.0**20
        unit = between(key, *share)
        increment = Increment(np.sqrt(length) * unit.w, np.sqrt(length) * unit.area)
        h = share[1] * length - share[0] * length
        step = stochastic_step(
            mixed_drift, mixed_diffusion, tableau, t, y, jnp.asarray(h), increment, p
        )
        terms.append(stochastic_terms(step, y, h, TIGHT["rtol"], TIGHT["atol"], error_norm))
        y = step.y1
        if share[1] == 1:
            ys.append(y)
    ys = jnp.stack([ys[0], ys[1], ys[1], ys[2]])
    join = {"sum": jnp.sum, "mean": jnp.mean, "max": jnp.max}[reduction]
    total = jnp.sum(ys**2)
    for weight, of_steps in zip((0.7, 0.1, 0.3), zip(*terms, strict=True), strict=True):
        if of_steps[0] is not None:
            total = total + weight * join(jnp.stack(of_steps))
    return total


@pytest.mark.parametrize(
    ("solver", "error_norm", "reduction"),
    [("sriw1", "scaled", "sum"), ("sosri2", "absolute", "mean"), ("sosri2", "scaled", "max")],
)
def test_the_gradient_is_jaxs_own_of_the_same_steps(solver, error_norm, reduction):
    options = {"solver": solver, "error_norm": error_norm, "reduction": reduction}
    gradient, solution = slopes_of(**options)
    assert solution.stats["rejected"] > 0
    expected = jax.grad(unrolled, (0, 1))(GBM, jnp.asarray(START), solution, *options.values())
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-10), gradient, expected)


def test_given_steps_are_the_steps_again_and_have_the_same_derivative():
    """Finite differences over the frozen steps are the gradient of the adaptive solve."""
    gradient, solution = slopes_of()
    step = 1e-6
    ends = [
        objective({**GBM, "b": GBM["b"] + s * step}, START, steps=solution.steps)
        for s in (1, 0, -1)
    ]
    assert ends[1][1].status == "ok"
    np.testing.assert_allclose(ends[1][1].ys, solution.ys, rtol=1e-13)
    np.testing.assert_allclose(gradient[0]["b"], (ends[0][0] - ends[2][0]) / (2 * step), rtol=1e-7)


@pytest.mark.parametrize("tolerance", [5e-3, 1e-5])
def test_forward_mode_is_reverse_mode(tolerance):
    """Also of more steps than the 256 whose states are kept: older ones are found again."""
    options = {"rtol": tolerance, "atol": tolerance}
    function = functools.partial(objective, adjoint="forward", **options)
    forward, _ = jax.jacfwd(function, (0, 1), has_aux=True)(GBM, START)
    reverse, solution = slopes_of(**options)
    assert (solution.stats["steps"] > 512) == (tolerance < 1e-4)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-10), reverse, forward)


def test_lanes_are_solved_as_one_by_one():
    """Over keys, start values and parameters at once, compiled, with gradients."""
    keys = jax.random.split(KEY, 3)
    starts = START + np.arange(3.0)[:, None] / 5
    params = {"a": np.array([0.2, 0.5, 0.9]), "b": np.array([0.8, 0.1, 1.2])}

    def one(key, y0, p):
        return jax.grad(lambda p, y: objective(p, y, key=key)[0], (0, 1))(p, y0)

    found = jax.jit(jax.vmap(one))(keys, starts, params)
    for i in range(3):
        alone = one(keys[i], starts[i], jax.tree.map(lambda leaf, i=i: leaf[i], params))
        jax.tree.map(
            lambda many, single, i=i: np.testing.assert_allclose(many[i], single, rtol=1e-9),
            found,
            alone,
        )


def test_jacobians_and_second_derivatives():
    """Reverse mode of each output, and forward mode over reverse mode, as by forward mode alone."""

    def ys(p, adjoint="discrete"):
        return mixed(p, START, adjoint=adjoint).ys[-1]

    def forward(p):
        return ys(p, "forward")

    closely = functools.partial(np.testing.assert_allclose, rtol=1e-9)
    jax.tree.map(closely, jax.jacrev(ys)(GBM), jax.jacfwd(forward)(GBM))
    hessian = jax.jacfwd(jax.grad(lambda p: jnp.sum(ys(p) ** 2)))(GBM)
    twice = jax.jacfwd(jax.jacfwd(lambda p: jnp.sum(forward(p) ** 2)))(GBM)
    jax.tree.map(closely, hessian, twice)


def test_steps_are_found_again_in_float32():
    """Between saves that are no powers of two, where times are rounded."""
    start, saves = np.ones(3, np.float32), np.linspace(1 / 29, 1, 29)
    options = {"key": KEY, "rtol": 1e-4, "atol": 1e-4, "max_steps": 256}
    p = jax.tree.map(np.float32, GBM)
    solution = solve_sde(gbm_drift, gbm_diffusion, start, saves, p, **options)
    options["steps"] = solution.steps
    again = solve_sde(gbm_drift, gbm_diffusion, start, saves, p, **options)
    assert solution.stats["steps"] > 45
    assert again.status == "ok"
    np.testing.assert_allclose(again.ys, solution.ys, rtol=2e-6)


def test_closed_over_values_and_states_of_any_shape():
    """100 trajectories of two components are one system; float32 stays float32."""
    start = np.ones((100, 2), np.float32)

    def total(scale):
        solution = solve_sde(
            lambda t, y: -scale * y, lambda t, y: 0.1 * y, start, [0.5, 1.0], key=KEY
        )
        assert solution.ys.shape == (2, 100, 2)
        assert solution.ys.dtype == jnp.float32
        return solution.ys[-1].mean()

    value, slope = jax.value_and_grad(total)(jnp.float32(1.3))
    np.testing.assert_allclose([value, slope], [np.exp(-1.3), -np.exp(-1.3)], rtol=0.02)


def cubic_noise(t, y, p):
    return 0.5 * y


def cubic(t, y, p):
    """Explodes for large p; for p < -30 there is no number beyond t = -30 / p."""
    return p * y**3 + 0 * jnp.sqrt(1 + t * p / 30)


@pytest.mark.parametrize(
    ("status", "options"),
    [
        ("max_steps", {"max_steps": 3}),
        ("step_too_small", {"path_resolution": 0.25, "rtol": 1e-6, "atol": 1e-6}),
        ("nonfinite", {"p": np.array(-40.0)}),
        ("nonfinite", {"p": np.array(np.nan)}),
        (
            "nonfinite",
            {"p": np.array(1e200), "steps": (np.array([0.0, 0.5]), np.array([0.5, 0.5]))},
        ),
        ("failed", {"steps": (np.array([0.0, 0.6]), np.array([0.5, 0.4]))}),
        ("failed", {"steps": (np.array([0.0, 0.5]), np.array([0.5, 0.3]))}),
    ],
)
def test_breakdowns_are_statuses(status, options):
    options = {"key": KEY, **TIGHT, **options}
    p = options.pop("p", np.array(0.3))

    def end(p):
        solution = solve_sde(cubic, cubic_noise, np.ones(2), [1.0], p, **options)
        return jnp.sum(solution.ys), solution

    solution = end(p)[1]
    assert solution.status == status
    assert np.isnan(solution.ys).all()
    if "max_steps" in options:
        assert np.isnan(jax.grad(end, has_aux=True)(p)[0])


def test_the_error_falls_with_the_tolerance():
    saves = np.linspace(0.25, 1.0, 4)
    start = np.ones(20)
    w = BrownianPath(KEY, start, saves).at_saves()
    exact, _, _ = gbm_solution(saves[:, None], np.asarray(w), GBM)
    errors = []
    for tolerance in (1e-2, 1e-3, 1e-4):
        solution = solve_sde(
            gbm_drift, gbm_diffusion, start, saves, GBM, key=KEY, rtol=tolerance, atol=tolerance
        )
        errors.append(np.sqrt(np.mean((solution.ys - exact) ** 2)))
    assert errors[0] < 0.03
    assert errors[2] < errors[1] / 2 < errors[0] / 4


@pytest.mark.parametrize("solver", ["sriw1", "sra1"])
def test_adaptive_steps_bias_nothing(solver):
    """Mean and variance of an Ornstein-Uhlenbeck process over 4000 paths, steps of their own each.

    The loose tolerance makes steps depend on the path as much as they can.
    """
    keys = jax.random.split(KEY, 4000)

    @jax.jit
    @jax.vmap
    def end(key):
        solution = solve_sde(
            ou_drift,
            ou_diffusion,
            np.ones(()),
            [1.0],
            OU,
            key=key,
            solver=solver,
            rtol=0.02,
            atol=0.02,
        )
        return solution.ys[0], solution.stats["steps"], solution.status_code

    ys, steps, codes = end(keys)
    theta, sigma = OU["theta"], OU["sigma"]
    mean, variance = np.exp(-theta), sigma**2 * (1 - np.exp(-2 * theta)) / (2 * theta)
    assert np.all(codes == 0)
    assert len(set(steps.tolist())) > 3
    assert abs(ys.mean() - mean) < 4 * np.sqrt(variance / len(keys))
    assert abs(ys.var() - variance) < 4 * variance * np.sqrt(2 / len(keys))
