"""Mass matrices in the open PyTorch solver; that its steps are JAX's is told by whole problems."""

import numpy as np
import pytest
import torch
from mass_equations import (
    END,
    KICKED,
    MASS,
    RATE,
    ROUGH,
    SWITCHED,
    by_rate,
    by_start,
    exact,
    rhs,
    switched,
    switched_derivative,
    switched_exact,
)

from adjointbench.adjoints.torch import solve

COARSE = {"rtol": 1e-4, "atol": 1e-6}
TIGHT = {"rtol": 1e-8, "atol": 1e-10}


def double(x):
    return torch.tensor(x, dtype=torch.float64)


def solved(k=None, u0=None, saves=(END,), **settings):
    return solve(
        rhs,
        double(ROUGH) if u0 is None else u0,
        double(saves) if isinstance(saves, tuple) else saves,
        {"k": double(RATE) if k is None else k},
        mass=MASS,
        **{"solver": "rodas5p", **settings},
    )


def test_saves_between_steps_and_all_derivatives_are_those_of_the_solution():
    times = (0.5, END)
    by_k, by_u0 = torch.func.jacrev(
        lambda k, u0: solved(k, u0, saves=times, **TIGHT).ys, argnums=(0, 1)
    )(double(RATE), double(ROUGH))
    for i, t in enumerate(times):
        np.testing.assert_allclose(by_k[i], by_rate(t), rtol=1e-6)
        np.testing.assert_allclose(by_u0[i], by_start(t), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "settings", [{}, {"checkpoints": 500}, {"adjoint": "tape"}], ids=["all", "windows", "tape"]
)
def test_values_are_consistent_again_after_jumps_and_discontinuities(settings):
    p = {name: double(value).requires_grad_() for name, value in KICKED.items()}
    u0 = double([1.0, 0.0]).requires_grad_()
    ys = solve(switched, u0, double([0.6, END]), p, **SWITCHED, **settings).ys
    np.testing.assert_allclose(ys.detach(), switched_exact(KICKED), rtol=1e-7)
    weights = double([[0.3, -1.0], [2.0, 0.7]])
    *found, of_start = torch.autograd.grad((weights * ys).sum(), (*p.values(), u0))
    for name, gradient in zip(p, found, strict=True):
        expected = (weights.numpy() * switched_derivative(name)).sum()
        np.testing.assert_allclose(gradient, expected, rtol=1e-6)
    step = switched_exact(KICKED, 1.0 + 1e-30j).imag / 1e-30
    np.testing.assert_allclose(of_start, [(weights.numpy() * step).sum(), 0.0], rtol=1e-6)


def test_derivatives_by_times_are_the_slopes_of_the_solution():
    t0, times = double(0.0).requires_grad_(), double([0.5, END]).requires_grad_()
    ys = solved(saves=times, t0=t0, **TIGHT).ys
    step = 1e-5
    for i, t in enumerate((0.5, END)):
        by_t0, by_times = torch.autograd.grad(ys[i, 0], (t0, times), retain_graph=True)
        slope = (exact(t + step)[0] - exact(t - step)[0]) / (2 * step)
        np.testing.assert_allclose(by_times[i], slope, rtol=1e-6)
        # A start at another time has the same y(t0): log y changes by k (1 + sin t0) dt0.
        np.testing.assert_allclose(by_t0, RATE * exact(t)[0], rtol=1e-6)


@pytest.mark.parametrize("stops", [{}, {"discontinuities": (1.0,)}], ids=["smooth", "stop"])
def test_lanes_give_what_each_gives_alone(stops):
    def total(k, u0):
        return (solved(k, u0, **COARSE, **stops).ys ** 2).sum()

    gradient = torch.func.grad(total, argnums=(0, 1))
    rates, starts = double([0.2, RATE]), torch.stack([double(ROUGH), 1.2 * double(ROUGH)])
    together = torch.func.vmap(gradient)(rates, starts)
    for i, pair in enumerate(zip(rates, starts, strict=True)):
        for lanes, alone in zip(together, gradient(*pair), strict=True):
            np.testing.assert_allclose(lanes[i], alone, rtol=1e-9, atol=1e-12)


