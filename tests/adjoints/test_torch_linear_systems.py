"""Dense, banded and sparse systems of implicit steps on PyTorch: the same values and gradients."""

from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from array_api_compat import array_namespace
from scipy.linalg import expm

import adjointbench as ab
from adjointbench.adjoints.linear_systems.colored_pattern import ColoredPattern
from adjointbench.adjoints.linear_systems.pattern import Pattern
from adjointbench.adjoints.torch import solve
from adjointbench.adjoints.torch.systems.found import pattern_of_problem
from adjointbench.adjoints.torch.systems.sparse import Banded, Sparse

SOLVERS = ("rodas5p", "rodas4p", "kvaerno5", "implicit_midpoint")
N = 12
TRIDIAGONAL = sp.diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(N, N))
#: Weights of the loss, and the start value.
WEIGHTS, START = (np.random.default_rng(i).uniform(0.5, 1.5, N) for i in range(2))


def laplacian(n: int) -> np.ndarray:
    return np.diag(np.ones(n - 1), -1) - 2 * np.eye(n) + np.diag(np.ones(n - 1), 1)


def heat(t, y, k):
    end = torch.zeros_like(y[:1])
    left, right = torch.cat([end, y[:-1]]), torch.cat([y[1:], end])
    return k * (left - 2 * y + right)


def nonlinear(t, y, k):
    """A tridiagonal Jacobian that depends on the time, the state and the parameter."""
    return heat(t, y, 1.0 + k * y**2) - torch.sin(t) * y**3


def gradient(rhs, linear_solver, solver, **options):
    """The solution, and the gradient by the start value and the parameter."""
    options = {"rtol": 1e-4, "atol": 1e-6, "jacobian_sparsity": TRIDIAGONAL, **options}
    if solver == "implicit_midpoint":
        options.setdefault("number_of_steps", 12)
    y0 = torch.tensor(START, requires_grad=True)
    k = torch.tensor(2.0, dtype=y0.dtype, requires_grad=True)
    given = (rhs, y0, [0.05, 0.1], k)
    found = solve(*given, solver=solver, linear_solver=linear_solver, **options)
    loss = (torch.tensor(WEIGHTS) * found.ys).sum()
    dy0, dk = torch.autograd.grad(loss, (y0, k))
    return found, np.append(dy0.numpy(), dk.item())


