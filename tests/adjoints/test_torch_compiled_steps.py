"""Compiled steps of large states: what a program serves, and what it must not."""

import tempfile

import numpy as np
import pytest
import torch

from adjointbench.adjoints.torch import compiled_programs, solve

SAVES = [0.4, 1.0]


class Field(torch.nn.Module):
    """A network with what a program might take for a constant: numbers and a buffer."""

    def __init__(self, seed=0, scale=1.0):
        super().__init__()
        torch.manual_seed(seed)
        self.first, self.last = torch.nn.Linear(2, 16), torch.nn.Linear(16, 2)
        self.scale, self.shift = scale, 0.0
        self.register_buffer("rate", torch.ones(()))

    def forward(self, t, y):
        return self.scale * self.rate * self.last(torch.tanh(self.first(y))) + self.shift


def gradient(field, batch, estimate=1.0, **options):
    """How it was compiled, and the values and gradients of a loss with the error estimate."""
    like = next(field.parameters())
    y0 = torch.linspace(-1.0, 1.0, 2 * batch).reshape(batch, 2).to(like).requires_grad_()
    options = {"rtol": 1e-4, "atol": 1e-6, "solver": "dopri5", "engine": "torch", **options}
    solution = solve(field, y0, SAVES, **options)
    loss = solution.ys.square().mean()
    if estimate:
        loss = loss + estimate * solution.error_estimate
    slopes = torch.autograd.grad(loss, [y0, *field.parameters()])
    return solution.compiled, torch.cat([x.detach().reshape(-1) for x in (solution.ys, *slopes)])


def check(field, batch, **options):
    """It is compiled, and agrees with what runs eagerly."""
    told, found = gradient(field, batch, compile=True, **options)
    _, expected = gradient(field, batch, **options)
    assert told == "yes"
    rtol, atol = (1e-9, 1e-12) if found.dtype == torch.float64 else (1e-4, 1e-6)
    torch.testing.assert_close(found, expected, rtol=rtol, atol=atol)
    return expected


@pytest.fixture
def programs(monkeypatch):
    """The programs that are compiled in a test."""
    monkeypatch.setattr(compiled_programs, "_kept", {})
    return lambda: sum(len(variants) for variants in compiled_programs._kept.values())


@pytest.mark.long
def test_one_set_of_programs_serves_all_batches_weights_and_buffers(programs):
    field = Field().double()
    first = check(field, 40)
    assert programs() == 3
    check(field, 23)
    other = Field(seed=1).double()
    other.rate.fill_(0.5)
    assert not np.allclose(check(other, 40), first)
    other.rate.mul_(2.0)
    check(other, 40)
    assert programs() == 3
    # With no estimate in the loss a step is pulled back without it.
    check(field, 40, estimate=0.0)
    assert programs() == 4


@pytest.mark.slow
def test_numbers_and_tensors_that_change_are_no_constants(programs):
    options = {"solver": "euler", "first_step": 0.25, "estimate": 0.0}
    field = Field()
    first, once = check(field, 40, **options), programs()
    field.scale = 3.0
    second, twice = check(field, 40, **options), programs()
    assert not np.allclose(second, first)
    assert twice > once
    np.testing.assert_allclose(check(Field(scale=3.0), 40, **options), second)
    assert programs() == twice
    field.shift = torch.zeros(2)
    np.testing.assert_allclose(check(field, 40, **options), second, rtol=1e-6)
    thrice = programs()
    field.shift.add_(1.0)
    third = check(field, 40, **options)
    assert programs() == thrice
    assert not np.allclose(third, second)
    field.shift = torch.full((2,), -1.0)
    assert not np.allclose(check(field, 40, **options), third)


@pytest.mark.long
def test_a_batch_that_the_equations_name_is_no_open_axis(programs):
    def rhs(t, y, p):
        weights = torch.arange(1.0, 41.0, dtype=y.dtype)[: len(y), None]
        return -p * weights[:40] * y if len(y) == 40 else -2.0 * p * weights * y

    def slope(batch, **options):
        p = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
        y0 = torch.ones(batch, 2, dtype=torch.float64)
        solution = solve(rhs, y0, [0.5], p, solver="euler", first_step=0.25, **options)
        solution.ys.mean().backward()
        return solution.compiled, p.grad.item()

    for batch in (40, 36):
        told, found = slope(batch, compile=True)
        assert told == "yes"
        assert found == pytest.approx(slope(batch, engine="torch")[1], rel=1e-12)


@pytest.mark.slow
def test_operations_in_place_are_seen(programs):
    def rhs(t, y, p):
        found = torch.empty_like(y)
        found[:, 0] = y[:, 1]
        found[:, 1] = -p * y[:, 0]
        return found

    def slope(**options):
        p = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
        y0 = torch.ones(40, 2, dtype=torch.float64)
        solution = solve(rhs, y0, [0.5], p, solver="euler", first_step=0.25, **options)
        solution.ys.mean().backward()
        return solution.compiled, p.grad.item()

    told, found = slope(compile=True)
    assert told == "yes"
    assert found == pytest.approx(slope(engine="torch")[1], rel=1e-12)


@pytest.mark.parametrize("variable", ["TORCHINDUCTOR_CACHE_DIR", "TMPDIR"])
def test_a_path_with_a_space_is_told_at_once(programs, monkeypatch, tmp_path, variable):
    folder = tmp_path / "with space"
    folder.mkdir()
    # PyTorch writes down where its cache is; what it was before is restored.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setenv(variable, str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    y0 = torch.ones(40, 2, requires_grad=True)
    with pytest.warns(RuntimeWarning, match=f"runs eagerly.*a space.*{variable}"):
        solution = solve(lambda t, y, p: -y, y0, [1.0], compile=True)
    assert "with space" in solution.compiled
    assert solution.status == "ok"
    solution.ys.sum().backward()
    np.testing.assert_allclose(y0.grad, np.exp(-1.0), rtol=1e-4)
