"""The discrete adjoint is the exact derivative of the accepted steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from equations import lotka_volterra, numpy_lotka_volterra, replay

from adjointbench.adjoints.jax import solve, storage

P = np.array([1.5, 1.0, 3.0, 1.0])
Y0 = np.array([1.0, 1.0])
SAVES = np.array([0.0, 0.7, 2.0, 3.1, 5.0])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def weighted(ys):
    """A loss that sees every save."""
    w = jnp.linspace(0.5, 1.5, ys.size).reshape(ys.shape)
    return jnp.sum(w * ys**2)


def solve_lv(p, y0, save_at=SAVES, **options):
    options = {"rtol": 1e-5, "atol": 1e-8, "max_steps": 256, **options}
    return solve(lotka_volterra, y0, save_at, p, **options)


def complex_step_gradient(solver, steps, save_at):
    """The derivative of the weighted loss over frozen steps, component by component."""
    w = np.linspace(0.5, 1.5, len(save_at) * 2).reshape(-1, 2)
    gradient = []
    for i in range(6):
        x = np.concatenate([P, Y0]).astype(complex)
        x[i] += 1e-30j
        ys = replay(numpy_lotka_volterra, solver, x[4:], x[:4], steps, save_at)
        gradient.append(np.sum(w * ys**2).imag / 1e-30)
    return np.array(gradient)


def gap(a, b):
    return np.linalg.norm(np.asarray(a) - np.asarray(b)) / np.linalg.norm(b)


@pytest.mark.parametrize("solver", ["tsit5", "dopri5", "dop853", "rk4", "euler"])
def test_exact_derivative_of_the_accepted_steps(solver):
    options = {"solver": solver, **({"first_step": 0.02} if solver in ("rk4", "euler") else {})}
    options["max_steps"] = 512
    steps = solve_lv(P, Y0, **options).steps
    dp, dy0 = jax.grad(lambda p, y: weighted(solve_lv(p, y, **options).ys), (0, 1))(
        jnp.asarray(P), jnp.asarray(Y0)
    )
    expected = complex_step_gradient(solver, steps, SAVES)
    assert gap(jnp.concatenate([dp, dy0]), expected) < 1e-12


def test_replayed_steps_give_the_same_solution_and_gradient():
    solution = solve_lv(P, Y0)

    def loss(p, **options):
        return weighted(solve_lv(p, Y0, **options).ys)

    again = solve_lv(P, Y0, steps=solution.steps)
    assert again.status == "ok"
    np.testing.assert_allclose(again.ys, solution.ys, rtol=1e-13)
    np.testing.assert_allclose(
        jax.grad(loss)(jnp.asarray(P), steps=solution.steps),
        jax.grad(loss)(jnp.asarray(P)),
        rtol=1e-11,
    )


@pytest.mark.parametrize("checkpoints", [16])
def test_checkpoints_change_memory_and_not_the_gradient(checkpoints):
    def gradient(**options):
        options = {"rtol": 1e-9, "atol": 1e-12, "max_steps": 512, **options}
        return jax.grad(lambda p: weighted(solve_lv(p, Y0, **options).ys))(jnp.asarray(P))

    np.testing.assert_allclose(
        gradient(checkpoints=checkpoints), gradient(checkpoints=1), rtol=1e-12
    )


def test_large_states_are_swept_step_by_step_with_the_same_result():
    """Nine copies of a small system exceed the size at which chunks are used."""

    def many(t, y, p):
        return jax.vmap(lambda y: lotka_volterra(t, y, p))(y)

    def gradient(rhs, y0):
        def loss(p):
            return weighted(
                solve(rhs, y0, SAVES, p, rtol=1e-5, atol=1e-8, max_steps=256).ys[..., :]
            )

        return jax.grad(loss)(jnp.asarray(P))

    def loss_many(p):
        ys = solve(many, np.tile(Y0, (9, 1)), SAVES, p, rtol=1e-5, atol=1e-8, max_steps=256).ys
        return weighted(ys[:, 3])

    np.testing.assert_allclose(
        jax.grad(loss_many)(jnp.asarray(P)), gradient(lotka_volterra, Y0), rtol=1e-10
    )


@pytest.mark.parametrize(
    ("solver", "error_norm", "name", "reduction"),
    [
        ("tsit5", "scaled", "error_estimate", "sum"),
        ("tsit5", "absolute", "error_squared", "mean"),
        ("dopri5", "scaled", "stiffness_estimate", "max"),
        ("dop853", "scaled", "error_estimate", "max"),
    ],
)
def test_estimates_have_exact_derivatives(solver, error_norm, name, reduction):
    """Against central differences over frozen steps."""
    options = {"solver": solver, "error_norm": error_norm, "reduction": reduction}
    steps = solve_lv(P, Y0, SAVES[-1:], **options).steps

    def frozen(p):
        return getattr(solve_lv(p, Y0, SAVES[-1:], steps=steps, **options), name)

    found = jax.grad(lambda p: getattr(solve_lv(p, Y0, SAVES[-1:], **options), name))(
        jnp.asarray(P)
    )
    compiled = jax.jit(frozen)
    expected = [(compiled(P + d) - compiled(P - d)) / 2e-6 for d in 1e-6 * np.eye(4)]
    assert gap(found, np.array(expected)) < 1e-5


@pytest.mark.parametrize("options", [{}, {"checkpoints": 3, "max_steps": 24}], ids=["", "windows"])
def test_large_states_are_swept_with_estimates_by_their_exact_derivative(options):
    """The states are copied out of the record, and the slopes are passed from step to step."""
    y0 = np.linspace(0.5, 2.0, 5000)
    options = {"rtol": 1e-6, "atol": 1e-6, "reduction": "mean", "max_steps": 64, **options}

    def total(p, **adjoint):
        s = solve(lambda t, y, p: -p * y**2, y0, np.array([0.7, 2.0]), p, **options, **adjoint)
        ends = jnp.sum(s.ys[0] * s.ys[1]) / 5000
        return ends + s.error_estimate + 3 * s.error_squared + 0.1 * s.stiffness_estimate

    p = jnp.asarray(1.3)
    _, expected = jax.jvp(lambda p: total(p, adjoint="forward"), (p,), (jnp.ones_like(p),))
    found = jax.jit(jax.grad(total))(p)
    assert abs(found - expected) < 1e-11 * abs(expected)


@pytest.mark.parametrize("lanes", [False, True])
@pytest.mark.parametrize(("adjoint", "copies"), [("discrete", 1), ("interpolating", 40)])
def test_what_storage_comes_with_is_never_read(adjoint, copies, lanes, monkeypatch):
    """Of small states, and of larger ones, whose dense output is made again."""

    def many(t, y, p):
        return jax.vmap(lambda y: lotka_volterra(t, y, p))(y)

    def gradient(max_steps):
        options = {"adjoint": adjoint, "engine": "xla", "checkpoints": 16, "max_steps": max_steps}
        start = np.tile(Y0, (copies, 1))
        options |= {"rtol": 1e-5, "atol": 1e-8}
        one = jax.grad(lambda p: weighted(solve(many, start, SAVES, p, **options).ys))
        given = jnp.asarray(P)
        return jax.vmap(one)(jnp.stack([given, 1.2 * given])) if lanes else one(given)

    expected = gradient(251)

    def nothing(shape, dtype, beside):
        worst = jnp.nan if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype).max
        return jnp.full(shape, worst, dtype)

    monkeypatch.setattr(storage, "unfilled", nothing)
    # As many steps are allowed as nowhere else: no other test gets this program.
    np.testing.assert_allclose(gradient(253), expected, rtol=1e-12)


def test_save_times_have_gradients():
    def loss(save_at):
        return weighted(solve_lv(P, Y0, save_at, rtol=1e-9, atol=1e-11, max_steps=512).ys)

    inner = SAVES[1:]
    found = jax.grad(loss)(jnp.asarray(inner))
    expected = [(loss(inner + d) - loss(inner - d)) / 2e-5 for d in 1e-5 * np.eye(4)]
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-5)


def settle(t, y, p):
    """A problem whose adaptive program is smooth: no step is rejected."""
    return -p[0] * y + p[1] * jnp.sin(t) * y[::-1]


@pytest.mark.parametrize("adjoint", ["discrete", "forward"])
def test_derivative_through_the_step_size_is_that_of_the_whole_program(adjoint):
    y0, p = np.array([1.0, 2.0]), np.array([0.7, 0.4])
    options = {"rtol": 1e-3, "atol": 1e-5, "max_steps": 64, "first_step": 0.05}

    def loss(p, **more):
        return weighted(solve(settle, y0, [1.0, 4.0, 6.0], p, **options, **more).ys)

    assert solve(settle, y0, [1.0, 4.0, 6.0], p, **options).stats["rejected"] == 0
    differentiate = jax.jacfwd if adjoint == "forward" else jax.grad

    def through(p):
        return loss(p, adjoint=adjoint, differentiate_step_size=True)

    found = differentiate(through)(jnp.asarray(p))
    whole = jax.jit(through)
    expected = [(whole(p + d) - whole(p - d)) / 2e-6 for d in 1e-6 * np.eye(2)]
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-6)
    assert gap(differentiate(lambda p: loss(p, adjoint=adjoint))(jnp.asarray(p)), found) > 1e-6


def test_forward_mode_agrees_with_the_reverse_sweep():
    def loss(p, adjoint):
        return weighted(solve_lv(p, Y0, adjoint=adjoint).ys)

    forward = jax.jacfwd(lambda p: loss(p, "forward"))(jnp.asarray(P))
    reverse = jax.grad(lambda p: loss(p, "discrete"))(jnp.asarray(P))
    np.testing.assert_allclose(forward, reverse, rtol=1e-11)
