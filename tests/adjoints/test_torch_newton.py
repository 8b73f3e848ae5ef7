"""Diagonally implicit solvers on PyTorch: JAX's steps and gradients, order, failures."""

import jax
import numpy as np
import pytest
import torch
from equations import riccati, riccati_exact

from adjointbench import Problem, gradient, problems
from adjointbench.adjoints.jax import solve as solve_jax
from adjointbench.adjoints.torch import solve
from adjointbench.suite.measuring.errors import gradient_errors

K, START, SAVES = 0.8, 1.3, np.array([0.4, 1.0, 2.0])


def same(one, other, rtol):
    for name, value in other.dparams.items():
        np.testing.assert_allclose(one.dparams[name], value, rtol=rtol)
    np.testing.assert_allclose(one.dy0, other.dy0, rtol=rtol, atol=1e-12)


@pytest.mark.parametrize(
    "solver", [pytest.param("kvaerno5", marks=pytest.mark.long), "implicit_midpoint"]
)
def test_steps_iterations_and_gradients_are_those_of_jax(solver):
    problem = problems.get("van_der_pol")
    theirs = gradient(problem, "jax-discrete", solver=solver)
    for method in ("torch-discrete", "torch-tape", "torch-forward"):
        ours = gradient(problem, method, solver=solver)
        same(ours, theirs, 1e-10)
        for count in ("steps", "rejected", "rhs_evals"):
            assert getattr(ours.stats, count) == getattr(theirs.stats, count), count
    ours = gradient(problem, "torch-discrete", solver=solver)
    assert ours.stats.linear_solves == theirs.stats.linear_solves


def test_kvaerno5_takes_the_steps_of_jax_on_robertson():
    problem = problems.get("robertson")
    options = {"solver": "kvaerno5", "rtol": 1e-5, "atol": 1e-9}
    k = problem.params["k"]
    ours = solve(
        problem.rhs,
        torch.tensor(problem.y0),
        problem.save_at.copy(),
        {"k": torch.tensor(k)},
        **options,
    )
    with jax.enable_x64(True):
        theirs = solve_jax(problem.rhs, problem.y0, problem.save_at, {"k": k}, **options)
        np.testing.assert_allclose(ours.ys, theirs.ys, rtol=1e-9)
        np.testing.assert_allclose(ours.steps[1], theirs.steps[1], rtol=1e-9)
        for count in ("rejected", "rhs_evals", "jacobian_evals", "linear_solves"):
            assert int(ours.stats[count]) == int(theirs.stats[count]), count


@pytest.mark.parametrize("method", ["torch-discrete", "torch-tape", "torch-interpolating"])
def test_robertson_is_as_certified(method):
    problem = problems.get("robertson")
    found = gradient(problem, method, solver="kvaerno5")
    assert found.status == "ok"
    error = gradient_errors(found.dparams, problem.reference.dparams, problem.params)["error"]
    assert error < (1e-4 if method == "torch-interpolating" else 1e-6)


def forced(t, y, p):
    return -p["k"] * y * (1.0 + (t >= 1.0))


def test_a_stage_beyond_a_discontinuity_does_not_cross_it():
    """The third stage of kvaerno5 lies after the end of the step."""
    problem = Problem(
        name="switched",
        rhs=forced,
        y0=np.array([1.0]),
        params={"k": np.array([0.5])},
        t_span=(0.0, 2.0),
        discontinuities=(1.0,),
        loss=lambda ys, p: ys[-1, 0],
    )
    found = gradient(problem, "torch-discrete", solver="kvaerno5", rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.dparams["k"], -3.0 * np.exp(-1.5), rtol=1e-7)


@pytest.mark.parametrize(("solver", "order"), [("kvaerno5", 4.0), ("implicit_midpoint", 1.8)])
def test_value_and_gradient_converge_with_the_order_of_the_solver(solver, order):
    counts, errors = (8, 12, 18), []
    y, dk, dy0 = riccati_exact(SAVES, K, START)
    exact = np.array([y.sum(), dk.sum(), dy0.sum()])
    for count in counts:
        k = torch.tensor(K, dtype=torch.float64, requires_grad=True)
        start = torch.tensor([START], dtype=torch.float64, requires_grad=True)
        h = torch.full((count,), 2.0 / count, dtype=torch.float64)
        steps = (torch.arange(count) * h, h)
        tight = {"rtol": 1e-10, "atol": 1e-12}  # of Newton's method
        value = solve(riccati, start, SAVES, {"k": k}, solver=solver, steps=steps, **tight).ys.sum()
        slopes = torch.autograd.grad(value, (k, start))
        found = [value.item(), *(g.sum().item() for g in slopes)]
        errors.append(np.abs(np.array(found) - exact))
    slopes = np.polyfit(np.log(2.0 / np.array(counts)), np.log(np.array(errors)), 1)[0]
    assert (slopes > order).all(), slopes


def test_second_derivatives_by_the_tape_are_those_of_the_solution():
    """Of ``y0 exp(-k t)``."""

    def value(k):
        one = torch.ones(1, dtype=torch.float64)
        options = {"solver": "kvaerno5", "adjoint": "tape", "rtol": 1e-9, "atol": 1e-12}
        return solve(lambda t, y, k: -k * y, one, [1.0], k, **options).ys.sum()

    k = torch.tensor(0.7, dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(value, k)
    torch.testing.assert_close(hessian, torch.exp(-k), rtol=1e-6, atol=0.0)


def test_iterations_that_do_not_converge_are_a_status():
    def rough(t, y, p):
        return p * torch.sign(torch.sin(1e6 * y))

    y0 = torch.ones(1, dtype=torch.float64, requires_grad=True)
    options = {"solver": "implicit_midpoint", "first_step": 0.5}
    solution = solve(rough, y0, [1.0], torch.tensor(1.0, dtype=torch.float64), **options)
    assert solution.status == "newton"
    assert torch.isnan(solution.ys).all()


def test_compiling_is_refused_with_what_can():
    with pytest.raises(ValueError, match=r"runs eagerly only.*rodas5p"):
        gradient(problems.get("van_der_pol"), "torch-discrete", solver="kvaerno5", compile=True)


def test_a_state_without_axes_is_solved_as_one_with():
    one = torch.tensor(1.0, dtype=torch.float64)
    for y0 in (one, one[None]):
        found = solve(lambda t, y, k: -k * y, y0, [1.0], one, solver="kvaerno5").ys.sum()
        torch.testing.assert_close(found, torch.exp(-one), rtol=1e-6, atol=0.0)
