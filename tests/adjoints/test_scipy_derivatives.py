"""The derivative formulas on JAX and PyTorch, against each other and against the complex step."""

import importlib.util

import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab
from adjointbench.adjoints.scipy import derivatives
from adjointbench.adjoints.scipy.derivatives import Derivatives
from adjointbench.adjoints.scipy.flat import flat_system, pack, unpack
from adjointbench.adjoints.scipy.jax_derivatives import JaxBackend
from adjointbench.adjoints.scipy.numpy_derivatives import NumpyBackend
from adjointbench.adjoints.scipy.torch_derivatives import TorchBackend

N, M = 6, 15
KEYS = [
    ("jacobian",),
    ("parameter_jacobian",),
    ("vjp",),
    ("parameter_vjp",),
    ("sensitivities",),
    ("curvature",),
    ("loss_gradient",),
]


def nonlinear(**changes):
    def rhs(t, y, p):
        return (y @ p["a"]) ** 2 * t + p["b"] * p["forcing"] * y

    def loss(ys, p):
        return (ys**3).sum() + (ys[0] * p["b"]).sum()

    return tiny.oscillators(rhs=rhs, loss=loss, **changes)


BACKENDS = pytest.mark.parametrize(
    "backend",
    [JaxBackend(), TorchBackend(), NumpyBackend(nonlinear())],
    ids=["jax", "torch", "numpy"],
)


def by_complex_step(function, x):
    """The Jacobian of `function` at real `x`, output by input."""
    h = 1e-30
    return np.stack([np.ravel(function(x + 1j * h * e)).imag / h for e in np.eye(x.size)], axis=1)


@pytest.fixture(scope="module")
def case():
    problem = nonlinear()
    system = flat_system(problem)
    rng = np.random.default_rng(3)
    theta, y = pack(problem.params), problem.y0.ravel()
    rows = rng.normal(size=(M + N, N))
    return system, theta, y, rng.normal(size=N), rows


def point(backend, system, theta, *keys):
    made = Derivatives(system, backend)
    made.compile(*keys, saves=2)
    with made.active():
        return made, made.at(theta)


