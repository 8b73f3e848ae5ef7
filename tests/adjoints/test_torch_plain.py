"""Right-hand sides that PyTorch's function transforms cannot follow, and plain autograd can."""

import numpy as np
import pytest
import torch

from adjointbench.adjoints.torch import solve
from adjointbench.adjoints.torch.continuous import CONTINUOUS

REVERSE = ("discrete", "tape", *CONTINUOUS)
EVERY = pytest.mark.parametrize("adjoint", REVERSE)
K, T = 1.7, 2.0
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def number(x):
    return torch.tensor(x, dtype=torch.float64)


class Hamiltonian(torch.nn.Module):
    """H = p^2 / 2 + k q^2 / 2, and its equations by a gradient that is taken inside."""

    def __init__(self):
        super().__init__()
        self.k = torch.nn.Parameter(number(K))

    def forward(self, t, x):
        with torch.enable_grad():
            x = x.requires_grad_()
            energy = (x[..., 1] ** 2).sum() / 2 + self.k * (x[..., 0] ** 2).sum() / 2
            (slope,) = torch.autograd.grad(energy, x, create_graph=True)
        return torch.stack([slope[..., 1], -slope[..., 0]], dim=-1)


class Unguarded(Hamiltonian):
    """The same as people write it who never solve without a graph."""

    def forward(self, t, x):
        x.requires_grad_(True)
        energy = (x[..., 1] ** 2).sum() / 2 + self.k * (x[..., 0] ** 2).sum() / 2
        (slope,) = torch.autograd.grad(energy, x, create_graph=True)
        return torch.stack([slope[..., 1], -slope[..., 0]], dim=-1)


class Lagrangian(Hamiltonian):
    """L = v^2 / 2 - k q^2 / 2, and the Euler-Lagrange equation by a Hessian inside."""

    def forward(self, t, x):
        with torch.enable_grad():
            x = x.requires_grad_()
            q, v = x[..., 0], x[..., 1]
            lagrangian = (v**2).sum() / 2 - self.k * (q**2).sum() / 2
            (force,) = torch.autograd.grad(lagrangian, q, create_graph=True)
            (momentum,) = torch.autograd.grad(lagrangian, v, create_graph=True)
            (mass,) = torch.autograd.grad(momentum.sum(), v, create_graph=True)
        return torch.stack([v, force / mass], dim=-1)


def oscillator_gradient(module, shape, adjoint, **options):
    """Errors of dq(T)/dk and dq(T)/dq0, summed over all copies."""
    y0 = number([1.0, 0.0]).repeat(*shape, 1).requires_grad_()
    solution = solve(module, y0, [0.5, T], adjoint=adjoint, **TIGHT, **options)
    assert solution.status == "ok"
    by_k, by_y0 = torch.autograd.grad(solution.ys[-1, ..., 0].sum(), (module.k, y0))
    root, copies = np.sqrt(K), int(np.prod(shape))
    expected = -copies * T * np.sin(root * T) / (2 * root)
    assert by_k.item() == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(by_y0[..., 0], np.cos(root * T), rtol=1e-6)
    np.testing.assert_allclose(by_y0[..., 1], np.sin(root * T) / root, rtol=1e-6)


@EVERY
@pytest.mark.parametrize("network", [Hamiltonian, Unguarded, Lagrangian])
@pytest.mark.parametrize("shape", [(), (6,)])
def test_gradients_that_are_taken_inside(adjoint, network, shape):
    oscillator_gradient(network(), shape, adjoint, solver="dop853")


@pytest.mark.parametrize("adjoint", ["discrete", "tape", "interpolating", "quadrature"])
def test_gradients_that_are_taken_inside_with_a_rosenbrock_solver(adjoint):
    oscillator_gradient(Hamiltonian(), (), adjoint, solver="rodas5p")


def test_inside_a_transform():
    module = Hamiltonian()
    root = np.sqrt(K)

    def final(q, adjoint="discrete"):
        y0 = torch.stack([q, torch.zeros_like(q)])
        return solve(module, y0, [T], adjoint=adjoint, **TIGHT).ys[-1, 0]

    assert torch.func.grad(final)(number(1.0)).item() == pytest.approx(np.cos(root * T), rel=1e-6)
    found = torch.func.vmap(torch.func.grad(final))(number([1.0, 2.0]))
    np.testing.assert_allclose(found.detach(), np.cos(root * T), rtol=1e-6)
    with pytest.raises(NotImplementedError, match="use adjoint='discrete'"):
        torch.func.jacfwd(lambda q: final(q, "forward"))(number(1.0))


AT, RAIN = np.arange(4.0), np.array([0.0, 2.0, 1.0, 3.0])


