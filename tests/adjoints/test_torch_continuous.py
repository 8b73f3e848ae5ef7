"""The continuous adjoints of the open PyTorch solver."""

import numpy as np
import pytest
import tiny_problems as tiny
import torch
from array_api_compat import array_namespace

import adjointbench
from adjointbench import problems
from adjointbench.adjoints.torch import solve
from adjointbench.adjoints.torch.continuous import CONTINUOUS

ON_DENSE_OUTPUT = ("interpolating", "quadrature")
ROBERTSON = {"solver": "rodas5p", "rtol": 1e-7, "atol": 1e-11}


def gradient(problem, adjoint, dtype=torch.float64, **options):
    """Flat gradients by parameters and start value, and what the reverse pass counted."""
    options = {"rtol": 1e-6, "atol": 1e-9, **options}

    def tensor(value):
        found = torch.tensor(value)
        return found.to(dtype) if found.is_floating_point() else found

    p = {name: tensor(value).requires_grad_() for name, value in problem.params.items()}
    constants = {name: tensor(value) for name, value in problem.constants.items()}
    y0 = tensor(problem.y0).requires_grad_()
    named = {**p, **constants}
    solution = solve(
        problem.rhs,
        y0,
        problem.save_at.copy(),
        named,
        t0=problem.t_span[0],
        discontinuities=problem.discontinuities,
        jump_times=problem.jump_times,
        jump=problem.jump,
        adjoint=adjoint,
        **options,
    )
    assert solution.status == "ok"
    node = solution.ys.grad_fn
    loss = problem.loss(solution.ys, named)
    found = torch.autograd.grad(loss, (*p.values(), y0), materialize_grads=True)
    pulled = node.call.pulled
    return torch.cat([g.reshape(-1) for g in found]).numpy(), pulled.counts


