"""Compiled loops of small states: each takes some ten seconds to compile, once."""

import numpy as np
import pytest
import torch

import adjointbench as ab
from adjointbench.adjoints.torch import solve

pytestmark = pytest.mark.slow

START, SWITCH, END = 0.0, 1.0, 2.0
SAVES = (START, 0.5, SWITCH, 1.7, END)
#: Two doses at one time, on the switch, one at the start and one at the end.
JUMP_TIMES = (SWITCH, 1.5, SWITCH, START, END)
WEIGHTS = np.array([0.3, 1.0, -2.0, 0.7, 1.3])
STOPS = {"discontinuities": (START, SWITCH, END), "jump_times": JUMP_TIMES}


def switched(t, y, p):
    """Decay at a rate that would be felt at once beyond each stop."""
    before = torch.where(t <= SWITCH, 1.0 + 0.5 * t, 3.0 - 0.4 * t * t)
    return -p["k"] * torch.where((t <= START) | (t >= END), 300.0 + 0 * t, before) * y


def dosed(i, t, y, p):
    return y * p["kept"] + p["dose"][i]


def solved(adjoint, **options):
    """The solution, and the gradients by k, dose, kept and y0, its estimate of the error in it."""
    values = {"k": 0.6, "dose": [1.0, 0.5, 2.0, 0.3, 4.0], "kept": 0.8, "y0": [0.7]}
    p = {k: torch.tensor(x, dtype=torch.float64, requires_grad=True) for k, x in values.items()}
    options = {"rtol": 1e-6, "atol": 1e-9, **STOPS, "jump": dosed, **options}
    solution = solve(switched, p["y0"], SAVES, p, adjoint=adjoint, **options)
    loss = solution.ys[:, 0] @ torch.tensor(WEIGHTS)
    if adjoint == "discrete":
        loss = loss + solution.error_estimate
    slopes = torch.autograd.grad(loss, [*p.values()])
    counts = solution.ys.grad_fn.call.pulled.counts
    return solution, torch.cat([s.reshape(-1) for s in slopes]), counts


def agree(compiled, eager):
    """The same steps to the same values and gradients, with hardly a look from Python."""
    (ours, slopes, _), (theirs, expected, _) = compiled, eager
    assert ours.compiled == "yes"
    assert ours.transfers < 5 < theirs.transfers
    torch.testing.assert_close(ours.steps[1], theirs.steps[1], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(ours.ys, theirs.ys, rtol=1e-9, atol=1e-12)
    # The estimate is a difference of nearly equal slopes, and has digits fewer.
    torch.testing.assert_close(slopes, expected, rtol=1e-8, atol=1e-10)


def test_the_discrete_sweep_sees_the_same_steps_and_sides_of_stops():
    agree(solved("discrete", compile=True), solved("discrete", engine="torch"))


@pytest.mark.long
def test_a_continuous_adjoint_sees_them_too_and_serves_other_tolerances():
    compiled, eager = solved("interpolating", compile=True), solved("interpolating")
    agree(compiled, eager)
    counts = compiled[2]
    assert counts.compiled == "yes"
    assert counts.compile_s > 0
    assert counts.steps == eager[2].steps
    assert counts.transfers < eager[2].transfers
    _, _, tighter = solved("interpolating", compile=True, rtol=1e-7)
    assert tighter.steps > counts.steps


@pytest.mark.long
def test_a_prepared_gradient_of_a_stiff_problem_says_so_and_agrees():
    problem = ab.Problem(
        name="dosed",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.array([1.0]),
        params={"k": np.array([40.0]), "dose": np.array([0.5])},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: (ys**2).sum(),
        jump_times=(0.5, 1.0),
        jump=lambda i, t, y, p: y + p["dose"],
        stiff=True,
    )
    eager = ab.gradient(problem, "torch-discrete", rtol=1e-4, engine="torch")
    result = ab.prepare(problem, "torch-discrete", rtol=1e-4, compile=True)()
    assert result.stats.linear_solves > 0
    assert result.stats.steps == eager.stats.steps
    assert result.stats.compiled == "yes"
    assert result.stats.compile_s > 0
    assert result.stats.transfers < eager.stats.transfers / 10
    for name, slopes in eager.dparams.items():
        np.testing.assert_allclose(result.dparams[name], slopes, rtol=1e-10)