def closed_form() -> tuple[list[np.ndarray], np.ndarray]:
    """The heat equation's solution, and the gradient of the loss."""
    matrix, times = laplacian(N), (0.05, 0.1)
    at = [expm(2.0 * t * matrix) for t in times]
    dk = sum(t * WEIGHTS @ matrix @ e @ START for t, e in zip(times, at, strict=True))
    return [e @ START for e in at], np.append(WEIGHTS @ sum(at), dk)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_heat_equation_in_closed_form_by_all_systems(solver):
    dense, of_dense = gradient(heat, "dense", solver)
    assert dense.linear_solver == "dense"
    ys, expected = closed_form()
    np.testing.assert_allclose(dense.ys.detach(), ys, rtol=1e-3)
    np.testing.assert_allclose(of_dense, expected, rtol=1e-3)
    for choice in ("banded", "sparse", "gmres"):
        found, dparams = gradient(heat, choice, solver)
        assert found.linear_solver.startswith(choice)
        np.testing.assert_allclose(found.ys.detach(), dense.ys.detach(), rtol=1e-11)
        np.testing.assert_allclose(dparams, of_dense, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_nonlinear_equation_by_all_systems(solver):
    dense, expected = gradient(nonlinear, "dense", solver)
    for choice in ("banded", "sparse", "gmres"):
        found, dparams = gradient(nonlinear, choice, solver)
        assert found.status == "ok"
        np.testing.assert_allclose(found.ys.detach(), dense.ys.detach(), rtol=1e-11)
        np.testing.assert_allclose(dparams, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("adjoint", ["tape", "forward", "interpolating", "quadrature"])
def test_other_adjoints_take_the_same_systems(adjoint):
    def run(choice: str) -> torch.Tensor:
        def loss(k: torch.Tensor) -> torch.Tensor:
            given = {"solver": "rodas5p", "adjoint": adjoint, "jacobian_sparsity": TRIDIAGONAL}
            given |= {"rtol": 1e-3, "atol": 1e-5, "linear_solver": choice}
            found = solve(nonlinear, torch.tensor(START), [0.03], k, **given)
            return (torch.tensor(WEIGHTS) * found.ys).sum()

        k = torch.tensor(2.0, dtype=torch.float64)
        if adjoint == "forward":
            return torch.func.jacfwd(loss)(k)
        k.requires_grad_()
        return torch.autograd.grad(loss(k), k)[0]

    dense, *others = map(run, ("dense", "banded", "sparse", "gmres"))
    for other in others:
        torch.testing.assert_close(other, dense, rtol=1e-9, atol=0.0)


@pytest.mark.parametrize("choice", ["banded", "sparse", "gmres"])
@pytest.mark.parametrize("solver", ["rodas5p", "kvaerno5"])
def test_lanes_have_systems_of_their_own(solver, choice):
    scales = torch.tensor([0.5, 2.0], dtype=torch.float64)

    def loss(scale: torch.Tensor, choice: str) -> torch.Tensor:
        given = {"rtol": 1e-3, "atol": 1e-5, "solver": solver, "linear_solver": choice}
        y0 = scale * torch.tensor(START)
        found = solve(nonlinear, y0, [0.03], scale, jacobian_sparsity=TRIDIAGONAL, **given)
        return (torch.tensor(WEIGHTS) * found.ys).sum()

    slope = torch.func.grad(loss)
    found = torch.func.vmap(lambda s: slope(s, choice))(scales)
    expected = torch.stack([slope(s, "dense") for s in scales])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0.0)


@pytest.mark.parametrize("choice", ["banded", "sparse", "gmres"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_an_entry_beside_the_pattern_is_a_status(solver, choice):
    def beside(t, y, k):
        """From some time on the last component moves the first one."""
        return heat(t, y, k) + torch.where(t > 0.02, 1.0, 0.0) * torch.cat([y[-1:], 0.0 * y[1:]])

    found, dparams = gradient(beside, choice, solver)
    assert found.status == "linear_solve"
    assert torch.isnan(found.ys).all()
    assert np.isnan(dparams).all()


def test_an_entry_that_only_a_stage_meets_makes_no_gradient():
    """Newton's method converges all the same; the derivative of its root would be wrong."""

    def late(t, y, k):
        hit = torch.where((t > 0.011) & (t < 0.019), 1.0, 0.0)
        return heat(t, y, k) + hit * torch.cat([y[-1:], 0.0 * y[1:]])

    options = {"number_of_steps": 10}
    dense, expected = gradient(late, "dense", "implicit_midpoint", **options)
    found, dparams = gradient(late, "sparse", "implicit_midpoint", **options)
    torch.testing.assert_close(found.ys, dense.ys, rtol=1e-4, atol=0.0)
    assert np.isfinite(expected).all()
    assert np.isnan(dparams).any()


@pytest.mark.parametrize("choice", ["banded", "sparse"])
def test_a_singular_matrix_is_a_status(choice):
    """With steps of size 1 the matrix ``I - h J / 2`` of y' = 2 y is zero."""
    found = solve(
        lambda t, y: 2 * y,
        torch.ones(8, dtype=torch.float64),
        [1.0],
        solver="implicit_midpoint",
        number_of_steps=1,
        linear_solver=choice,
        jacobian_sparsity=([], []),
    )
    assert found.status == "linear_solve"


def test_a_given_jacobian_is_read_at_its_entries():
    options = {"jacobian": lambda t, y, k: k * torch.tensor(laplacian(N))}
    dense, expected = gradient(heat, "dense", "rodas5p", **options)
    found, dparams = gradient(heat, "sparse", "rodas5p", **options)
    torch.testing.assert_close(found.ys, dense.ys, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dparams, expected, rtol=1e-10)
    full = {"jacobian": lambda t, y, k: k * torch.tensor(laplacian(N)) + 1.0}
    assert gradient(heat, "sparse", "rodas5p", **full)[0].status == "linear_solve"


def test_what_is_chosen_and_why_not():
    def told(n, **options):
        y0 = torch.ones(n, dtype=torch.float64)
        given = {"solver": "rodas5p", "rtol": 1e-2, "atol": 1e-2, "engine": "torch"}
        return solve(heat, y0, [0.01], torch.tensor(1.0), **given, **options).linear_solver

    def band(n):
        return laplacian(n) != 0

    assert told(20) == "dense"
    assert told(40) == (
        "dense (where the Jacobian has entries is not known: pass jacobian_sparsity=...)"
    )
    assert told(40, jacobian_sparsity=band(40)) == "banded (1 below, 1 above, 3 products)"
    assert told(40, jacobian_sparsity=np.ones((40, 40))) == "dense"
    assert told(40, jacobian_sparsity=band(40), linear_solver="dense") == "dense"
    ring = band(40)
    ring[0, -1] = True
    assert told(40, jacobian_sparsity=ring) == "dense"
    ring = band(120)
    ring[0, -1] = True
    assert told(120, jacobian_sparsity=ring) == "sparse (359 entries, 3 products)"
    with pytest.raises(ValueError, match=r"linear_solver='banded'.*119 above; use"):
        told(120, jacobian_sparsity=ring, linear_solver="banded")
    with pytest.raises(ValueError, match=r"linear_solver='sparse'.*pass jacobian_sparsity"):
        told(40, linear_solver="sparse")
    with pytest.raises(ValueError, match="linear_solver='lu'"):
        told(40, linear_solver="lu")
    with pytest.raises(ValueError, match=r"jacobian_sparsity has shape \(20, 20\)"):
        told(40, jacobian_sparsity=band(20))


def test_the_native_loop_refuses_and_explicit_solvers_have_no_systems():
    given = (heat, torch.tensor(START), [0.01], torch.tensor(1.0, dtype=torch.float64))
    implicit = {"solver": "rodas5p", "jacobian_sparsity": TRIDIAGONAL}
    with pytest.raises(ValueError, match=r"engine='native': .*linear_solver='sparse'"):
        solve(*given, **implicit, engine="native", linear_solver="sparse")
    with pytest.raises(ValueError, match="compiled loops solve their systems by dense factors"):
        solve(*given, **implicit, compile=True, linear_solver="sparse")
    assert solve(*given).linear_solver is None
    assert solve(*given, **implicit, engine="native").linear_solver == "dense"


@pytest.mark.parametrize("name", ["heat_equation", "burgers"])
def test_the_pattern_of_a_problem_is_found_and_its_gradient_the_same(name):
    problem = ab.problems.get(name, n=36)
    options = {"rtol": 1e-3, "atol": 1e-5, "engine": "torch", "solver": "rodas5p"}
    dense = ab.gradient(problem, "torch-discrete", linear_solver="dense", **options)
    found = ab.gradient(problem, "torch-discrete", **options)
    assert dense.stats.linear_solver == "dense"
    assert found.stats.linear_solver == "banded (1 below, 1 above, 3 products)"
    np.testing.assert_allclose(found.loss, dense.loss, rtol=1e-11)
    for key, value in dense.dparams.items():
        np.testing.assert_allclose(found.dparams[key], value, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.dy0, dense.dy0, rtol=1e-10, atol=1e-12)


def test_a_problem_of_pytorch_alone_tells_to_give_the_pattern():
    def rhs(t, y, p):
        return heat(t, y, p["k"])

    parts = {"y0": np.ones(40), "params": {"k": np.array(1.0)}, "t_span": (0.0, 0.01)}
    problem = ab.Problem(name="of_torch", rhs=rhs, loss=lambda ys, p: (ys**2).sum(), **parts)
    told = pattern_of_problem(problem, problem.y0.shape)
    assert isinstance(told, str)
    assert "pass jacobian_sparsity" in told


@pytest.mark.parametrize("kind", [Sparse, Banded, partial(Sparse, incomplete=True)])
def test_right_hand_sides_are_solved_for_in_every_transform(kind):
    matrix = torch.tensor(laplacian(6) - np.eye(6))
    rows, columns = np.nonzero(matrix.numpy())
    system = kind(ColoredPattern(Pattern(6, rows, columns), np.arange(6) % 3))
    entries = system.of_matrix(matrix).matrix
    factors = system.factorize(entries)
    right = torch.linspace(0.0, 1.0, 30, dtype=torch.float64).reshape(5, 6)
    expected = torch.linalg.solve(matrix, right.T).T
    found = torch.func.vmap(lambda b: system.solve(factors, b))(right)
    torch.testing.assert_close(found, expected)
    transposed = torch.func.vmap(lambda b: system.solve(factors, b, transposed=True))(right)
    torch.testing.assert_close(transposed, torch.linalg.solve(matrix.T, right.T).T)
    inverse = torch.linalg.inv(matrix)
    for jacobian in (torch.func.jacfwd, torch.func.jacrev):
        slopes = jacobian(lambda b: system.solve(factors, b))(right[0])
        torch.testing.assert_close(slopes, inverse)

    def of_lane(scale: torch.Tensor) -> torch.Tensor:
        own = system.factorize(scale * entries)
        return torch.func.vmap(lambda b: system.solve(own, b))(right)

    scales = torch.tensor([1.0, 2.0], dtype=torch.float64)
    lanes = torch.func.vmap(of_lane)(scales)
    torch.testing.assert_close(lanes, torch.stack([expected, expected / 2]))


@pytest.mark.parametrize("choice", ["dense", "sparse", "gmres"])
def test_rounding_is_not_multiplied_by_stiffness(choice):
    """The product of a Jacobian with what the transposed system gives would be off by 1e5."""
    rates = torch.tensor([1e3, 1e7, 1e11], dtype=torch.float64).repeat(4)

    def rhs(t, y, k):
        """Pairs that exchange at any rate, and together decay."""
        a, b = y[:12], y[12:]
        flow = rates * (k * a - b)
        return torch.cat([-flow - 0.1 * a, flow])

    n, every = 24, np.arange(12)
    pairs = sp.coo_array(
        (np.ones(24), (np.r_[every, every + 12], np.r_[every + 12, every])), (n, n)
    )
    y0 = torch.ones(n, dtype=torch.float64)
    options = {"solver": "kvaerno5", "rtol": 1e-3, "atol": 1e-5, "linear_solver": choice}

    def slope(adjoint: str) -> torch.Tensor:
        k = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
        start = y0.clone().requires_grad_()
        found = solve(rhs, start, [1.0], k, jacobian_sparsity=pairs, adjoint=adjoint, **options)
        dy0, dk = torch.autograd.grad((found.ys[-1] ** 2).sum(), (start, k))
        return torch.cat([dy0, dk[None]])

    torch.testing.assert_close(slope("discrete"), slope("tape"), rtol=1e-4, atol=1e-4)


def test_a_training_with_batches_of_other_sizes_has_systems_of_their_own():
    def rhs(t, y, p):
        xp = array_namespace(y)
        return 0.1 * xp.roll(y, 1, axis=-1) - p["k"] * y

    problem = ab.Problem(
        name="batch",
        rhs=rhs,
        y0=np.ones((20, 4)),
        params={"k": 2.0},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: array_namespace(ys).mean(ys[-1, ...] ** 2),
        stiff=True,
    )
    run = ab.prepare(problem, "torch-discrete", engine="torch")
    assert run().stats.linear_solver.startswith("banded")
    for size in (20, 12):
        y0 = torch.ones((size, 4), dtype=torch.float64)
        found = run.training_gradient({"k": torch.tensor(2.0, dtype=torch.float64)}, y0, {}, [0.0])
        assert float(found.loss) == pytest.approx(np.exp(-3.8), rel=1e-4)


@pytest.mark.parametrize("method", ["torch-discrete", "jax-discrete"])
def test_an_unknown_solver_of_systems_is_refused_whatever_runs(method):
    with pytest.raises(ValueError, match="linear_solver='klu' is not known"):
        ab.prepare(ab.problems.get("robertson"), method, linear_solver="klu")
