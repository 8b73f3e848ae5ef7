"""Derivatives by the start and the save times of the open PyTorch solver."""

import numpy as np
import pytest
import torch

from adjointbench.adjoints.torch import solve
from adjointbench.adjoints.torch.solve import ADJOINTS

EVERY = pytest.mark.parametrize("adjoint", ADJOINTS)
P, T0, Y0 = 0.8, 0.3, 1.3
SAVES = [0.9, 1.4, 2.0]
WEIGHTS = np.array([0.7, -1.1, 1.6])


def growth(t, y, p):
    """y(t) = y0 exp(p (sin t - sin t0))."""
    return p * torch.cos(t) * y


def exact(t, t0=T0, p=P, y0=Y0):
    return y0 * np.exp(p * (np.sin(t) - np.sin(t0)))


def number(x):
    return torch.tensor(x, dtype=torch.float64)


def saved(t0, saves, p, adjoint="discrete", solver="dop853", **options):
    y0 = torch.full((1,), Y0, dtype=torch.float64)
    options = {"rtol": 1e-10, "atol": 1e-12, "solver": solver, "adjoint": adjoint, **options}
    return solve(growth, y0, saves, p, t0=t0, **options).ys[:, 0]


def slopes(adjoint, value, *at):
    """The derivatives of a scalar by the mode that the adjoint is for."""
    transform = torch.func.jacfwd if adjoint == "forward" else torch.func.grad
    return transform(value, argnums=tuple(range(len(at))))(*at)


@EVERY
def test_start_and_save_times(adjoint):
    def loss(t0, saves, p):
        return saved(t0, saves, p, adjoint) @ torch.tensor(WEIGHTS)

    at = np.array(SAVES)
    by_t0, by_saves, by_p = slopes(adjoint, loss, number(T0), number(SAVES), number(P))
    found = exact(at)
    assert by_t0.item() == pytest.approx(-P * np.cos(T0) * WEIGHTS @ found, rel=1e-7)
    np.testing.assert_allclose(by_saves, WEIGHTS * P * np.cos(at) * found, rtol=1e-7)
    direct = WEIGHTS @ (found * (np.sin(at) - np.sin(T0)))
    assert by_p.item() == pytest.approx(direct, rel=1e-6)


@EVERY
def test_saves_at_the_start(adjoint):
    """A save at t0 that stays where it is lies back by f; one that moves along does not."""

    def loss(t0, end):
        saves = torch.stack([t0.detach(), t0.detach(), end])
        return saved(t0, saves, number(P), adjoint) @ number([1.0, 2.0, 3.0])

    by_t0, by_end = slopes(adjoint, loss, number(T0), number(2.0))
    rate = P * np.cos(T0)
    assert by_t0.item() == pytest.approx(-rate * (3 * Y0 + 3 * exact(2.0)), rel=1e-7)
    assert by_end.item() == pytest.approx(3 * P * np.cos(2.0) * exact(2.0), rel=1e-7)

    def along(t0):
        return saved(t0, torch.stack([t0, number(2.0)]), number(P), adjoint)[0]

    assert slopes(adjoint, along, number(T0))[0].item() == pytest.approx(0.0, abs=1e-12)


def test_backward_to_leaves_and_lists_of_tensors():
    t0, end, p = (x.requires_grad_() for x in (number(T0), number(2.0), number(P)))
    saved(t0, [1.0, end], p).sum().backward()
    at = np.array([1.0, 2.0])
    assert t0.grad.item() == pytest.approx(-P * np.cos(T0) * exact(at).sum(), rel=1e-7)
    assert end.grad.item() == pytest.approx(P * np.cos(2.0) * exact(2.0), rel=1e-7)
    assert p.grad.item() == pytest.approx(exact(at) @ (np.sin(at) - np.sin(T0)), rel=1e-6)


def second_derivatives():
    """Of y(T) by (t0, T, p, y0), by hand."""
    a = -P * np.cos(T0), P * np.cos(2.0), np.sin(2.0) - np.sin(T0), 1 / Y0
    of_logarithm = np.diag([P * np.sin(T0), -P * np.sin(2.0), 0.0, -1 / Y0**2])
    of_logarithm[0, 2] = of_logarithm[2, 0] = -np.cos(T0)
    of_logarithm[1, 2] = of_logarithm[2, 1] = np.cos(2.0)
    return exact(2.0) * (of_logarithm + np.outer(a, a))


HESSIANS = {
    "autograd": torch.autograd.functional.hessian,
    "reverse over reverse": lambda f, x: torch.func.jacrev(torch.func.jacrev(f))(x),
    "forward over reverse": lambda f, x: torch.func.jacfwd(torch.func.jacrev(f))(x),
    "forward over forward": lambda f, x: torch.func.jacfwd(torch.func.jacfwd(f))(x),
    "reverse over forward": lambda f, x: torch.func.jacrev(torch.func.jacfwd(f))(x),
}


@pytest.mark.parametrize(
    ("solver", "mode", "rtol"),
    [*(("dop853", mode, 1e-10) for mode in HESSIANS), ("rodas5p", "autograd", 1e-7)],
)
def test_second_and_mixed_derivatives_of_the_tape(solver, mode, rtol):
    def final(x):
        options = {"solver": solver, "adjoint": "tape", "rtol": rtol, "atol": rtol / 100}
        return solve(growth, x[3:], x[1:2], x[2], t0=x[0], **options).ys[-1, 0]

    found = HESSIANS[mode](final, number([T0, 2.0, P, Y0]))
    allowed = 1e5 * rtol if solver == "dop853" else 1e4 * rtol
    np.testing.assert_allclose(found, second_derivatives(), rtol=allowed, atol=allowed / 10)


