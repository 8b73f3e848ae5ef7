"""The solution between its saves and before its jumps, in PyTorch: values, gradients, refusals."""

import numpy as np
import pytest
import torch

from adjointbench.adjoints.torch import solve
from tests.adjoints.equations import lotka_volterra

JUMPS = [0.0, 1.0, 2.0, 2.0, 3.0, 9.0]
TIMES = torch.tensor([0.0, 0.3, 1.0, 1.7, 2.0, 2.5, 3.0], dtype=torch.float64)


def leaves():
    """Rate, doses and start."""
    values = (torch.tensor(0.7), torch.arange(1.0, 7.0), torch.tensor([2.0]))
    return tuple(x.double().requires_grad_() for x in values)


def dosed(k, d, y0, **options):
    """``y' = -k y`` with doses, one at the start, two at one time, one at the end, one after it."""
    return solve(
        lambda t, y, p: -p["k"] * y,
        y0,
        [3.0],
        {"k": k, "d": d},
        jump_times=JUMPS,
        jump=lambda i, t, y, p: y + p["d"][i],
        dense_output=True,
        **{"rtol": 1e-9, "atol": 1e-11, **options},
    )


def exact(times, k, d, y0, *, side):
    at, jumps = times[:, None], torch.tensor(JUMPS, dtype=torch.float64)
    acts = (at > jumps) if side == "before" else (at >= jumps)
    since = torch.where(acts, at - jumps, 0.0)
    return y0 * torch.exp(-k * times) + (acts * d * torch.exp(-k * since)).sum(dim=1)


@pytest.mark.parametrize(
    ("solver", "adjoint"),
    [
        ("tsit5", "discrete"),
        ("tsit5", "tape"),
        ("rodas5p", "discrete"),
        ("tsit5", "backsolve"),
        ("tsit5", "interpolating"),
        ("tsit5", "quadrature"),
    ],
)
@pytest.mark.parametrize("side", ["after", "before"])
def test_gradients_on_both_sides_of_jumps_are_those_of_the_closed_form(solver, adjoint, side):
    own = leaves()
    found = dosed(*own, solver=solver, adjoint=adjoint)(TIMES, side=side)[:, 0]
    expected = exact(TIMES, *own, side=side)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)
    pairs = (torch.autograd.grad(x.sin().sum(), own) for x in (found, expected))
    for a, b in zip(*pairs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


def test_states_before_jumps_are_those_before_all_jumps_at_their_time():
    own = leaves()
    found = dosed(*own).before_jumps[:, 0]
    inside = torch.tensor(JUMPS[:-1], dtype=torch.float64)
    torch.testing.assert_close(found[:-1], exact(inside, *own, side="before"), rtol=1e-7, atol=1e-9)
    assert found[-1].isnan()


@pytest.mark.parametrize("solver", ["tsit5", "dop853", "rodas5p"])
def test_read_between_saves_it_is_what_saves_there_are(solver):
    own = (torch.ones(2), torch.tensor([1.5, 1.0, 3.0, 1.0]), torch.linspace(0, 2, 9))
    y0, p, t = (x.double().requires_grad_() for x in own)
    saved = solve(lotka_volterra, y0, t, p, solver=solver).ys
    read = solve(lotka_volterra, y0, [2.0], p, solver=solver, dense_output=True)
    read = read(t.reshape(3, 3)).reshape(9, 2)
    torch.testing.assert_close(read, saved, rtol=1e-12, atol=1e-12)
    pairs = (torch.autograd.grad(x.sin().sum(), (y0, p, t)) for x in (read, saved))
    for a, b in zip(*pairs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11)


def test_outside_the_span_and_after_a_breakdown_there_is_no_solution():
    solution = dosed(*leaves())
    for t in (-1e-9, 3.1, np.nan):
        with pytest.raises(ValueError, match="the span of the solve"):
            solution(t)
    assert dosed(*leaves(), max_steps=2)(0.3).isnan().all()


def test_what_does_not_combine_is_refused():
    k, d, y0 = leaves()
    with pytest.raises(ValueError, match="under vmap"):
        torch.func.vmap(lambda y0: dosed(k, d, y0)(0.3))(y0[:, None])
    with pytest.raises(ValueError, match="differentiate_step_size"):
        dosed(k, d, y0, adjoint="tape", differentiate_step_size=True)
    with pytest.raises(ValueError, match="dense_output=True"):
        solve(lambda t, y, k: -k * y, y0, [1.0], k)(0.5)


def test_a_transform_differentiates_the_solution_that_is_read():
    k, d, y0 = (x.detach() for x in leaves())
    found = torch.func.grad(lambda k: dosed(k, d, y0)(1.7)[0])(k)
    at = torch.tensor([1.7], dtype=torch.float64)
    expected = torch.func.grad(lambda k: exact(at, k, d, y0, side="after")[0])(k)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)
