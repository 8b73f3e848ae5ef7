"""Events in the JAX solver: closed forms, and what is not defined."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import adjointbench as ab
from adjointbench import Event
from adjointbench.adjoints.jax import solve
from adjointbench.adjoints.result import STATUSES


@pytest.fixture(autouse=True)
def in_double():
    with jax.enable_x64(True):
        yield


TIGHT = {"rtol": 1e-10, "atol": 1e-12}
BOUNCES = 20


def falling(t, y, p):
    return jnp.stack([y[1], -p["g"] + 0 * y[1]])


BOUNCE = Event(
    when=lambda t, y, p: y[0],
    jump=lambda t, y, p: jnp.stack([y[0], -p["restitution"] * y[1]]),
    direction=-1,
)


def bounce_times(p):
    """When a ball that falls from a height hits the ground."""
    first = jnp.sqrt(2 * p["height"] / p["g"])
    flights = 2 * first * p["restitution"] ** jnp.arange(1.0, BOUNCES)
    return first + jnp.concatenate([jnp.zeros(1), jnp.cumsum(flights)])


def speeds_before(p):
    """Its velocity just before."""
    first = -jnp.sqrt(2 * p["height"] * p["g"])
    return first * p["restitution"] ** jnp.arange(1.0 * BOUNCES)


def dropped(p, **options):
    y0 = jnp.stack([p["height"], 0 * p["height"]])
    save_at = jnp.array([0.3, 2.2, 10.6])
    return solve(falling, y0, save_at, p, events=BOUNCE, **TIGHT, **options)


@pytest.mark.parametrize(
    ("solver", "adjoint"),
    [
        ("tsit5", "discrete"),
        ("rodas5p", "discrete"),
        pytest.param("kvaerno5", "discrete", marks=pytest.mark.long),
        pytest.param("dop853", "discrete", marks=pytest.mark.long),
        pytest.param("auto", "discrete", marks=pytest.mark.long),
        ("tsit5", "forward"),
        ("tsit5", "interpolating"),
        pytest.param("tsit5", "backsolve", marks=pytest.mark.long),
        pytest.param("rodas5p", "gauss", marks=pytest.mark.long),
        pytest.param("tsit5", "quadrature", marks=pytest.mark.long),
    ],
)
def test_a_ball_bounces_twenty_times(solver, adjoint):
    p = {"g": jnp.array(9.81), "restitution": jnp.array(0.9), "height": jnp.array(2.0)}
    weights = jnp.array(np.random.default_rng(0).normal(size=(3, BOUNCES)))

    def measured(p):
        solution = dropped(p, solver=solver, adjoint=adjoint)
        before, after = solution.event_states
        times = solution.event_times[:BOUNCES]
        seen = jnp.stack([times, before[:BOUNCES, 1], after[:BOUNCES, 1]])
        return (weights * seen).sum(), (seen, solution)

    def expected(p):
        before = speeds_before(p)
        seen = jnp.stack([bounce_times(p), before, -p["restitution"] * before])
        return (weights * seen).sum(), seen

    differentiate = jax.jacfwd if adjoint == "forward" else jax.grad
    found, (seen, solution) = differentiate(measured, has_aux=True)(p)
    exact, exactly = jax.grad(expected, has_aux=True)(p)
    assert solution.status == "ok"
    assert not np.isfinite(solution.event_times[BOUNCES:]).any()
    np.testing.assert_allclose(seen, exactly, rtol=1e-10)
    for name, value in exact.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, err_msg=name)


LEVEL = Event(when=lambda t, y, p: y[0] - p)


@jax.jit
def crossings(level):
    """When a sine passes a level in ten units of time."""
    solution = solve(
        lambda t, y, p: jnp.cos(t) + 0 * y, jnp.zeros(1), jnp.array([10.0]), level, events=LEVEL
    )
    return solution.event_times, solution.status_code


@pytest.mark.parametrize("level", [0.5, 0.0, -0.3, 0.999, 0.99999])
def test_all_crossings_are_found_close_pairs_and_one_at_the_start_that_is_none(level):
    times, code = crossings(level)
    first = np.arcsin(level)
    turns = 2 * np.pi * np.arange(3)
    expected = np.sort([*(first + turns), *(np.pi - first + turns)])
    expected = expected[(expected > 0) & (expected < 10)]
    assert STATUSES[int(code)] == "ok"
    assert np.isfinite(times).sum() == len(expected)
    # A close pair is nearly a touch, whose time the error of the solve moves by its root.
    np.testing.assert_allclose(times[: len(expected)], expected, atol=1e-3 if level > 0.9 else 1e-6)
    np.testing.assert_allclose(np.sin(times[: len(expected)]), level, atol=2e-7)


@pytest.mark.parametrize(("level", "status"), [(1 + 1e-9, "event"), (1.0, "event"), (1.01, "ok")])
def test_a_value_that_touches_zero_has_no_defined_effect(level, status):
    times, code = crossings(level)
    assert STATUSES[int(code)] == status
    assert not np.isfinite(times).any()


def fired(current, *events, save_at=(3.05,), **options):
    """A leaky integrator that is reset at one: to two, every ln 2."""
    return solve(
        lambda t, y, p: p - y,
        jnp.zeros(1),
        jnp.array(save_at),
        current,
        events=events,
        **options,
    )


FIRE = Event(when=lambda t, y, p: y[0] - 1, jump=lambda t, y, p: 0 * y, direction=1)


def test_a_jump_far_away_arms_the_event_again():
    solution = fired(jnp.array(2.0), FIRE, **TIGHT)
    times = np.log(2) * np.arange(1, 5)
    np.testing.assert_allclose(solution.event_times[:4], times, rtol=1e-9)
    np.testing.assert_array_equal(solution.event_index[:6], [0, 0, 0, 0, -1, -1])
    before, after = solution.event_states
    np.testing.assert_allclose(before[:4], 1.0, rtol=1e-14)
    np.testing.assert_array_equal(after, 0.0)
    np.testing.assert_allclose(solution.ys, 2 - 2 * np.exp(times[-1:, None] - 3.05), rtol=1e-8)


@pytest.mark.parametrize(
    ("events", "options", "status"),
    [
        ((FIRE,), {"max_events": 3}, "max_events"),
        ((FIRE, Event(when=lambda t, y, p: 3 * (y[0] - 1))), {}, "event"),
        ((Event(when=lambda t, y, p: t - 1.5, jump=FIRE.jump),), {"save_at": (1.5, 3.0)}, "event"),
        ((Event(when=lambda t, y, p: t - 1.5),), {"save_at": (1.5, 3.0)}, "ok"),
        ((Event(when=lambda t, y, p: t - 3.0, jump=FIRE.jump),), {"save_at": (3.0,)}, "event"),
        (
            (Event(when=lambda t, y, p: t - 1.5, jump=FIRE.jump),),
            {"jump_times": [1.5], "jump": lambda i, t, y, p: y + 1},
            "event",
        ),
    ],
)
def test_what_is_not_defined_is_a_status(events, options, status):
    solution = fired(jnp.array(2.0), *events, **options)
    assert solution.status == status
    if status != "ok":
        assert np.isnan(solution.ys).all()
        assert np.isnan(solution.event_times).all()


HALF = Event(when=lambda t, y, p: y[0] - p["level"], terminal=True)
SAVES = (1.0, 3.0, 5.0)


def stopped(p):
    return solve(
        lambda t, y, p: -p["k"] * y,
        jnp.array([2.0]),
        jnp.array(SAVES),
        p,
        events=HALF,
        max_events=1,
        **TIGHT,
    )


def terminal_time(p):
    solution = stopped(p)
    return solution.event_times[0], solution.ys[:, 0]


def exact_time(p):
    time = jnp.log(2 / p["level"]) / p["k"]
    return time, jnp.stack([2 * jnp.exp(-p["k"]), p["level"], p["level"]])


def assert_close(found, expected):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-12)


P = {"k": 0.7, "level": 0.5}


def test_a_terminal_event_ends_the_solve_and_its_time_is_differentiated():
    p = jax.tree.map(jnp.array, P)
    found = jax.jit(jax.jacrev(terminal_time))(p)
    assert_close(found, jax.jacrev(exact_time)(p))
    solution = stopped(p)
    assert solution.status == "ok"
    assert_close((solution.event_times[0], solution.ys[:, 0]), exact_time(p))


@pytest.mark.long
def test_saves_behind_a_terminal_event_do_not_move():
    slopes = jax.jit(jax.jacrev(partial(_at, jax.tree.map(jnp.array, P))))(jnp.array(SAVES))
    np.testing.assert_allclose(np.diag(slopes), [-1.4 * np.exp(-0.7), 0, 0], rtol=1e-8, atol=1e-12)


@pytest.mark.long
def test_the_time_of_an_event_has_second_derivatives():
    p = jax.tree.map(jnp.array, P)
    found = jax.jit(jax.hessian(lambda p: terminal_time(p)[0]))(p)
    assert_close(found, jax.hessian(lambda p: exact_time(p)[0])(p))


def _at(p, save_at):
    rhs = lambda t, y, p: -p["k"] * y  # noqa: E731
    return solve(rhs, jnp.array([2.0]), save_at, p, events=HALF, max_events=1, **TIGHT).ys[:, 0]


def test_each_of_many_has_its_own_events():
    rates = jnp.array([0.3, 0.7, 1.0])

    def time(k):
        return stopped({"k": k, "level": jnp.array(0.5)}).event_times[0]

    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(time)))(rates)
    np.testing.assert_allclose(values, np.log(4) / rates, rtol=1e-8)
    np.testing.assert_allclose(slopes, -np.log(4) / rates**2, rtol=1e-8)


def test_backwards_in_time_and_of_states_in_a_structure():
    half = Event(
        when=lambda t, y, p: y["a"] - 0.5, jump=lambda t, y, p: {"a": y["a"] + 1, "b": y["b"] + 1}
    )
    solution = solve(
        lambda t, y, p: {"a": -p * y["a"], "b": 0 * y["b"]},
        {"a": jnp.array(0.1), "b": jnp.zeros(2)},
        jnp.array([0.0]),
        jnp.array(0.7),
        t0=4.0,
        events=half,
        **TIGHT,
    )
    assert solution.event_times[0] == pytest.approx(4 - np.log(5) / 0.7, rel=1e-9)
    before, after = solution.event_states
    assert before["a"][0] == pytest.approx(0.5, rel=1e-12)
    assert after["a"][0] == pytest.approx(1.5, rel=1e-12)
    np.testing.assert_allclose(solution.ys["b"], [[1, 1]])


def test_values_that_functions_close_over_are_differentiated():
    @jax.grad
    def slope(level):
        event = Event(when=lambda t, y, p: y[0] - level, jump=lambda t, y, p: y + level)
        decay = partial(solve, lambda t, y: -y, jnp.array([1.0]), jnp.array([1.0]))
        return decay(events=event, **TIGHT).ys[0, 0]

    # From level l at time -ln l it goes on with 2 l: y(1) = 2 l e^(-1 - ln l) = 2 / e.
    assert slope(0.6) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"dense_output": True}, "dense_output=True does not go with events"),
        ({"steps": (np.zeros(1), np.ones(1))}, "steps does not go with events"),
        ({"differentiate_step_size": True}, "differentiate_step_size=True does not go with"),
        ({"max_events": 0}, "max_events=0 must be a whole number, 1 or more"),
        ({"events": [3]}, r"events has 3; pass adjointbench.Event\("),
        ({"engine": "native"}, "events"),
    ],
)
def test_what_does_not_go_with_events_is_refused(options, told):
    given = {"events": FIRE, **options}
    with pytest.raises(ValueError, match=told):
        solve(lambda t, y, p: p - y, jnp.zeros(1), jnp.array([1.0]), jnp.array(2.0), **given)


def test_a_problem_with_events_refuses_it_too():
    with pytest.raises(ValueError, match="differentiate_step_size=True does not go with events"):
        ab.prepare(ab.problems.get("falling_time"), "jax-discrete", differentiate_step_size=True)


def test_a_solve_without_events_says_so():
    solution = solve(lambda t, y: -y, jnp.ones(1), jnp.array([1.0]))
    with pytest.raises(ValueError, match=r"call solve\(\.\.\., events=\.\.\.\)"):
        _ = solution.event_times