def gap(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_golden_values(adjoint):
    problem = problems.get("lotka_volterra", loss="squared_distance")
    options = {"solver": "dop853", "rtol": 1e-9, "atol": 1e-9}
    found, counts = gradient(problem, adjoint, **options)
    assert gap(found, np.concatenate([tiny.LOTKA_VOLTERRA_DP, tiny.LOTKA_VOLTERRA_DY0])) < 2e-7
    assert counts.status == 0
    attempts = counts.steps + counts.rejected
    assert counts.rhs_evals == counts.vjp_evals == 2 + 12 * attempts
    assert counts.jacobian_evals == counts.linear_solves == 0


@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_saves_before_the_end(adjoint):
    found, _ = gradient(tiny.decay(), adjoint, rtol=1e-9, atol=1e-12)
    _, dk, dy0 = tiny.decay_gradient()
    np.testing.assert_allclose(found, [dk, dy0], rtol=1e-8)


@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_jumps_and_saves_at_and_between_them(adjoint):
    found, _ = gradient(tiny.doses(), adjoint, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found, tiny.doses_gradient(), rtol=1e-8)


@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_a_jump_at_the_end(adjoint):
    arguments = {"t_span": (0.0, 2.0), "save_at": np.array([0.5, 2.0]), "jump_times": (1.0, 2.0)}
    problem = tiny.doses(**arguments)
    found, _ = gradient(problem, adjoint, rtol=1e-9, atol=1e-12)
    expected, _ = gradient(problem, "discrete", rtol=1e-11, atol=1e-13)
    assert expected[2] != 0
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("adjoint", CONTINUOUS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_discontinuity_is_seen_from_the_correct_side(adjoint, dtype):
    def rhs(t, y, p):
        xp = array_namespace(y)
        return xp.where(t < 1.1, p["slopes"][0], p["slopes"][1]) + 0 * y

    problem = tiny.switch(discontinuities=(1.1,), rhs=rhs)
    found, counts = gradient(problem, adjoint, dtype, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found, [10 * 1.0 + 1.1, 1.9, 11], rtol=1e-5)
    assert counts.rejected == 0


@pytest.mark.parametrize("adjoint", ON_DENSE_OUTPUT)
def test_daily_doses_with_a_save_every_half_hour(adjoint):
    problem = problems.get("pkpd", t_end=26.0)
    found, _ = gradient(problem, adjoint, rtol=1e-8, atol=1e-10)
    expected, _ = gradient(problem, "discrete", rtol=1e-9, atol=1e-11)
    assert gap(found, expected) < 1e-7


@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_a_state_with_axes_and_constants(adjoint):
    found, _ = gradient(tiny.oscillators(), adjoint, rtol=1e-9, atol=1e-12)
    expected, _ = gradient(tiny.oscillators(), "discrete", rtol=1e-9, atol=1e-12)
    assert gap(found, expected) < 1e-8


@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_as_in_jax(adjoint):
    problem = problems.get("lotka_volterra")
    found, counts = gradient(problem, adjoint, solver="tsit5")
    other = adjointbench.prepare(
        problem, f"jax-{adjoint}", solver="tsit5", rtol=1e-6, atol=1e-9, max_steps=256
    )()
    arrays = [*other.dparams.values(), other.dy0]
    assert gap(found, np.concatenate([np.ravel(x) for x in arrays])) < 1e-9
    assert counts.steps == pytest.approx(other.stats.reverse_steps, abs=1)
    assert counts.rejected == pytest.approx(other.stats.reverse_rejected, abs=1)


@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_the_error_follows_the_tolerance_of_the_reverse_solve(adjoint):
    problem = problems.get("lotka_volterra", t_end=5.0)
    tight = {"rtol": 1e-10, "atol": 1e-12}
    expected, _ = gradient(problem, "discrete", **tight)
    gaps = []
    for rtol in (1e-4, 1e-6, 1e-8):
        reverse = {"adjoint_rtol": rtol, "adjoint_atol": rtol / 100}
        gaps.append(gap(gradient(problem, adjoint, **tight, **reverse)[0], expected))
    assert gaps[0] < 1e-2
    assert gaps[1] < gaps[0] / 20
    assert gaps[2] < gaps[1] / 20


@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_a_fixed_step_has_its_order_in_reverse(adjoint):
    # A hundred steps of rk4 backwards over spans that halve: the error falls by 2**4, or by 2**3
    # where dense output of order 3 is in use.
    gaps = []
    for t_end in (2.0, 1.0):
        problem = problems.get("lotka_volterra", t_end=t_end)
        options = {"solver": "dop853", "rtol": 1e-12, "atol": 1e-13}
        expected, _ = gradient(problem, "discrete", **options)
        found, counts = gradient(problem, adjoint, adjoint_solver="rk4", **options)
        assert counts.steps == 100
        gaps.append(gap(found, expected))
    assert gaps[0] < 1e-6
    assert gaps[1] < gaps[0] / 8


@pytest.mark.parametrize("adjoint", ON_DENSE_OUTPUT)
def test_stiff_equations_with_a_rosenbrock_solver(adjoint):
    problem = problems.get("robertson")
    found, counts = gradient(problem, adjoint, **ROBERTSON)
    logarithmic = problem.params["k"] * (found[:3] - tiny.ROBERTSON_DK)
    assert np.linalg.norm(logarithmic) < 1e-5 * np.linalg.norm(
        problem.params["k"] * tiny.ROBERTSON_DK
    )
    attempts = counts.steps + counts.rejected
    assert counts.jacobian_evals == attempts
    assert counts.linear_solves == 8 * attempts


def test_quadrature_uses_the_jacobian_that_is_given():
    problem, given = problems.get("robertson"), []

    def jacobian(t, y, p):
        given.append(t)
        return problem.jacobian(t, y, p)

    options = {**ROBERTSON, "rtol": 1e-5}
    found, counts = gradient(problem, "quadrature", jacobian=jacobian, **options)
    expected, _ = gradient(problem, "quadrature", **options)
    assert gap(found, expected) < 1e-6
    assert len(given) > counts.jacobian_evals


@pytest.mark.filterwarnings("ignore:the reverse solve:RuntimeWarning")
@pytest.mark.parametrize("adjoint", ["backsolve", "backsolve-seminorm"])
def test_backsolve_breaks_down_where_the_equation_is_unstable_backwards(adjoint):
    problem = problems.get("robertson")
    found, counts = gradient(problem, adjoint, **ROBERTSON, max_steps=200)
    if counts.status == 0:
        assert gap(found[:3], tiny.ROBERTSON_DK) > 1e-2
    else:
        assert np.isnan(found).all()


@pytest.mark.filterwarnings("ignore:the reverse solve:RuntimeWarning")
@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_a_breakdown_of_the_reverse_solve(adjoint):
    options = {"rtol": 1e-3, "adjoint_rtol": 1e-11, "adjoint_atol": 1e-14, "max_steps": 20}
    found, counts = gradient(tiny.doses(), adjoint, **options)
    assert adjointbench.adjoints.result.STATUSES[counts.status] == "max_steps"
    assert np.isnan(found).all()


@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_float32(adjoint):
    problem = problems.get("lotka_volterra", t_end=5.0)
    found, _ = gradient(problem, adjoint, torch.float32, rtol=1e-5, atol=1e-6)
    expected, _ = gradient(problem, "discrete", rtol=1e-8, atol=1e-10)
    assert found.dtype == np.float32
    assert gap(found, expected) < 1e-3


@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_tolerances_per_component(adjoint):
    problem = problems.get("lotka_volterra", t_end=2.0)
    tolerances = {"rtol": torch.tensor([1e-8, 1e-7]), "atol": torch.tensor([1e-10, 1e-9])}
    found, _ = gradient(problem, adjoint, **tolerances)
    expected, _ = gradient(problem, "discrete", rtol=1e-10, atol=1e-12)
    assert gap(found, expected) < 1e-5


@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_given_steps_do_not_bound_those_of_the_reverse_solve(adjoint):
    def rhs(t, y, p):
        return -p * y

    y0, p = torch.ones(2, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)
    t = torch.tensor([0.0, 0.5, 1.0, 1.0], dtype=torch.float64)
    steps = (t, torch.tensor([0.5, 0.5, 0.0, 0.0], dtype=torch.float64))
    tight = {"adjoint_rtol": 1e-10, "adjoint_atol": 1e-12}
    found = torch.func.grad(
        lambda p: solve(rhs, y0, [1.0], p, adjoint=adjoint, steps=steps, **tight).ys.sum()
    )(p)
    assert float(found) == pytest.approx(-2 * np.exp(-0.7), rel=1e-3)


@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_lanes_and_rows_of_a_jacobian(adjoint):
    def rhs(t, y, p):
        return torch.stack([p[0] * y[0] - y[0] * y[1], y[0] * y[1] - p[1] * y[1]])

    def ys(p):
        y0 = torch.ones(2, dtype=torch.float64)
        return solve(rhs, y0, [0.5, 1.0], p, adjoint=adjoint, rtol=1e-6, atol=1e-9).ys

    def one(p):
        return torch.func.grad(lambda p: ys(p).sum())(p)

    ps = torch.tensor([[1.5, 3.0], [1.0, 2.0]], dtype=torch.float64)
    expected = torch.stack([one(p) for p in ps])
    torch.testing.assert_close(torch.func.vmap(one)(ps), expected, rtol=0, atol=0)
    rows = torch.func.jacrev(lambda p: ys(p)[-1])(ps[0])
    assert gap(rows.sum(dim=0).numpy(), one(ps[0]).numpy()) > 0.1
    again = torch.func.grad(lambda p: ys(p)[-1, 0])(ps[0])
    torch.testing.assert_close(rows[0], again, rtol=0, atol=0)


def test_no_parameters():
    def final(y0):
        return solve(lambda t, y, p: -y, y0, [1.0], (), adjoint="quadrature").ys.sum()

    found = torch.func.grad(final)(torch.ones(3, dtype=torch.float64))
    np.testing.assert_allclose(found, np.exp(-1), rtol=1e-5)
