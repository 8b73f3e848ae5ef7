"""A continuous adjoint of the open PyTorch solver is linear in the loss, and in all units."""

from functools import cache

import numpy as np
import pytest
import torch

from adjointbench.adjoints.torch import solve
from adjointbench.adjoints.torch.continuous import CONTINUOUS

EVERY = pytest.mark.parametrize("adjoint", CONTINUOUS)
TURNS = 10.0


def rotation(adjoint, loss=1.0, span=1.0, state=1.0, param=1.0, dtype=torch.float64, **options):
    """Relative errors of the gradients of ``loss (q(T) / state - 0.3)^2``, q(t) = state cos(w t).

    Every unit can be chosen: w T is the same in all of them.
    """
    omega = torch.tensor(TURNS / span * param, dtype=dtype, requires_grad=True)
    y0 = torch.tensor([state, 0.0], dtype=dtype, requires_grad=True)

    def rhs(t, y, p):
        return (p / param) * torch.stack([y[1], -y[0]])

    options = {"rtol": 1e-6, "atol": 1e-9 * state, **options}
    solution = solve(rhs, y0, [span], omega, adjoint=adjoint, **options)
    assert solution.status == "ok"
    (loss * (solution.ys[-1, 0] / state - 0.3) ** 2).backward()
    outer = 2 * loss * (np.cos(TURNS) - 0.3)
    by_omega = -outer * np.sin(TURNS) * span / param
    by_y0 = outer / state * np.array([np.cos(TURNS), np.sin(TURNS)])
    counts = solution.ys.grad_fn.call.pulled.counts
    return (
        abs(omega.grad.item() / by_omega - 1),
        np.abs(y0.grad.numpy() / by_y0 - 1).max(),
        counts.steps + counts.rejected,
    )


@cache
def in_plain_units(adjoint):
    return rotation(adjoint)


@EVERY
@pytest.mark.parametrize(
    "units",
    [
        {"loss": 1e-30},
        {"loss": 1e30},
        {"span": 1e-11},
        {"span": 1e15},
        {"state": 1e9},
        {"state": 1e-9},
        {"param": 1e12},
        {"param": 1e-12},
        {"loss": 1e-20, "state": 1e9, "param": 1e-6, "span": 1e-6},
    ],
)
def test_units_change_neither_accuracy_nor_work(adjoint, units):
    plain = in_plain_units(adjoint)
    found = rotation(adjoint, **units)
    assert max(plain[:2]) < 3e-5
    assert max(found[:2]) < 3e-5
    assert abs(found[2] - plain[2]) <= 20


@pytest.mark.parametrize("adjoint", ["interpolating", "quadrature"])
@pytest.mark.parametrize("loss", [1e-30, 1e30])
def test_with_a_rosenbrock_solver(adjoint, loss):
    assert max(rotation(adjoint, loss=loss, solver="rodas5p")[:2]) < 3e-5


@EVERY
def test_a_tiny_loss_in_float32(adjoint):
    options = {"dtype": torch.float32, "rtol": 1e-4, "atol": 1e-6}
    assert max(rotation(adjoint, loss=1e-20, **options)[:2]) < 5e-3


@EVERY
def test_tolerances_per_component_keep_the_units_of_their_states(adjoint):
    """One component a billion times another: each has its own absolute tolerance."""
    size = torch.tensor([1e9, 1.0], dtype=torch.float64)

    def final(p):
        def rhs(t, y, p):
            return p * torch.stack([1e9 * y[1], -1e-9 * y[0]])

        y0 = size * torch.tensor([1.0, 0.0])
        options = {"rtol": 1e-7, "atol": 1e-10 * size, "adjoint": adjoint}
        return solve(rhs, y0, [1.0], p, **options).ys[-1, 1] * 1e-15

    p = torch.tensor(3.0, dtype=torch.float64)
    found = torch.func.grad(final)(p)
    assert found.item() == pytest.approx(-1e-15 * np.cos(3.0), rel=1e-5)


@EVERY
def test_jumps_are_in_the_same_units(adjoint):
    """y(2) = (y0 e^-k kept + dose) e^-k, in a loss of tiny unit."""
    k, kept, dose, y0, unit = 0.7, 0.9, 1e4, 1e4, 1e-15
    p = torch.tensor([k, kept, dose], dtype=torch.float64, requires_grad=True)
    start = torch.tensor([y0], dtype=torch.float64, requires_grad=True)
    given = {"jump_times": [1.0], "jump": lambda i, t, y, p: p[1] * y + p[2]}
    options = {"rtol": 1e-8, "atol": 1e-7, "adjoint": adjoint}
    ys = solve(lambda t, y, p: -p[0] * y, start, [2.0], p, **given, **options).ys
    (unit * ys.sum()).backward()
    decayed = np.exp(-k)
    slopes = [-2 * y0 * kept * decayed**2 - dose * decayed, y0 * decayed**2, decayed]
    np.testing.assert_allclose(p.grad, unit * np.array(slopes), rtol=1e-6)
    np.testing.assert_allclose(start.grad, [unit * kept * decayed**2], rtol=1e-6)
