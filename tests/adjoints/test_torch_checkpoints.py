"""``checkpoints=`` of PyTorch: few states are kept, and the steps between taken again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adjointbench import gradient, problems
from adjointbench.adjoints.torch import solve

N = 12
GENERATOR = np.random.default_rng(5)
WEIGHTS = torch.from_numpy(GENERATOR.normal(size=(N, N)) / N)
Y0 = torch.from_numpy(GENERATOR.normal(size=N))


def field(t, y, p):
    return torch.tanh(p["w"] @ y) + p["forcing"] * torch.sin(3.0 * t) * y


def jump(i, t, y, p):
    return y + (1 + i) * p["forcing"]


def found(save_at, engine="torch", **options):
    p = {"w": WEIGHTS, "forcing": torch.tensor(0.4, dtype=torch.float64)}
    p = {name: x.clone().requires_grad_() for name, x in p.items()}
    y0 = Y0.clone().requires_grad_()
    solution = solve(field, y0, save_at, p, rtol=1e-6, atol=1e-8, engine=engine, **options)
    assert solution.status == "ok"
    (solution.ys.square().sum() + 10 * solution.error_estimate).backward()
    return solution, torch.cat([x.grad.reshape(-1) for x in (y0, *p.values())])


@pytest.mark.parametrize("save_at", [[2.0], [0.2, 0.3, 1.1, 1.9, 2.0]], ids=["end", "saves"])
@pytest.mark.parametrize(
    "stops",
    [{}, {"discontinuities": (0.7,)}, {"jump_times": (0.4, 1.3), "jump": jump}],
    ids=["smooth", "stop", "jumps"],
)
@pytest.mark.parametrize("solver", ["tsit5", "dop853", "rodas5p"])
@pytest.mark.parametrize("window", [1, 3])
def test_checkpoints_change_nothing_but_memory(window, solver, stops, save_at):
    own = {"solver": solver, "max_steps": 3000, **stops}
    whole, expected = found(save_at, **own)
    few, gradient = found(save_at, checkpoints=3000 // window, **own)
    torch.testing.assert_close(few.ys, whole.ys, rtol=0, atol=0)
    torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("window", [1, 3, 1000])
def test_a_native_loop_takes_steps_again(window):
    own = {"max_steps": 3000, "engine": "native", "jump_times": (0.4, 1.3), "jump": jump}
    whole, expected = found([0.2, 2.0], **own)
    few, gradient = found([0.2, 2.0], checkpoints=3000 // window, **own)
    torch.testing.assert_close(few.ys, whole.ys, rtol=0, atol=0)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)


def test_given_steps_are_windows_of_their_own_number():
    whole, expected = found([0.5, 2.0], number_of_steps=20)
    _, gradient = found([0.5, 2.0], number_of_steps=20, checkpoints=4)
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)
    assert whole.stats["steps"] == 20


@pytest.mark.parametrize(
    ("name", "options", "share"),
    [
        ("mnist", {}, 10),
        ("mnist", {"checkpoints": 4, "max_steps": 8}, 18),
        ("heat_equation", {"checkpoints": 16, "max_steps": 192, "engine": "torch"}, 10),
    ],
)
def test_a_tenth_of_the_bytes_of_a_tape(name, options, share):
    problem, own = problems.get(name), {"rtol": 1e-5, "atol": 1e-8}
    tape = gradient(problem, "torch-tape", **own)
    few = gradient(problem, "torch-discrete", **own, **options)
    assert few.status == "ok"
    assert few.stats.saved_bytes * share <= tape.stats.saved_bytes
    for name, expected in tape.dparams.items():
        np.testing.assert_allclose(few.dparams[name], expected, rtol=1e-7, atol=1e-10)


def test_steps_that_are_taken_again_are_counted():
    problem = problems.get("heat_equation")
    own = {"rtol": 1e-5, "atol": 1e-8, "engine": "torch"}
    whole = gradient(problem, "torch-discrete", **own).stats
    few = gradient(problem, "torch-discrete", **own, max_steps=192, checkpoints=16).stats
    assert few.reverse_rhs_evals > 1.8 * whole.reverse_rhs_evals


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"adjoint": "tape"}, "adjoint='tape'"),
        ({"adjoint": "interpolating"}, "adjoint='interpolating'"),
        ({"dense_output": True}, "dense_output=True"),
        ({"solver": "kvaerno5"}, "solver='kvaerno5'"),
        ({"checkpoints": 0}, "checkpoints"),
    ],
)
def test_what_does_not_combine_is_refused(options, why):
    with pytest.raises(ValueError, match=why):
        solve(field, Y0, [1.0], None, **{"checkpoints": 4, **options})
