"""Lanes under ``vmap`` in PyTorch: in one loop, and each as if it were solved alone."""

from __future__ import annotations

import pytest
import torch
from torch.func import grad, jacrev, vmap

from adjointbench.adjoints.torch import solve

P = torch.tensor([[1.5, 1.0, 3.0, 1.0], [0.3, 0.2, 0.6, 0.2]], dtype=torch.float64)
SAVES = torch.tensor([[0.0, 0.5, 2.0, 2.0], [1.0, 1.5, 3.0, 3.5]], dtype=torch.float64)
STARTS = torch.tensor([0.0, 0.7], dtype=torch.float64)
ONES = torch.ones(2, dtype=torch.float64)


def lotka_volterra(t, y, p):
    return torch.stack([p[0] * y[0] - p[1] * y[0] * y[1], p[3] * y[0] * y[1] - p[2] * y[1]])


def one_by_one(function, *columns):
    found = [function(*lane) for lane in zip(*columns, strict=True)]
    return tuple(torch.stack(x) for x in zip(*found, strict=True))


def jumped(i, t, y, p):
    return 1.1 * y + 0.1 * p[0] + t


@pytest.mark.parametrize(
    ("solver", "stops"),
    [
        ("tsit5", {"discontinuities": (0.7,), "jump_times": (1.0,), "jump": jumped}),
        ("rodas5p", {}),
    ],
)
def test_a_lane_is_the_same_solve_alone(solver, stops):
    saves = [0.5, 1.0, 2.0, 2.0]

    def numbers(p):
        found = solve(lotka_volterra, ONES, saves, p, solver=solver, look_every=3, **stops)
        assert found.error_estimate is not None
        assert found.stiffness_estimate is not None
        totals = found.error_estimate + found.stiffness_estimate
        return found.ys, totals, found.stats["steps"], found.stats["rejected"]

    def loss(p):
        ys, totals = numbers(p)[:2]
        return ((ys**2).sum() + totals,)

    together, alone = vmap(numbers)(P), one_by_one(numbers, P)
    for found, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-13, atol=0)
    inside = vmap(grad(lambda p: loss(p)[0]))(P)
    (expected,) = one_by_one(lambda p: (grad(lambda p: loss(p)[0])(p),), P)
    torch.testing.assert_close(inside, expected, rtol=1e-7, atol=1e-9)
    around = grad(lambda p: vmap(loss)(p)[0].sum())(P)
    torch.testing.assert_close(around, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("adjoint", ["discrete", "interpolating"])
def test_lanes_may_have_times_of_their_own(adjoint):
    def loss(p, saves, t0):
        return (solve(lotka_volterra, ONES, saves, p, t0=t0, adjoint=adjoint).ys ** 2).sum()

    def alone(p, saves, t0):
        return loss(p, saves, t0), *grad(loss, (0, 1, 2))(p, saves, t0)

    expected = one_by_one(alone, P, SAVES, STARTS)
    found = vmap(alone)(P, SAVES, STARTS)

    def total(p, saves, t0):
        return vmap(loss)(p, saves, t0).sum()

    around = grad(total, argnums=(0, 1, 2))(P, SAVES, STARTS)
    for a, b in zip((*found, *around), (*expected, *expected[1:]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def test_own_times_are_checked_lane_by_lane_and_go_with_no_stops():
    def final(saves, **options):
        return solve(lotka_volterra, ONES, saves, P[0], **options).ys

    for saves in ([[1.0, 2.0], [2.0, 1.0]], [[1.0], [torch.nan]], [[1.0], [0.0]], [[], []]):
        with pytest.raises(ValueError, match="save_at"):
            vmap(final)(torch.tensor(saves))
    for options in ({"discontinuities": (0.7,)}, {"adjoint": "tape"}):
        with pytest.raises(ValueError, match="differs from lane to lane"):
            vmap(lambda saves, options=options: final(saves, **options))(SAVES)


def test_lanes_of_lanes_share_what_they_share():
    starts = torch.stack([ONES, 2 * ONES])

    def final(p, saves, y0):
        return solve(lotka_volterra, y0, saves, p).ys[-1]

    def all_of(p):
        return vmap(lambda s: vmap(lambda y0: final(p, s, y0))(starts))(SAVES)

    pairs = [(s, y0) for s in SAVES for y0 in starts]
    expected = torch.stack([final(P[0], *pair) for pair in pairs]).reshape(2, 2, 2)
    torch.testing.assert_close(all_of(P[0]), expected, rtol=1e-13, atol=0)
    found = grad(lambda p: all_of(p).sum())(P[0])
    each = [grad(lambda p, x=pair: final(p, *x).sum())(P[0]) for pair in pairs]
    torch.testing.assert_close(found, sum(each), rtol=1e-11, atol=1e-11)
    jacobian = vmap(jacrev(lambda p: final(p, SAVES[0], ONES)))(P)
    torch.testing.assert_close(jacobian[1], jacrev(final)(P[1], SAVES[0], ONES))


def test_a_lane_that_breaks_down_does_so_alone():
    def explosion(y0):
        found = solve(lambda t, y, p: y * y, y0, [0.5, 1.0], ())
        return found.ys[:, 0], found.status_code

    starts = torch.tensor([[0.5], [2.0], [0.1]], dtype=torch.float64)
    ys, status = vmap(explosion)(starts)
    alone, codes = one_by_one(explosion, starts)
    torch.testing.assert_close(ys, alone, rtol=1e-13, atol=0, equal_nan=True)
    assert status.tolist() == codes.tolist()
    assert status[1] > 0
    slopes = vmap(grad(lambda y0: explosion(y0)[0][-1]))(starts)[:, 0]
    exact = 1 / (1 - starts[:, 0]) ** 2
    torch.testing.assert_close(slopes[::2], exact[::2], rtol=1e-5, atol=0)
    assert torch.isnan(slopes[1])


def test_the_right_hand_side_is_evaluated_for_all_lanes_at_once():
    calls = 0

    def rhs(t, y, p):
        nonlocal calls
        calls += 1
        return -p * y

    def final(p):
        found = solve(rhs, ONES, [1.0], p, engine="torch")
        return found.ys, found.stats["rhs_evals"]

    _, evaluated = vmap(final)(P[:, :2])
    assert calls < evaluated.sum() * 0.7


def test_what_vmap_cannot_map_is_solved_lane_by_lane_with_the_reason():
    def rhs(t, y, p):
        return -p * y if t < 0.5 else -y

    def final(p):
        return solve(rhs, ONES[:1], [1.0], p, discontinuities=(0.5,)).ys[0, 0]

    rates = P[0, :2]
    with pytest.warns(RuntimeWarning, match="one after the other.*data-dependent control flow"):
        found = vmap(final)(rates)
    torch.testing.assert_close(found, torch.exp(-0.5 - 0.5 * rates), rtol=1e-6, atol=0)