def test_third_derivatives_of_the_tape():
    """y' = p y^2 has y(t) = 1 / (1 / y0 - p (t - t0)), which is y^(n) = n! p^n y^(n + 1)."""

    def final(x):
        def rhs(t, y, p):
            return p * y * y

        options = {"adjoint": "tape", "solver": "dop853", "rtol": 1e-11, "atol": 1e-12}
        return solve(rhs, number([Y0]), [x[1]], number(P), t0=x[0], **options).ys[0, 0]

    x = number([0.1, 0.6])
    found = torch.func.jacrev(torch.func.jacrev(torch.func.jacrev(final)))(x)
    third = 6 * P**3 / (1 / Y0 - 0.5 * P) ** 4
    sign = np.array([-1, 1])
    expected = third * sign[:, None, None] * sign[:, None] * sign
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_second_derivatives_by_save_times_of_an_adjoint_that_has_no_others():
    def final(end):
        return saved(T0, end[None], number(P))[0]

    found = torch.autograd.functional.hessian(final, number(2.0))
    assert found.item() == pytest.approx(second_derivatives()[1, 1], rel=1e-8)


def test_second_derivatives_of_a_nonlinear_system_by_differences():
    """Against differences of first derivatives: the pendulum, driven, by all of t0, T and p."""

    def rhs(t, y, p):
        return torch.stack([y[1], -p * torch.sin(y[0]) + torch.sin(t)])

    def slope(x):
        y0 = number([1.0, 0.5])
        options = {"adjoint": "tape", "solver": "dop853", "rtol": 1e-11, "atol": 1e-12}
        ys = solve(rhs, y0, x[1:2], x[2], t0=x[0], **options).ys
        return torch.autograd.grad(ys[-1] @ number([1.0, 2.0]), x, create_graph=True)[0]

    x = number([0.2, 1.7, 2.0]).requires_grad_()
    found = torch.stack([torch.autograd.grad(g, x, retain_graph=True)[0] for g in slope(x)])
    step = 1e-4
    units = step * torch.eye(3, dtype=torch.float64)
    moved = [
        (slope((x + e).detach().requires_grad_()) - slope((x - e).detach().requires_grad_()))
        for e in units
    ]
    expected = torch.stack(moved).detach() / (2 * step)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@EVERY
def test_at_a_stop_the_equations_after_it_count(adjoint):
    """A rate that switches from 1 to 3 at both ends, and doubles as a dose falls in between."""

    def rhs(t, y, p):
        return p * torch.where(t <= 0.0, -50.0, torch.where(t <= 1.0, 1.0, 3.0)) * y

    def loss(t0, end):
        given = {"jump_times": [0.0, 0.5], "jump": lambda i, t, y, p: (3 - i) * y}
        options = {"discontinuities": [0.0, 1.0], "adjoint": adjoint, "rtol": 1e-10}
        y0 = torch.ones(1, dtype=torch.float64)
        return solve(rhs, y0, end[None], number(P), t0=t0, **given, **options).ys[-1, 0]

    by_t0, by_end = slopes(adjoint, loss, number(0.0), number(1.0))
    final = 6 * np.exp(P)
    assert by_t0.item() == pytest.approx(-P * final, rel=1e-6)
    assert by_end.item() == pytest.approx(3 * P * final, rel=1e-6)


@EVERY
def test_a_slope_that_does_not_exist_is_told_by_the_derivative_alone(adjoint):
    """y' = p / sqrt(1 - t) has no slope at the end, and the value 2 p there all the same."""

    def rhs(t, y, p):
        return torch.stack([p / torch.sqrt(1.0 - t), -p * y[1]])

    def ys(end):
        y0, options = number([0.0, 1.0]), {"rtol": 1e-3, "atol": 1e-3, "adjoint": adjoint}
        given = {"steps": (number([0.0, 0.5]), number([0.5, 0.5])), "solver": "euler"}
        return solve(rhs, y0, end[None], number(P), **given, **options).ys[0]

    transform = torch.func.jacfwd if adjoint == "forward" else torch.func.jacrev
    end = number(1.0)
    assert torch.isfinite(ys(end.clone().requires_grad_())).all()
    assert not torch.isfinite(transform(ys)(end)[0])


def test_under_vmap_and_jacrev():
    ps = number([0.5, 0.8])
    saves = number(SAVES)

    def by_saves(p):
        return torch.func.jacrev(lambda s: saved(number(T0), s, p))(saves)

    found = torch.func.vmap(by_saves)(ps)
    for p, jacobian in zip(ps.numpy(), found, strict=True):
        expected = np.diag(p * np.cos(SAVES) * exact(np.array(SAVES), p=p))
        np.testing.assert_allclose(jacobian, expected, rtol=1e-7, atol=1e-12)
    jacobian = torch.func.jacfwd(lambda t0: saved(t0, SAVES, ps[1], "forward"))(number(T0))
    np.testing.assert_allclose(jacobian, -P * np.cos(T0) * exact(np.array(SAVES)), rtol=1e-7)


@pytest.mark.parametrize(
    "options",
    [
        {"rtol": number(1e-6).requires_grad_()},
        {"steps": (number([0.0]), number([2.0]).requires_grad_())},
    ],
)
def test_what_is_not_differentiated_is_refused(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} is not differentiated here"):
        solve(growth, number([Y0]), [2.0], number(P), **options)
