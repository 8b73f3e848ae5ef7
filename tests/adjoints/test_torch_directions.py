"""Backwards in time, and steps of one size, in the open PyTorch solver."""

import numpy as np
import pytest
import torch

from adjointbench.adjoints.torch import solve
from adjointbench.adjoints.torch.solve import ADJOINTS, SOLVERS

EVERY = pytest.mark.parametrize("adjoint", ADJOINTS)
P, T0, Y0 = 0.8, 1.7, 1.3
SAVES = [1.2, 0.9, 0.2]
WEIGHTS = np.array([0.7, -1.1, 1.6])
TIGHT = {"rtol": 1e-10, "atol": 1e-12, "solver": "dop853"}


def number(x):
    return torch.tensor(x, dtype=torch.float64)


def growth(t, y, p):
    """y(t) = y0 exp(p (sin t - sin t0))."""
    return p * torch.cos(t) * y


def exact(t):
    return Y0 * np.exp(P * (np.sin(t) - np.sin(T0)))


def slopes(adjoint, value, *at):
    transform = torch.func.jacfwd if adjoint == "forward" else torch.func.grad
    return transform(value, argnums=tuple(range(len(at))))(*at)


@EVERY
def test_backwards_with_derivatives_by_everything(adjoint):
    def loss(t0, saves, p, y0):
        ys = solve(growth, y0, saves, p, t0=t0, adjoint=adjoint, **TIGHT).ys
        return ys[:, 0] @ torch.tensor(WEIGHTS)

    at, found = np.array(SAVES), exact(np.array(SAVES))
    inputs = (number(T0), number(SAVES), number(P), number([Y0]))
    assert loss(*inputs).item() == pytest.approx(WEIGHTS @ found, rel=1e-8)
    by_t0, by_saves, by_p, by_y0 = slopes(adjoint, loss, *inputs)
    assert by_t0.item() == pytest.approx(-P * np.cos(T0) * WEIGHTS @ found, rel=1e-7)
    np.testing.assert_allclose(by_saves, WEIGHTS * P * np.cos(at) * found, rtol=1e-7)
    direct = WEIGHTS @ (found * (np.sin(at) - np.sin(T0)))
    assert by_p.item() == pytest.approx(direct, rel=1e-6)
    assert by_y0.item() == pytest.approx(WEIGHTS @ found / Y0, rel=1e-6)


@pytest.mark.parametrize("solver", ["tsit5", "rodas5p", "rk4"])
def test_backwards_is_the_mirror_to_the_bit(solver):
    p, y0 = number(P).requires_grad_(), number([Y0, 2.0])
    back = solve(growth, y0, SAVES, p, t0=T0, solver=solver)
    turned = [-t for t in SAVES]
    mirror = solve(lambda s, y, p: -growth(-s, y, p), y0, turned, p, t0=-T0, solver=solver)
    assert torch.equal(back.ys, mirror.ys)
    assert all(
        torch.equal(own, -other) for own, other in zip(back.steps, mirror.steps, strict=True)
    )
    grads = [torch.autograd.grad(s.ys.sum(), p)[0] for s in (back, mirror)]
    assert torch.equal(*grads)
    again = solve(growth, y0, SAVES, p, t0=T0, solver=solver, steps=back.steps)
    torch.testing.assert_close(again.ys, back.ys, rtol=1e-12, atol=0)


@pytest.mark.parametrize("adjoint", ["discrete", "backsolve", "tape"])
def test_jumps_and_breaks_on_the_way_back(adjoint):
    """y' = p before 1 and 2 p after it; twice as large, going back, at 1.5 and p more at 0.5."""

    def rhs(t, y, p):
        return torch.where(t < 1, p, 2 * p) * torch.ones_like(y)

    def jump(i, t, y, p):
        return 4 * y * t / 3 if i == 0 else y + 2 * p * t

    p = number(P).requires_grad_()
    stops = {"jump_times": [1.5, 0.5], "jump": jump, "discontinuities": [1.0]}
    ys = solve(rhs, number([Y0]), [1.5, 0.0], p, t0=2.0, adjoint=adjoint, **stops).ys[:, 0]
    assert ys[0].item() == pytest.approx(2 * (Y0 - P), rel=1e-12)
    assert ys[1].item() == pytest.approx(2 * (Y0 - P) - P - P / 2 + P - P / 2, rel=1e-12)
    assert torch.autograd.grad(ys[1], p)[0].item() == pytest.approx(-3.0, rel=1e-9)


def test_a_jacobian_is_turned_as_well():
    given = {"solver": "rodas5p", "t0": 1.0, "rtol": 1e-8}
    own = solve(lambda t, y: 3 * y, number([1.0]), [0.0], **given)
    told = solve(
        lambda t, y: 3 * y, number([1.0]), [0.0], jacobian=lambda t, y: 3 * number([[1.0]]), **given
    )
    assert told.ys.item() == pytest.approx(np.exp(-3), rel=1e-6)
    assert told.stats["steps"] == own.stats["steps"]


