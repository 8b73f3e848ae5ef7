"""Attempts of the open PyTorch solver that are rejected: they leave no trace in a derivative."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from adjointbench.adjoints.torch import solve
from adjointbench.adjoints.torch.solve import ADJOINTS

T, P = 0.2, 3.0


def log_decay(t, y, p):
    """NaN for negative y, which a first step of size 1 reaches."""
    return -50 * (y - 0.5) + p * torch.log(y)


def log_decay_slope():
    """dy(T)/dp, by sensitivity equations of SciPy at a tight tolerance."""

    def rhs(t, z):
        y, s = z
        return [-50 * (y - 0.5) + P * np.log(y), (-50 + P / y) * s + np.log(y)]

    options = {"rtol": 1e-12, "atol": 1e-14, "method": "DOP853", "first_step": 1e-3}
    return solve_ivp(rhs, (0, T), [1.0, 0.0], **options).y[1, -1]


def slope(final, adjoint, p):
    """The derivative of ``final(p)`` by the mode that the adjoint is for."""
    p = torch.tensor(p, dtype=torch.float64)
    if adjoint == "forward":
        return torch.func.jacfwd(final)(p).item()
    return torch.autograd.grad(final(p.requires_grad_()), p)[0].item()


#: Of a first attempt that leaves the domain.
TOO_FAR = {"rtol": 1e-9, "atol": 1e-12, "first_step": 1.0}


@cache
def meets_nan(solver):
    """Whether the attempts of a solver do, however its steps are differentiated."""
    met = []

    def watched(t, y, p):
        met.append(bool(log_decay(t, y, p).isnan()))
        return log_decay(t, y, p)

    y0 = torch.ones(1, dtype=torch.float64)
    solve(watched, y0, [T], torch.tensor(P), solver=solver, engine="torch", **TOO_FAR)
    return any(met)


def by_log_decay(adjoint, **options):
    """dy(T)/dp of :func:`log_decay`; its NaN is met on the way."""
    options = {**TOO_FAR, "adjoint": adjoint, **options}
    y0 = torch.ones(1, dtype=torch.float64)
    assert meets_nan(options["solver"])
    return slope(lambda p: solve(log_decay, y0, [T], p, **options).ys[-1, 0], adjoint, P)


@pytest.mark.parametrize("adjoint", ADJOINTS)
@pytest.mark.parametrize("solver", ["dop853", "rodas5p"])
def test_an_attempt_outside_the_domain(adjoint, solver):
    found = by_log_decay(adjoint, solver=solver)
    assert found == pytest.approx(log_decay_slope(), rel=1e-6)


@pytest.mark.parametrize("adjoint", ["tape", "forward"])
@pytest.mark.parametrize("solver", ["tsit5", pytest.param("rodas5p", marks=pytest.mark.long)])
def test_an_attempt_outside_the_domain_through_the_step_size(adjoint, solver):
    found = by_log_decay(adjoint, solver=solver, differentiate_step_size=True)
    assert found == pytest.approx(log_decay_slope(), rel=1e-4)


@pytest.mark.parametrize("adjoint", ["tape", "forward"])
def test_the_guess_of_the_first_step_size_may_leave_the_domain_too(adjoint):
    """y' = -p sqrt(y) has the root of y fall linearly; the guess is the whole span."""
    end, root = 0.4, np.sqrt(0.5)

    def rhs(t, y, p):
        return torch.stack([0 * y[0], -p * torch.sqrt(y[1])])

    def final(p):
        # The first component is so accurate that it asks for a long step.
        y0 = torch.tensor([1.0, 0.5], dtype=torch.float64)
        rtol, atol = torch.tensor([1e-15, 1e-8]), torch.tensor([1e-15, 1e-10])
        options = {"adjoint": adjoint, "differentiate_step_size": True}
        return solve(rhs, y0, [end], p, rtol=rtol, atol=atol, **options).ys[-1, 1]

    expected = -end * (root - P * end / 2)
    assert slope(final, adjoint, P) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("through", [False, True])
@pytest.mark.parametrize("solver", ["tsit5", "rodas5p"])
def test_a_rejected_value_that_is_finite_with_a_derivative_that_is_not(through, solver):
    """The square root of what is cut off at zero: 0, with an infinite derivative."""

    def rhs(t, y, p):
        return -50 * (y - 0.5) + p * torch.sqrt(y * (y > 0))

    def final(p):
        y0 = torch.ones(1, dtype=torch.float64)
        options = {"adjoint": "tape", "solver": solver, "differentiate_step_size": through}
        return solve(rhs, y0, [T], p, first_step=1.0, rtol=1e-9, atol=1e-12, **options)

    def sensitivities(t, z):
        y, s = z
        return [-50 * (y - 0.5) + P * np.sqrt(y), (-50 + P / (2 * np.sqrt(y))) * s + np.sqrt(y)]

    options = {"rtol": 1e-12, "atol": 1e-14, "method": "DOP853", "first_step": 1e-3}
    expected = solve_ivp(sensitivities, (0, T), [1.0, 0.0], **options).y[1, -1]
    p = torch.tensor(P, dtype=torch.float64, requires_grad=True)
    solution = final(p)
    assert solution.stats["rejected"] > 0
    (found,) = torch.autograd.grad(solution.ys.sum(), p)
    assert found.item() == pytest.approx(expected, rel=1e-4 if through else 1e-6)
