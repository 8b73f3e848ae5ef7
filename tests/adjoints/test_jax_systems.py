"""Banded and sparse systems of implicit steps on JAX: those of dense matrices, and the truth."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import expm

import adjointbench as ab
from adjointbench.adjoints.jax import solve
from adjointbench.adjoints.jax.systems import calls, found
from adjointbench.adjoints.jax.systems.found import find_system

STATES = 40
SYSTEMS = ("dense", "banded", "sparse", "gmres")


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def diffusion(t, y, p):
    """A chain, its conductivities the parameters; linear."""
    flux = p * jnp.diff(y, append=0.0)
    return flux - jnp.concatenate([jnp.zeros(1), flux[:-1]])


def ring(t, y, p):
    """Neighbours in a circle, and a reaction; no band has all its entries."""
    apart = jnp.roll(y, 1) - 2.0 * y + jnp.roll(y, -1)
    return 50.0 * p * apart - y**3 + jnp.sin(3.0 * t)


def conductivities():
    return jnp.linspace(20.0, 60.0, STATES)


def start():
    return jnp.sin(jnp.linspace(0.3, 2.8, STATES))


def final_square(linear_solver, p, y0, rhs=diffusion, **settings):
    settings = {"solver": "rodas5p", "rtol": 1e-6, "atol": 1e-8, "engine": "xla"} | settings
    solution = solve(rhs, y0, jnp.asarray([0.05, 0.1]), p, linear_solver=linear_solver, **settings)
    return jnp.sum(solution.ys[-1] ** 2 * jnp.arange(1.0, STATES + 1.0)), solution


def gradients(linear_solver, **settings):
    @partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    def found(p, y0):
        return final_square(linear_solver, p, y0, **settings)

    (value, solution), by = found(conductivities(), start())
    return value, solution, by


def assert_alike(one, other, rtol=1e-10):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_linear_chain_has_the_solution_and_the_gradient_of_its_exponential(system):
    value, solution, (_, by_start) = gradients(system, rtol=1e-10, atol=1e-12)
    assert solution.status == "ok"
    assert solution.linear_solver.startswith(system)
    matrix = np.array(jax.jacfwd(lambda y: diffusion(0.0, y, conductivities()))(start()))
    end = expm(0.1 * matrix) @ np.array(start())
    weights = np.arange(1.0, STATES + 1.0)
    assert value == pytest.approx(np.sum(end**2 * weights), rel=1e-9)
    exact = expm(0.1 * matrix).T @ (2.0 * weights * end)
    np.testing.assert_allclose(by_start, exact, rtol=1e-7, atol=1e-7 * np.abs(exact).max())


@pytest.mark.parametrize(
    ("solver", "adjoint", "system"),
    [
        ("kvaerno5", "discrete", "sparse"),
        ("rodas4p", "gauss", "banded"),
        ("rodas5p", "interpolating", "sparse"),
        ("kvaerno5", "discrete", "gmres"),
        ("rodas5p", "gauss", "gmres"),
        pytest.param("rodas5p", "interpolating", "gmres", marks=pytest.mark.long),
        pytest.param("kvaerno5", "discrete", "banded", marks=pytest.mark.long),
        pytest.param("rodas4p", "gauss", "sparse", marks=pytest.mark.long),
        pytest.param("rodas5p", "interpolating", "banded", marks=pytest.mark.long),
    ],
)
def test_gradients_are_those_of_dense_systems(solver, adjoint, system):
    settings = {"solver": solver, "adjoint": adjoint, "rtol": 1e-4}
    assert_alike(gradients(system, **settings)[2], gradients("dense", **settings)[2], 1e-9)


@pytest.mark.parametrize("system", [pytest.param("banded", marks=pytest.mark.long), "sparse"])
def test_the_estimates_of_the_error_are_differentiated_too(system):
    def estimate(which):
        def total(p):
            _, solution = final_square(which, p, start(), solver="kvaerno5", rtol=1e-3)
            return solution.error_estimate + 0.01 * solution.stiffness_estimate

        return jax.grad(total)(conductivities())

    assert_alike(estimate(system), estimate("dense"), 1e-8)


@pytest.mark.parametrize("system", ["banded", "sparse", "gmres"])
def test_lanes_and_forward_mode_give_what_each_gives_alone(system):
    def total(y0):
        return final_square(system, conductivities(), y0, rtol=1e-4)[0]

    lanes = jnp.stack([start(), 2.0 * start(), start() ** 2])
    together = jax.jit(jax.vmap(jax.grad(total)))(lanes)
    alone = jax.jit(jax.grad(total))
    assert_alike(together, jnp.stack([alone(lane) for lane in lanes]), 1e-9)

    def forward(y0):
        return final_square(system, conductivities(), y0, rtol=1e-4, adjoint="forward")[0]

    assert_alike(jax.jacfwd(forward)(start()), alone(start()), 1e-9)


def test_what_is_found_decides_and_is_told():
    def system(rhs, y0, choice="auto", **more):
        return find_system(choice, rhs, y0, conductivities(), more.get("given"), "cpu").name

    assert system(diffusion, start()) == "banded (1 below, 1 above, 3 products)"
    assert system(ring, start()) == "dense"  # of so few, LAPACK has the factors sooner
    assert system(ring, start(), "sparse").startswith("sparse (120 entries, ")
    assert system(lambda t, y, p: jnp.sum(y) * p - y, start()) == "dense"
    assert system(diffusion, start(), "dense") == "dense"
    assert system(diffusion, start(), given=(np.array([0]), np.array([39]))) == "dense"


def test_a_pattern_that_is_asked_for_and_cannot_be_had_is_refused():
    with pytest.raises(ValueError, match=r"linear_solver='banded': .*39 diagonals"):
        final_square("banded", conductivities(), start(), rhs=ring)
    with pytest.raises(ValueError, match="linear_solver='klu' is not known"):
        final_square("klu", conductivities(), start())
    with pytest.raises(ValueError, match=r"jacobian_sparsity has shape \(3, 3\)"):
        final_square("sparse", conductivities(), start(), jacobian_sparsity=np.eye(3))
    with pytest.raises(ValueError, match="engine='native': linear_solver='sparse'"):
        final_square("sparse", conductivities(), start(), engine="native")


@pytest.mark.parametrize(
    ("solver", "system"), [("rodas5p", "banded"), ("kvaerno5", "sparse"), ("rodas5p", "gmres")]
)
def test_an_entry_beside_the_pattern_is_a_status(solver, system):
    given = sparse.diags_array([1.0, 1.0], offsets=[0, 1], shape=(STATES, STATES))
    settings = {"solver": solver, "jacobian_sparsity": given}
    _, solution = final_square(system, conductivities(), start(), **settings)
    assert solution.status == "linear_solve"
    assert np.isnan(solution.ys[-1]).all()


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_given_matrix_is_read_at_its_entries(system):
    def matrix(t, y, p):
        return jax.jacfwd(lambda y: diffusion(t, y, p))(y)

    value, solution = final_square(system, conductivities(), start(), jacobian=matrix)
    assert solution.linear_solver.startswith(system)
    dense, _ = final_square("dense", conductivities(), start())
    assert float(value) == pytest.approx(float(dense), rel=1e-12)


def test_without_a_compiler_factors_come_by_callbacks(monkeypatch):
    own = gradients("sparse", rtol=1e-3)[2]
    monkeypatch.setattr(calls, "handlers", lambda: False)
    monkeypatch.setattr(found, "handlers", lambda: False)
    jax.clear_caches()
    try:
        system = find_system("auto", diffusion, start(), conductivities(), None, "cpu")
        assert system.name == "dense"
        assert_alike(gradients("sparse", rtol=1e-3)[2], own, 1e-12)
    finally:
        jax.clear_caches()


def test_a_training_with_batches_of_other_sizes_has_systems_of_their_own():
    def rhs(t, y, p):
        return 0.1 * jnp.roll(y, 1, axis=-1) - p["k"] * y

    problem = ab.Problem(
        name="batch",
        rhs=rhs,
        y0=np.ones((20, 4)),
        params={"k": 2.0},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: jnp.mean(ys[-1] ** 2),
        stiff=True,
    )
    run = ab.prepare(problem, "jax-discrete", engine="xla")
    assert run().stats.linear_solver.startswith("banded")
    for size in (20, 12):
        y0, k = jnp.ones((size, 4)), {"k": jnp.asarray(2.0)}
        found = run.training_gradient(k, y0, {}, jnp.zeros(1))
        assert float(found.loss) == pytest.approx(np.exp(-3.8), rel=1e-4)
