"""GMRES in three dimensions: gradients in closed form, what does not converge, what is chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from array_api_compat import array_namespace
from grids import grid
from scipy.linalg import expm

import adjointbench as ab
from adjointbench.adjoints.linear_systems import gmres
from adjointbench.adjoints.linear_systems.choice import kind_for
from adjointbench.adjoints.linear_systems.colored_pattern import colored
from adjointbench.adjoints.torch import solve

N, END, DIFFUSIVITY = 5, 0.1, 10.0
START, WEIGHTS = (np.random.default_rng(i).uniform(0.5, 1.5, (N, N, N)) for i in range(2))
#: Second differences along a side.
LINE = np.diag(np.ones(N - 1), -1) - 2.0 * np.eye(N) + np.diag(np.ones(N - 1), 1)

PATTERN = grid(N, 3)

RTOL = 1e-6


def heat(t, u, p):
    """In a cube with cold faces."""
    xp = array_namespace(u)
    total = -6.0 * u
    for axis in range(3):
        ahead = (slice(None),) * axis
        none = 0.0 * u[(*ahead, slice(1))]
        before = xp.concat([none, u[(*ahead, slice(-1))]], axis=axis)
        total = total + before + xp.concat([u[(*ahead, slice(1, None))], none], axis=axis)
    return p["diffusivity"] * total


PROBLEM = ab.Problem(
    name="heat_in_a_cube",
    rhs=heat,
    y0=START,
    params={"diffusivity": DIFFUSIVITY},
    constants={"weights": WEIGHTS},
    t_span=(0.0, END),
    loss=lambda ys, p: array_namespace(ys).sum(ys[-1, ...] * p["weights"]),
    stiff=True,
)


def along_all(matrix: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The product with a matrix along each side."""
    return np.einsum("ai,bj,ck,ijk->abc", matrix, matrix, matrix, u)


def assert_exact(result: ab.GradientResult, rtol: float, end: float = END) -> None:
    """The loss and its gradient are those of the exponential of the matrix."""
    assert result.status == "ok"
    assert result.stats.linear_solver.startswith("gmres (725 entries, ")
    by_start = along_all(expm(end * DIFFUSIVITY * LINE), WEIGHTS)
    slope = heat(0.0, START, {"diffusivity": end})
    assert result.loss == pytest.approx(np.sum(by_start * START), rel=rtol)
    np.testing.assert_allclose(result.dy0, by_start, rtol=0, atol=rtol * by_start.max())
    expected = np.sum(by_start * slope)
    np.testing.assert_allclose(result.dparams["diffusivity"], expected, rtol=10 * rtol)


@pytest.mark.parametrize(
    "method",
    [
        "jax-discrete",
        "torch-discrete",
        *(
            pytest.param(method, marks=pytest.mark.long)
            for method in ("jax-forward", "jax-gauss", "jax-interpolating", "torch-forward")
        ),
    ],
)
def test_heat_in_a_cube_in_closed_form(method):
    result = ab.gradient(PROBLEM, method, rtol=RTOL, atol=RTOL, linear_solver="gmres")
    assert_exact(result, 30 * RTOL)


def allow(monkeypatch: pytest.MonkeyPatch, iterations: int) -> None:
    monkeypatch.setattr(gmres, "RESTART", iterations)
    monkeypatch.setattr(gmres, "CYCLES", 1)


@pytest.mark.parametrize(
    ("method", "engine"),
    [
        ("torch-discrete", "torch"),
        pytest.param("jax-discrete", "xla", marks=pytest.mark.long),
    ],
)
def test_steps_that_do_not_converge_are_made_smaller(monkeypatch, method, engine):
    problem = replace(PROBLEM, t_span=(0.0, END / 4), save_at=None)

    def found() -> ab.GradientResult:
        options = {"rtol": 1e-3, "atol": 1e-3, "engine": engine, "linear_solver": "gmres"}
        return ab.gradient(problem, method, **options)

    large = found()
    assert_exact(large, 1e-2, END / 4)
    allow(monkeypatch, iterations=3)
    small = found()
    assert_exact(small, 1e-5, END / 4)
    assert small.stats.steps > 10 * large.stats.steps
    assert small.stats.rejected > large.stats.rejected


@pytest.mark.parametrize("solver", ["rodas5p", "kvaerno5"])
def test_steps_that_cannot_be_made_smaller_end_the_solve(monkeypatch, solver):
    allow(monkeypatch, iterations=3)
    found = solve(
        lambda t, u, k: heat(t, u, {"diffusivity": k}),
        torch.tensor(START),
        [END],
        torch.tensor(DIFFUSIVITY, dtype=torch.float64),
        solver=solver,
        number_of_steps=2,
        linear_solver="gmres",
        jacobian_sparsity=(PATTERN.rows, PATTERN.columns),
    )
    assert found.status in ("nonfinite", "newton")
    assert torch.isnan(found.ys).all()


def test_complete_factors_take_over_in_the_reverse_pass(monkeypatch):
    forward = gmres.Preconditioned._solve

    def solve_forward(self, right, trans):
        return forward(self, right, trans) if trans == "N" else np.full_like(right, np.nan)

    monkeypatch.setattr(gmres.Preconditioned, "_solve", solve_forward)
    options = {"rtol": RTOL, "atol": RTOL, "engine": "torch", "linear_solver": "gmres"}
    assert_exact(ab.gradient(PROBLEM, "torch-discrete", **options), 30 * RTOL)


@pytest.mark.parametrize(
    ("n", "dimensions", "kind"), [(70, 2, "sparse"), (10, 3, "sparse"), (24, 3, "gmres")]
)
def test_what_fills_up_is_chosen(n, dimensions, kind):
    pattern = colored(grid(n, dimensions))
    assert kind_for("auto", pattern) == kind
    assert kind_for("sparse", pattern) == "sparse"
    assert kind_for("gmres", pattern) == "gmres"