PAIRS = 20


def chain(t, u, p):
    """Pairs of a decaying and an algebraic component, each coupled with its neighbours'."""
    y, z = u[0::2], u[1::2]
    slope = p["k"] * (torch.roll(z, 1) + torch.roll(z, -1) - 2.0 * z) - 0.1 * y**3
    return torch.stack([slope, z + 0.1 * z**3 - y], dim=1).ravel()


@pytest.mark.parametrize("linear_solver", ["dense", "sparse"])
def test_large_states_are_swept_stage_by_stage_with_any_linear_solver(linear_solver):
    u0 = torch.stack([torch.linspace(0.5, 1.0, PAIRS), torch.zeros(PAIRS)], dim=1).ravel().double()
    places = np.kron(np.eye(PAIRS), np.ones((2, 2)))
    for shift in (1, -1):
        places = places + np.kron(np.roll(np.eye(PAIRS), shift, axis=1), [[0.0, 1.0], [0.0, 0.0]])
    # An entry of M where the Jacobian has none.
    mass = np.kron(np.eye(PAIRS), np.diag([1.0, 0.0]))
    mass[0, 10] = 0.25

    def gradient(adjoint):
        k = torch.linspace(0.5, 1.0, PAIRS).double().requires_grad_()
        solution = solve(
            chain,
            u0,
            torch.ones(1),
            {"k": k},
            mass=mass,
            solver="rodas5p",
            adjoint=adjoint,
            linear_solver=linear_solver,
            jacobian_sparsity=places,
            **COARSE,
        )
        assert solution.status == "ok"
        assert solution.linear_solver.startswith(linear_solver)
        return torch.autograd.grad((solution.ys**2).sum(), k)[0]

    np.testing.assert_allclose(gradient("discrete"), gradient("tape"), rtol=1e-9)


def test_equations_that_look_at_values_are_differentiated_by_autograd():
    def looking(t, u, p):
        return rhs(t, u, p) if float(u[0].detach()) > -1e9 else 0.0 * u

    k = double(RATE).requires_grad_()
    ys = solve(looking, double(ROUGH), double([END]), {"k": k}, mass=MASS, solver="rodas5p").ys
    found = torch.autograd.grad(ys[-1, 0], k)[0]
    np.testing.assert_allclose(found, by_rate(END)[0], rtol=1e-4)


@pytest.mark.parametrize(
    ("equations", "status"),
    [
        (lambda t, u, p: torch.stack([u[1], u[2] - u[0], u[0] - p["k"] * t]), "linear_solve"),
        (lambda t, u, p: torch.stack([p["k"] * u[0], 0.0 * u[1], u[2] ** 2 + 1.0]), "newton"),
    ],
)
def test_a_start_without_consistent_values_is_a_status(equations, status):
    k, mass = double(1.0).requires_grad_(), np.diag([1.0, 1.0, 0.0])
    solution = solve(
        equations, double([1.0, 1.0, 1.0]), double([1.0]), {"k": k}, mass=mass, solver="rodas5p"
    )
    assert solution.status == status
    assert solution.ys.isnan().all()
    assert torch.autograd.grad(solution.ys.sum(), k)[0].isnan()


def test_what_does_not_go_with_a_mass_matrix_is_refused():
    for settings, words in (
        ({"solver": "kvaerno5"}, "use one of: rodas5p, rodas4p"),
        ({"adjoint": "quadrature"}, "use adjoint='discrete', 'tape' or 'forward'"),
        ({"engine": "native"}, "a mass matrix is nothing that a native loop does"),
        ({"compile": True}, "loops with a mass matrix run eagerly"),
    ):
        with pytest.raises(ValueError, match=words):
            solved(**settings)
    assert solved(saves=(0.1,)).stiffness_estimate is None