class Reservoir(torch.nn.Module):
    """y' = u(t) - k y with a table of NumPy's for u, and a condition on the time."""

    def __init__(self):
        super().__init__()
        self.k = torch.nn.Parameter(number(K))

    def forward(self, t, y):
        if t > 3.0:
            return -self.k * y
        return float(np.interp(t.detach().numpy(), AT, RAIN)) - self.k * y


def reservoir(k, end=4.0):
    """y(end) from y(0) = 1; each stretch of a linear u is solved by hand. `k` may be complex."""
    y = 1.0 + 0 * k
    for i in range(3):
        slope = RAIN[i + 1] - RAIN[i]
        # The particular solution a + b s, of s = t - i.
        b = slope / k
        a = (RAIN[i] - b) / k
        y = (y - a) * np.exp(-k) + a + b
    return y * np.exp(-k * (end - 3.0))


@EVERY
@pytest.mark.parametrize("states", [2, 12])
def test_numpy_and_conditions_on_the_time(adjoint, states):
    module, y0 = Reservoir(), torch.ones(states, dtype=torch.float64)
    ys = solve(module, y0, [4.0], adjoint=adjoint, discontinuities=[1.0, 2.0, 3.0], **TIGHT).ys
    ys.mean().backward()
    assert ys[0, 0].item() == pytest.approx(reservoir(K), rel=1e-7)
    expected = reservoir(K + 1e-30j).imag / 1e-30
    assert module.k.grad.item() == pytest.approx(expected, rel=1e-6)


class Normalized(torch.nn.Module):
    """y' = -k times the sign of y, by batch normalisation of two opposite states."""

    def __init__(self):
        super().__init__()
        self.k = torch.nn.Parameter(number(0.25))
        self.norm = torch.nn.BatchNorm1d(1, eps=1e-12, affine=False, dtype=torch.float64)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, t, y):
        self.calls += 1
        return -self.k * self.norm(y)


@EVERY
def test_buffers_that_change_in_place(adjoint):
    module, y0 = Normalized(), number([[1.0], [-1.0]]).requires_grad_()
    ys = [solve(module, y0, [0.5, end], adjoint=adjoint, **TIGHT).ys for end in (1.0, 2.0)]
    (ys[0][-1, 0, 0] + ys[1][-1, 0, 0] - ys[1][0, 1, 0]).backward()
    assert ys[1][-1, 0, 0].item() == pytest.approx(0.5, rel=1e-6)
    assert module.k.grad.item() == pytest.approx(-3.0 - 0.5, rel=1e-6)
    assert module.calls > 20
    assert module.norm.num_batches_tracked > 20


def test_what_is_needed_is_found_out_once():
    failures = []

    def rhs(t, y, p):
        try:
            rate = p if t < 10.0 else 0 * p
        except RuntimeError as error:
            failures.append(error)
            raise
        return -rate * y

    for _ in range(3):
        p = number(K).requires_grad_()
        y0 = torch.ones(2, dtype=torch.float64)
        solve(rhs, y0, [1.0], p, **TIGHT).ys.sum().backward()
        assert p.grad.item() == pytest.approx(-2 * np.exp(-K), rel=1e-7)
    assert len(failures) == 1


def test_random_numbers_in_a_right_hand_side_are_refused():
    y0 = torch.ones(2, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match="rhs draws random numbers"):
        solve(lambda t, y, p: -y + 1e-12 * torch.rand_like(y), y0, [1.0])


def test_an_error_of_the_right_hand_side_itself_is_raised():
    def rhs(t, y, p):
        if torch.is_grad_enabled() and t > 0.1:
            raise KeyError("missing")
        return -p * y

    p = number(K).requires_grad_()
    # Of so large a state no graphs are kept: the reverse pass evaluates again.
    ys = solve(rhs, torch.ones(4096, dtype=torch.float64), [1.0], p).ys
    with pytest.raises(KeyError, match="missing"):
        ys.sum().backward()


def test_a_rosenbrock_step_sees_the_slope_by_time_of_what_looks_at_values():
    def forced(t, y, p):
        return torch.stack([-p["k"] * y[0] * y[1] + torch.sin(3.0 * t), y[0] * torch.cos(t)])

    def looking(t, y, p):
        return forced(t, y, p) if float(t.detach()) >= 0.0 else 0.0 * y

    def solved(rhs):
        k = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        start, end = (torch.tensor(x, dtype=torch.float64) for x in ([1.0, 0.5], [2.0]))
        ys = solve(rhs, start, end, {"k": k}, solver="rodas5p", engine="torch", rtol=1e-4).ys
        return ys.detach(), torch.autograd.grad(ys[-1, 0], k)[0]

    expected = solved(forced)
    # The first call finds out that it takes plain autograd, the second knows.
    for _ in range(2):
        for found, value in zip(solved(looking), expected, strict=True):
            torch.testing.assert_close(found, value, rtol=1e-10, atol=1e-12)