def test_there_and_back_again_in_float32():
    y0 = torch.ones(2)
    (there,) = solve(growth, y0, [1.5], 0.5).ys
    (back,) = solve(growth, there, [0.0], 0.5, t0=1.5).ys
    torch.testing.assert_close(back, y0, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("t0", "save_at", "match"),
    [
        (1.0, [0.5, 0.7], "must not increase on the way back"),
        (1.0, [2.0, 0.5], "must not begin after t0=1.0, and must end before it"),
        (1.0, [0.5, 2.0], "must not begin before t0=1.0, and must end after it"),
        (1.0, [1.0], "must end after it"),
    ],
)
def test_times_that_turn_round_are_refused(t0, save_at, match):
    with pytest.raises(ValueError, match=match):
        solve(growth, number([1.0]), save_at, number(P), t0=t0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_steps_of_one_size_with_every_solver(solver):
    options = {"solver": solver, "rtol": 1e-3, "atol": 1e-3}
    given = solve(growth, number([Y0]), [0.5, 1.0], number(P), step_size=0.3, **options)
    assert given.status == "ok"
    starts, sizes = given.steps
    np.testing.assert_allclose(starts, [0.0, 0.3, 0.6, 0.9], rtol=1e-14)
    np.testing.assert_allclose(sizes, [0.3, 0.3, 0.3, 0.1], rtol=1e-14)
    counted = solve(growth, number([Y0]), [1.0], number(P), number_of_steps=7, **options)
    np.testing.assert_allclose(counted.steps[1], np.full(7, 1 / 7), rtol=1e-14)


@pytest.mark.parametrize("solver", ["tsit5", "rk4", "rodas4p"])
def test_the_order_of_constant_steps(solver):
    exact = np.exp(P * np.sin(1.0))
    off = [
        abs(
            solve(
                growth, number([1.0]), [1.0], number(P), number_of_steps=n, solver=solver
            ).ys.item()
            - exact
        )
        for n in (8, 16)
    ]
    order = {"tsit5": 5, "rk4": 4, "rodas4p": 4}[solver]
    assert off[0] / off[1] == pytest.approx(2**order, rel=0.4)


@EVERY
def test_the_gradient_of_constant_steps(adjoint):
    """Euler on y' = -k y: y = (1 - k h)^n, whose derivative the discrete adjoints have exactly."""

    def end(k):
        options = {"number_of_steps": 10, "solver": "euler", "adjoint": adjoint}
        return solve(lambda t, y, k: -k * y, number([1.0]), [1.0], k, **options).ys[0, 0]

    (slope,) = slopes(adjoint, end, number(P))
    rel = 1e-12 if adjoint in ("discrete", "tape", "forward") else 0.2
    assert slope.item() == pytest.approx(-((1 - P / 10) ** 9), rel=rel)


def test_constant_steps_end_on_stops_and_go_back():
    stops = {"jump_times": [0.25], "jump": lambda i, t, y, p: 2 * y, "discontinuities": [0.6]}
    given = solve(growth, number([Y0]), [0.0], number(P), t0=1.0, step_size=0.3, **stops)
    np.testing.assert_allclose(given.steps[0], [1.0, 0.7, 0.6, 0.3, 0.25], rtol=1e-12)
    np.testing.assert_allclose(given.steps[1], [-0.3, -0.1, -0.3, -0.05, -0.25], rtol=1e-12)
    assert given.ys.item() == pytest.approx(2 * Y0 * np.exp(-P * np.sin(1.0)), rel=1e-6)


def test_many_constant_steps_in_float32_are_as_many_as_were_asked_for():
    found = solve(growth, torch.ones(1), [1.0], 0.8, number_of_steps=1000, solver="euler", t0=0.3)
    assert (found.status, int(found.stats["steps"])) == ("ok", 1000)


@pytest.mark.parametrize("look_every", [1, 4])
@pytest.mark.parametrize("solver", ["tsit5", "rodas5p", "euler"])
def test_no_step_is_longer_than_the_longest(solver, look_every):
    options = {"solver": solver, "rtol": 1e-3, "look_every": look_every, "first_step": 0.5}
    given = solve(growth, number([Y0]), [1.0], number(P), max_step=0.07, **options)
    assert given.steps[1].max() <= 0.07 * (1 + 1e-5)
    assert given.stats["steps"] >= 15
    free = solve(growth, number([Y0]), [1.0], number(P), max_step=5.0, **options)
    assert all(
        map(torch.equal, free.steps, solve(growth, number([Y0]), [1.0], number(P), **options).steps)
    )


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"step_size": 0.0}, "step_size=0.0 must be positive"),
        ({"step_size": -0.1}, "step_size=-0.1 must be positive"),
        ({"step_size": 1e-300}, "1e.300 constant steps are too many"),
        ({"number_of_steps": 2.5}, "number_of_steps=2.5 must be a whole number"),
        ({"number_of_steps": 2, "step_size": 0.1}, "both given; pass one of them"),
        (
            {"number_of_steps": 1, "steps": ([0.0], [1.0])},
            "leave step_size and number_of_steps out",
        ),
        ({"number_of_steps": 1, "max_step": 0.1}, "max_step limits the step-size control"),
        ({"max_step": 0.0}, "max_step=0.0 must be positive"),
        ({"max_step": float("nan")}, "max_step=nan must be one finite number"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        solve(growth, number([1.0]), [1.0], number(P), **options)
