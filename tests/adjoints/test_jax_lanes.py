"""Lanes of the compiled solver, in groups: each is what it is alone, whatever the others do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equations import lotka_volterra

from adjointbench.adjoints.jax import lane_groups, solve
from adjointbench.adjoints.jax.control_flow import apart, while_recording
from adjointbench.adjoints.jax.lane_groups import for_groups, group_size, into_group, of_group
from adjointbench.adjoints.jax.storage import buffer

P, Y0 = np.array([1.5, 1.0, 3.0, 1.0]), np.array([1.0, 1.0])

#: Five lanes: two groups, the second of which reaches back over one of the first.
FACTORS = np.array([1.0, 1.5, 0.7, 2.5, 1.2])


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    """Groups of three lanes; each test allows as many steps as no other, for programs are kept."""
    monkeypatch.setattr(lane_groups, "MOST_LANES", 3)
    monkeypatch.setattr(lane_groups, "FEWEST_LANES", 1)
    with jax.enable_x64(True):
        yield


def loss(p, y0=Y0, t0=0.0, save_at=(1.0, 2.0, 3.0), *, estimate=0.0, **options):
    options = {"rtol": 1e-6, "atol": 1e-8, "engine": "xla", **options}
    solution = solve(lotka_volterra, y0, jnp.asarray(save_at), p, t0=t0, **options)
    if not estimate:
        return (solution.ys**2).sum()
    assert solution.error_estimate is not None
    return (solution.ys**2).sum() + estimate * solution.error_estimate


def lanes_of_p():
    return jnp.asarray(FACTORS[:, None] * P)


def check_lanes(one, *given, rtol=1e-11):
    """Together they are as one by one."""
    found = jax.jit(jax.vmap(one))(*given)
    alone = jax.jit(one)
    expected = [alone(*lane) for lane in zip(*given, strict=True)]
    jax.tree.map(
        lambda x, *each: np.testing.assert_allclose(x, np.stack(each), rtol=rtol), found, *expected
    )


@pytest.mark.parametrize(
    ("solver", "options"),
    [
        ("tsit5", {"max_steps": 261}),
        pytest.param("dop853", {"max_steps": 262, "checkpoints": 60}, marks=pytest.mark.long),
        ("tsit5", {"max_steps": 263, "checkpoints": 30}),
        ("rodas5p", {"max_steps": 264, "checkpoints": 30}),
        pytest.param("kvaerno5", {"max_steps": 265, "rtol": 1e-4}, marks=pytest.mark.long),
        ("rk4", {"max_steps": 266, "step_size": 0.05}),
    ],
)
def test_each_is_what_it_is_alone(solver, options):
    """Some go on for more windows of the record than others."""
    check_lanes(jax.grad(lambda p: loss(p, solver=solver, **options)), lanes_of_p())


@pytest.mark.parametrize("reduction", ["mean", "max"])
def test_estimates_of_each(reduction):
    """They are differences of nearly equal numbers: rounding is seen in them sooner."""
    options = {"estimate": 1.0, "reduction": reduction, "max_steps": 275}
    check_lanes(jax.grad(lambda p: loss(p, **options)), lanes_of_p(), rtol=1e-8)


def test_times_starts_and_stops_of_their_own():
    def jump(i, t, y, p):
        return y + 0.1 * p[:2]

    def one(y0, t0, save_at):
        options = {"jump_times": (0.5,), "jump": jump, "max_steps": 267}
        return loss(jnp.asarray(P), y0, t0, save_at, **options)

    y0 = jnp.asarray(FACTORS[:, None] * Y0)
    t0 = jnp.asarray(0.1 * FACTORS)
    save_at = jnp.asarray(FACTORS[:, None] * np.array([1.0, 2.0]))
    check_lanes(jax.grad(one, (0, 1, 2)), y0, t0, save_at)


def test_steps_and_statuses_of_their_own():
    def one(p):
        found = solve(lotka_volterra, Y0, jnp.array([3.0]), p, engine="xla", max_steps=268)
        return found.ys, found.steps, found.stats, found.status_code

    check_lanes(one, lanes_of_p())


def test_a_lane_that_breaks_down_does_so_alone():
    def one(y0):
        ys = solve(lambda t, y, p: y**2, y0, jnp.array([1.0]), engine="xla", max_steps=269).ys
        return ys.sum()

    y0 = jnp.array([[0.5], [2.0], [0.1], [jnp.nan], [0.3]])
    found = jax.jit(jax.vmap(jax.grad(one)))(y0)
    expected = 1 / (1 - y0) ** 2
    expected = expected.at[jnp.array([1, 3])].set(jnp.nan)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7])
def test_any_number_of_lanes(count):
    given = jnp.asarray(np.linspace(1.0, 1.5, count)[:, None] * P)
    one = jax.grad(lambda p: loss(p, max_steps=270))
    found = jax.jit(jax.vmap(one))(given)
    assert found.shape == (count, 4)
    expected = np.array([one(p) for p in given]).reshape(count, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_lanes_of_lanes_and_what_they_share():
    """Over two axes, with one of them shared by the start and one by the parameters."""
    y0 = jnp.asarray(FACTORS[:4, None] * Y0)

    def one(p, y0):
        return jax.grad(lambda p, y0: loss(p, y0, max_steps=271), (0, 1))(p, y0)

    rows = jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(0, None))
    found = jax.jit(rows)(lanes_of_p(), y0)
    alone = jax.jit(one)
    for i, p in enumerate(lanes_of_p()):
        for j, start in enumerate(y0):
            for x, expected in zip(found, alone(p, start), strict=True):
                np.testing.assert_allclose(x[i, j], expected, rtol=1e-11)


def test_the_gradient_of_all_lanes_by_what_they_share():
    def total(q):
        return jax.vmap(lambda p: loss(q * p, max_steps=272))(lanes_of_p()).sum()

    alone = jax.grad(lambda q, p: loss(q * p, max_steps=272))
    expected = sum(alone(jnp.ones(4), p) for p in lanes_of_p())
    np.testing.assert_allclose(jax.jit(jax.grad(total))(jnp.ones(4)), expected, rtol=1e-11)


@pytest.mark.long
def test_second_derivatives_of_lanes():
    options = {"max_steps": 33, "rtol": 1e-3, "atol": 1e-4, "save_at": [1.0]}
    one = jax.hessian(lambda p: loss(p, **options))
    check_lanes(one, lanes_of_p(), rtol=1e-9)
    # Forward mode of what is in lanes already.
    total = lambda p: jax.vmap(jax.grad(lambda p: loss(p, **options)))(p)  # noqa: E731
    direction = jnp.ones_like(lanes_of_p())
    _, found = jax.jit(lambda p: jax.jvp(total, (p,), (direction,)))(lanes_of_p())
    expected = [one(p) @ jnp.ones(4) for p in lanes_of_p()]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_values_without_gradients_and_forward_mode():
    check_lanes(lambda p: loss(p, max_steps=273), lanes_of_p())
    check_lanes(
        jax.jacfwd(lambda p: loss(p, max_steps=274, adjoint="forward")), lanes_of_p(), rtol=1e-9
    )


def test_groups_are_all_but_equal_and_of_a_cpu_alone(monkeypatch):
    lanes = lambda count: jnp.zeros((count, 2))  # noqa: E731
    assert [group_size(n, lanes(n)) for n in (0, 1, 3, 4, 7, 9)] == [0, 1, 3, 2, 3, 3]
    monkeypatch.setattr(lane_groups, "MOST_LANES", 100)
    monkeypatch.setattr(lane_groups, "GROUP_BYTES", 10 * 16)
    assert group_size(20, lanes(20)) == 10
    monkeypatch.setattr(lane_groups, "FEWEST_LANES", 20)
    assert group_size(20, lanes(20)) == 20
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert group_size(1000, lanes(1000)) == 1000


def test_a_group_reaches_back_to_be_as_large_as_the_others():
    values = jnp.arange(7.0)

    def double(found, first):
        return into_group(found, 2 * of_group(values, first, 3), first)

    np.testing.assert_array_equal(for_groups(7, 3, double, jnp.zeros(7)), 2 * values)


def test_a_group_ends_with_its_own_last_lane():
    """Rows are written and read in their places."""
    counts = np.array([1, 5, 2, 4, 0, 3, 1], np.int32)

    def written(count):
        def active(carry, _):
            return carry[0] < carry[1]

        def turn(carry, scale):
            i, n = carry
            return (i + 1, n), ((i, scale * (i.astype(jnp.float64) + 1.0) ** 2),)

        stored = (buffer(6, jnp.zeros(())),)
        (turns, _), (rows,) = while_recording(
            active, turn, (jnp.int32(0), count), stored, jnp.ones(()) * 2.0
        )

        def last(rows_at, turns, scale):
            return scale * rows_at(jnp.maximum(turns - 1, 0)[None])[0]

        return rows[:-1], apart(last, last, rows, turns, jnp.ones(()) * 3.0)

    rows, last = jax.jit(jax.vmap(written))(jnp.asarray(counts))
    squares = 2.0 * (np.arange(6) + 1.0) ** 2
    np.testing.assert_array_equal(rows, np.where(np.arange(6) < counts[:, None], squares, 0))
    expected = 3 * np.where(counts > 0, squares[np.maximum(counts - 1, 0)], 0)
    np.testing.assert_array_equal(last, expected)