@BACKENDS
def test_first_derivatives_of_the_right_hand_side(backend, case):
    system, theta, y, w, _ = case
    t, constants = 0.3, system.constants
    dy = by_complex_step(lambda y: system.rhs(t, y, theta, constants), y)
    dtheta = by_complex_step(lambda theta: system.rhs(t, y, theta, constants), theta)
    made, at = point(backend, system, theta, *KEYS)
    with made.active():
        np.testing.assert_allclose(at.jacobian(t, y), dy, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(at.parameter_jacobian(t, y), dtheta, rtol=1e-13, atol=1e-14)
        expected = np.hstack([w @ dy, w @ dtheta])
        np.testing.assert_allclose(at.vjp(t, y, w), expected, rtol=1e-12, atol=1e-14)


@BACKENDS
def test_sensitivity_equations_and_their_dependence_on_the_state(backend, case):
    system, theta, y, _, rows = case
    t, constants = 0.3, system.constants

    def packed(y):
        """S' in plain NumPy, for a real or complex state."""
        h = 1e-6
        steps = [(y + h * e, y - h * e) for e in np.eye(N)]
        dy = np.stack(
            [
                (system.rhs(t, a, theta, constants) - system.rhs(t, b, theta, constants)) / (2 * h)
                for a, b in steps
            ],
            axis=1,
        )
        moved = [(theta + h * e, theta - h * e) for e in np.eye(M)]
        dtheta = np.stack(
            [
                (system.rhs(t, y, a, constants) - system.rhs(t, y, b, constants)) / (2 * h)
                for a, b in moved
            ]
        )
        out = rows @ dy.T
        out[:M] = out[:M] + dtheta
        return out.ravel()

    made, at = point(backend, system, theta, *KEYS)
    z = np.hstack([y, rows.ravel()])
    with made.active():
        found = at.sensitivities(t, z)
        np.testing.assert_allclose(found[:N], system.rhs(t, y, theta, constants), rtol=1e-13)
        np.testing.assert_allclose(found[N:], packed(y), rtol=1e-7, atol=1e-7)
        dy = by_complex_step(lambda y: system.rhs(t, y, theta, constants), y)
        exact = rows[M:] @ dy.T
        np.testing.assert_allclose(found[N:].reshape(-1, N)[M:], exact, rtol=1e-12, atol=1e-12)
        # The right-hand side is quadratic: differences of it have rounding errors only.
        slope = by_complex_step(lambda y: packed(y.astype(complex)), y)
        np.testing.assert_allclose(at.curvature(t, z), slope, rtol=1e-6, atol=1e-6)


@BACKENDS
def test_derivatives_of_the_loss(backend, case):
    system, theta, _, _, _ = case
    ys = np.random.default_rng(4).normal(size=(2, N))
    made, at = point(backend, system, theta, ("loss_gradient",))
    with made.active():
        loss, dys, _, dtheta = at.loss_gradient(ys, np.zeros(0))
    constants = system.constants
    of_states = by_complex_step(
        lambda y: system.loss(y.reshape(2, N), theta, constants), ys.ravel()
    )
    of_parameters = by_complex_step(lambda p: system.loss(ys, p, constants), theta)
    assert loss == pytest.approx(at.loss(ys, np.zeros(0)), rel=1e-13)
    np.testing.assert_allclose(dys.ravel(), of_states[0], rtol=1e-12)
    np.testing.assert_allclose(dtheta, of_parameters[0], rtol=1e-12, atol=1e-14)


@BACKENDS
def test_derivatives_of_a_jump(backend):
    system = flat_system(tiny.doses())
    theta, y, w = np.array([0.7, 1.0, 2.0, 0.9]), np.array([0.4]), np.array([1.3])
    made, at = point(backend, system, theta, ("jump_jacobians", 1), ("jump_vjp", 1))
    with made.active():
        # y * kept + dose[1], with theta = (k, dose[0], dose[1], kept).
        expected = [[0.9, 0.0, 0.0, 1.0, 0.4]]
        np.testing.assert_allclose(at.jump_jacobians(1, 2.0, y), expected, rtol=1e-14)
        np.testing.assert_allclose(at.jump_vjp(1, 2.0, y, w), 1.3 * np.array(expected[0]))


@BACKENDS
def test_a_jacobian_of_the_problem_is_used(backend, case):
    _, theta, y, w, rows = case
    calls = []

    def jacobian(t, y, p):
        calls.append(t)
        return np.full((N, N), 2.0)

    system = flat_system(nonlinear(jacobian=jacobian))
    made, at = point(backend, system, theta, *KEYS)
    assert made.source == "problem"
    calls.clear()
    with made.active():
        np.testing.assert_array_equal(at.vjp(0.3, y, w)[:N], np.full(N, 2.0 * w.sum()))
        found = at.sensitivities(0.3, np.hstack([y, rows.ravel()]))[N:].reshape(-1, N)[M:]
    np.testing.assert_allclose(found, np.tile(2.0 * rows[M:].sum(axis=1)[:, None], N))
    assert len(calls) == 2


def test_which_framework_is_taken(monkeypatch):
    find = importlib.util.find_spec
    assert ab.gradient(tiny.decay(), "scipy-adjoint").stats.derivatives == "jax"
    monkeypatch.setattr(
        derivatives.importlib.util, "find_spec", lambda name: None if name == "jax" else find(name)
    )
    result = ab.gradient(tiny.decay(), "scipy-adjoint", rtol=1e-9, atol=1e-12)
    assert result.stats.derivatives == "torch"
    assert result.dparams["k"] == pytest.approx(tiny.decay_gradient()[1], rel=1e-8)
    forward = ab.gradient(tiny.doses(), "scipy-forward", solver="radau", rtol=1e-8, atol=1e-11)
    assert forward.stats.derivatives == "torch"
    np.testing.assert_allclose(forward.dparams["dose"], tiny.doses_gradient()[1:3], rtol=1e-6)


def test_without_any_framework_numpy_alone_is_enough(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        derivatives.importlib.util,
        "find_spec",
        lambda name: None if name in ("jax", "torch") else find(name),
    )
    result = ab.gradient(tiny.decay(), "scipy-adjoint", rtol=1e-9, atol=1e-12)
    assert result.stats.derivatives == "complex step"
    assert result.dparams["k"] == pytest.approx(tiny.decay_gradient()[1], rel=1e-8)
    forward = ab.gradient(tiny.doses(), "scipy-forward", solver="radau", rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(forward.dparams["dose"], tiny.doses_gradient()[1:3], rtol=1e-6)


def test_the_global_setting_of_jax_stays_as_it_was():
    import jax

    before = jax.config.jax_enable_x64
    result = ab.gradient(tiny.decay(), "scipy-adjoint", rtol=1e-9, atol=1e-12)
    assert result.dy0.dtype == np.float64
    assert jax.config.jax_enable_x64 == before


def test_packing_keeps_names_shapes_and_order():
    params = {"z": np.arange(6.0).reshape(2, 3), "a": np.array(7.0), "m": np.zeros(0)}
    back = unpack(pack(params), {name: value.shape for name, value in params.items()})
    assert list(back) == list(params)
    for name, value in params.items():
        np.testing.assert_array_equal(back[name], value)


def test_equations_that_do_not_run_on_jax_are_differentiated_by_pytorch():
    def rhs(t, y, p):
        return -p["k"] * y * (2.0 if float(t) > 1.0 else 1.0)  # a value, which JAX cannot branch on

    problem = ab.Problem(
        name="switched",
        rhs=rhs,
        y0=[1.0],
        params={"k": [0.5]},
        t_span=(0.0, 2.0),
        discontinuities=(1.0,),
        loss=lambda ys, p: ys[0, 0],
    )
    for method in ("scipy-adjoint", "scipy-forward"):
        result = ab.gradient(problem, method, rtol=1e-9, atol=1e-12)
        assert result.stats.derivatives == "torch"
        np.testing.assert_allclose(result.dparams["k"], -3.0 * np.exp(-1.5), rtol=1e-7)
