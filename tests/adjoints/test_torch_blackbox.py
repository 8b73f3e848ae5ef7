"""SciPy's solvers inside PyTorch programs."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tiny_problems as tiny
import torch
from array_api_compat import array_namespace

import adjointbench as ab
from adjointbench.adjoints.torch.blackbox import blackbox_solve

SOLVERS = ("rk45", "dop853", "radau", "bdf", "lsoda")
TIGHT = {"rtol": 1e-9, "atol": 1e-12}
METHOD = "torch-blackbox"


def decay(t, y, k):
    return -k * y


def decay_loss(k, y0, **options):
    ys = blackbox_solve(decay, y0, (1.0, 2.0), k, **{**TIGHT, **options}).ys
    return (ys**2).sum() + k.sum()


def values(k=0.5, y0=1.5, dtype=torch.float64):
    return [torch.tensor([value], dtype=dtype, requires_grad=True) for value in (k, y0)]


@pytest.mark.parametrize("solver", SOLVERS)
def test_gradient(solver):
    for value in (0.5, 0.8):
        k, y0 = values(value)
        loss = decay_loss(k, y0, solver=solver)
        loss.backward()
        found = [loss.item(), k.grad.item(), y0.grad.item()]
        np.testing.assert_allclose(found, tiny.decay_gradient(k=value), rtol=1e-6)


def test_a_graph_that_is_used_twice():
    k, y0 = values()
    loss = decay_loss(k, y0)
    first = torch.autograd.grad(loss, (k, y0), retain_graph=True)
    # What happens to the parameters in the meantime is no business of the graph.
    with torch.no_grad():
        k += 1.0
    second = torch.autograd.grad(loss, (k, y0))
    assert first == second
    np.testing.assert_allclose([g.item() for g in first], tiny.decay_gradient()[1:], rtol=1e-7)


def test_a_solve_that_is_used_twice_in_one_graph():
    k, y0 = values()
    middle = blackbox_solve(decay, y0, (1.0,), k, **TIGHT).ys[-1]
    end = blackbox_solve(decay, middle, (1.0,), k, **TIGHT).ys[-1]
    loss = (middle**2 + end**2).sum() + k.sum()
    found = [loss.item(), *(g.item() for g in torch.autograd.grad(loss, (k, y0)))]
    np.testing.assert_allclose(found, tiny.decay_gradient(), rtol=1e-7)


def test_there_is_no_second_derivative():
    k, y0 = values()
    (dk,) = torch.autograd.grad(decay_loss(k, y0), k, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        dk.sum().backward()


def test_only_what_requires_a_gradient_gets_one():
    k, y0 = values()
    decay_loss(k.detach(), y0).backward()
    assert y0.grad.item() == pytest.approx(tiny.decay_gradient()[2], rel=1e-7)
    (dk,) = torch.autograd.grad(decay_loss(k, y0.detach()), k)
    assert dk.item() == pytest.approx(tiny.decay_gradient()[1], rel=1e-7)
    assert not blackbox_solve(decay, y0.detach(), (1.0,), k.detach()).ys.requires_grad


def test_without_a_graph():
    k, y0 = values()
    with torch.no_grad():
        loss = decay_loss(k, y0)
    assert not loss.requires_grad
    assert loss.item() == decay_loss(k, y0).item()


def test_trees_of_parameters_with_integers():
    def rhs(t, y, p):
        rate, (scale, power) = p["rate"], p["others"]
        assert "int64" in str(power.dtype)
        return -rate * scale * y * array_namespace(y).astype(power[:1] - 1, y.dtype) * y

    # y' = -c y^2: y(1) = y0 / (1 + c y0), with c = rate * scale.
    rate = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([[2.0]], dtype=torch.float64, requires_grad=True)
    p = {"rate": rate, "others": (scale, torch.tensor([2, 7]))}
    y0 = torch.tensor([[1.5]], dtype=torch.float64)
    blackbox_solve(rhs, y0, (1.0,), p, **TIGHT).ys.sum().backward()
    dc = -(1.5**2) / (1 + 1.5) ** 2
    assert rate.grad.item() == pytest.approx(2.0 * dc, rel=1e-7)
    assert (scale.grad.shape, scale.grad.item()) == ((1, 1), pytest.approx(0.5 * dc, rel=1e-7))


def test_float32():
    k, y0 = values(dtype=torch.float32)
    loss = decay_loss(k, y0)
    loss.backward()
    assert (loss.dtype, k.grad.dtype, y0.grad.dtype) == (torch.float32,) * 3
    found = [loss.item(), k.grad.item(), y0.grad.item()]
    np.testing.assert_allclose(found, tiny.decay_gradient(), rtol=1e-6)


def test_an_error_of_the_users_own_function_comes_out():
    def broken(t, y, k):
        if isinstance(y, np.ndarray) and t > 0.5:
            raise ArithmeticError("the user's own")
        return -k * y

    k, y0 = values()
    with pytest.raises(ArithmeticError, match="the user's own"):
        blackbox_solve(broken, y0, (1.0,), k)


def test_jumps_and_discontinuities():
    problem = tiny.doses()
    p = {name: torch.tensor(value, requires_grad=True) for name, value in problem.params.items()}
    y0 = torch.tensor(problem.y0, requires_grad=True)
    solution = blackbox_solve(
        problem.rhs, y0, problem.save_at, p,
        jump=problem.jump, jump_times=problem.jump_times, discontinuities=(0.2,), **TIGHT,
    )  # fmt: skip
    problem.loss(solution.ys, p).backward()
    found = [*p["k"].grad, *p["dose"].grad, *p["kept"].grad, *y0.grad]
    np.testing.assert_allclose(found, tiny.doses_gradient(), rtol=1e-7)


def test_a_breakdown_is_a_status_and_nan():
    problem = tiny.blow_up()
    k, y0 = values(1.0, 1.0)
    solution = blackbox_solve(problem.rhs, y0, (2.0,), {"k": k})
    assert solution.status == "step_too_small"
    assert solution.ys.isnan().all()
    solution.ys.sum().backward()
    assert k.grad.isnan().all()
    assert y0.grad.isnan().all()
    assert blackbox_solve(decay, y0, (9.0,), k, max_steps=2).status == "max_steps"


def test_counts_and_the_first_step_of_the_forward_solve():
    k, y0 = values()
    solution = blackbox_solve(decay, y0, (2.0,), k, solver="rk45")
    assert solution.rhs_evals == 2 + 6 * (solution.steps + solution.rejected)
    small = blackbox_solve(decay, y0, (2.0,), k, solver="rk45", first_step=1e-6)
    assert small.steps > solution.steps
    assert blackbox_solve(decay, y0, (2.0,), k, solver="bdf").rejected is None


def test_tolerances_by_component_and_of_the_reverse_solve():
    rate = torch.tensor([0.5, 0.7], dtype=torch.float64, requires_grad=True)
    y0 = torch.ones(2, dtype=torch.float64)
    options = {"rtol": np.array([1e-9, 1e-9]), "atol": np.array([1e-12, 1e-12])}
    reverse = {"adjoint_solver": "rk45", "adjoint_rtol": 1e-2, "adjoint_atol": 1e-2}
    end = blackbox_solve(decay, y0, (1.0,), rate, **reverse, **options)
    (found,) = torch.autograd.grad(end.ys.sum(), rate)
    exact = np.exp([-0.5, -0.7])
    np.testing.assert_allclose(end.ys.detach().numpy()[0], exact, rtol=1e-8)
    assert 1e-7 < np.abs(found.numpy() / -exact - 1.0).max() < 1e-2


def test_what_makes_no_sense_is_refused():
    k, y0 = values()
    with pytest.raises(ValueError, match=r"solver='rk4'.*did you mean 'rk45'"):
        blackbox_solve(decay, y0, (1.0,), k, solver="rk4")
    with pytest.raises(ValueError, match=r"save_at=.*decrease"):
        blackbox_solve(decay, y0, (1.0, 0.5), k)
    with pytest.raises(ValueError, match=r"save_at=.*t0=2.0"):
        blackbox_solve(decay, y0, (1.0,), k, t0=2.0)
    with pytest.raises(ValueError, match="params holds None; pass tensors"):
        blackbox_solve(decay, y0, (1.0,), {"k": k, "other": None})


@pytest.mark.parametrize("name", ["rhs", "jump"])
def test_tensors_in_a_closure_are_refused_where_they_ask_for_a_gradient(name):
    hidden = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    k, y0 = values()
    functions = {"rhs": decay, "jump": lambda i, t, y, k: y}
    functions[name] = lambda *arguments: -hidden * arguments[-2]
    rhs, jump = functions.values()
    with pytest.raises(ValueError, match=rf"{name} closes over 1 tensor of shape \(1,\).*params"):
        blackbox_solve(rhs, y0, (1.0,), k, jump=jump, jump_times=(0.5,), **TIGHT)


def test_a_module_is_refused_and_its_weights_in_params_are_not():
    class Decay(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.k = torch.nn.Parameter(torch.tensor([0.5], dtype=torch.float64))

        def forward(self, t, y, p):
            return -(self.k if p is None else p["k"]) * y

    module, y0 = Decay(), values()[1]
    with pytest.raises(ValueError, match="rhs closes over 1 tensor"):
        blackbox_solve(lambda t, y, p: module(t, y, None), y0, (1.0,), (), **TIGHT)
    weights = dict(module.named_parameters())
    ys = blackbox_solve(lambda t, y, p: -p["k"] * y, y0, (1.0,), weights, **TIGHT).ys
    ys.sum().backward()
    assert module.k.grad.item() == pytest.approx(-1.5 * np.exp(-0.5), rel=1e-7)


def test_lotka_volterra_agrees_with_cvodes():
    problem = ab.problems.get("lotka_volterra", loss="squared_distance")
    run = ab.prepare(problem, METHOD, rtol=1e-9, atol=1e-11)
    result = run()
    assert result.status == "ok"
    np.testing.assert_allclose(result.dparams["p"], tiny.LOTKA_VOLTERRA_DP, rtol=1e-6)
    np.testing.assert_allclose(result.dy0, tiny.LOTKA_VOLTERRA_DY0, rtol=1e-6)
    assert run.primal() == result.loss
    stats = result.stats
    # A last evaluation closes the accepted steps, one more chooses the first.
    assert stats.rhs_evals == 2 + 12 * (stats.steps + stats.rejected) + 3 * stats.steps
    assert stats.reverse_rhs_evals == 0
    assert stats.vjp_evals > 12 * stats.reverse_steps
    assert stats.saved_bytes > 0
    assert stats.derivatives == "jax"


def test_robertson_by_an_implicit_solver():
    problem = ab.problems.get("robertson")
    result = ab.gradient(problem, METHOD, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(result.dparams["k"], tiny.ROBERTSON_DK, rtol=1e-5)
    assert result.stats.derivatives == ("jax" if problem.jacobian is None else "problem")
    assert result.stats.jacobian_evals > 0


def test_agreement_with_the_other_ways_to_the_same_adjoint():
    problem = ab.problems.get("cubic_spiral")
    inside, in_jax, outside = (
        ab.gradient(problem, method, rtol=1e-8, atol=1e-10)
        for method in (METHOD, "jax-blackbox", "scipy-adjoint")
    )
    assert tiny.log_error(inside, outside.dparams, problem.params) < 1e-13
    assert tiny.log_error(inside, in_jax.dparams, problem.params) < 1e-10
    for name in ("steps", "rejected", "rhs_evals", "reverse_steps", "vjp_evals", "saved_bytes"):
        assert getattr(inside.stats, name) == getattr(outside.stats, name)
    # The dense output is kept: nothing is solved again.
    assert (inside.stats.reverse_rhs_evals, in_jax.stats.reverse_rhs_evals) == (
        0,
        in_jax.stats.rhs_evals,
    )


def test_state_and_parameters_keep_shapes_order_and_dtype():
    problem = tiny.oscillators().with_dtype(np.float32)
    result = ab.gradient(problem, METHOD, **TIGHT)
    reference = ab.gradient(tiny.oscillators(), "scipy-forward", **TIGHT)
    assert list(result.dparams) == list(problem.params)
    for name, value in problem.params.items():
        assert result.dparams[name].shape == value.shape
        assert result.dparams[name].dtype == np.float32
    assert tiny.log_error(result, reference.dparams, problem.params) < 1e-5


@pytest.mark.parametrize(
    ("problem", "options", "status"),
    [
        (tiny.blow_up(), {}, "step_too_small"),
        (tiny.turns_nan(), {}, "nonfinite"),
        (tiny.always_nan(), {}, "nonfinite"),
        (tiny.decay(), {"max_steps": 2}, "max_steps"),
    ],
)
def test_breakdowns_are_statuses(problem, options, status):
    run = ab.prepare(problem, METHOD, **options)
    result = run()
    assert (result.status, result.phase) == (status, "forward")
    assert np.isnan(result.loss)
    assert np.isnan(result.dparams["k"]).all()
    assert np.isnan(run.primal())


def test_a_breakdown_of_the_reverse_solve_is_a_status():
    steps = ab.gradient(tiny.decay(), METHOD, rtol=1e-3).stats.steps
    result = ab.gradient(
        tiny.decay(), METHOD, rtol=1e-3, adjoint_rtol=1e-12, adjoint_atol=1e-14,
        max_steps=steps + 2,
    )  # fmt: skip
    assert (result.status, result.phase) == ("max_steps", "reverse")
    assert np.isnan(result.dy0).all()


def test_the_bare_call_on_tensors():
    problem = tiny.decay()
    run = ab.prepare(problem, METHOD, **TIGHT)
    params, y0 = {"k": torch.tensor(problem.params["k"])}, torch.tensor(problem.y0)
    loss, dparams, dy0 = run.compiled(params, y0)
    found = [loss.item(), dparams["k"].item(), dy0.item()]
    np.testing.assert_allclose(found, tiny.decay_gradient(), rtol=1e-7)
    assert run.compiled_primal(params, y0).item() == loss.item()
    with pytest.raises(ValueError, match="device='cuda:9'"):
        ab.prepare(problem, METHOD, device="cuda:9")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU of NVIDIA")
def test_tensors_of_a_gpu_come_back_to_it():
    k, y0 = (value.detach().cuda().requires_grad_() for value in values())
    loss = decay_loss(k, y0)
    loss.backward()
    assert {loss.device.type, k.grad.device.type, y0.grad.device.type} == {"cuda"}
    found = [loss.item(), k.grad.item(), y0.grad.item()]
    np.testing.assert_allclose(found, tiny.decay_gradient(), rtol=1e-6)
    result = ab.gradient(tiny.decay(), METHOD, device="cuda", **TIGHT)
    assert result.dy0.item() == pytest.approx(tiny.decay_gradient()[2], rel=1e-7)


WITHOUT_JAX = """
    import sys
    sys.modules["jax"] = None
    import importlib.util
    found = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *rest: None if name == "jax" else found(name, *rest)
    import adjointbench as ab
    problem = ab.problems.get("lotka_volterra", loss="squared_distance")
    result = ab.gradient(problem, "torch-blackbox", rtol=1e-6, solver="radau")
    print(result.stats.derivatives, *result.dparams["p"])
"""


def test_pytorch_alone_is_enough():
    code = textwrap.dedent(WITHOUT_JAX)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    source, *found = done.stdout.split()
    assert source == "torch"
    np.testing.assert_allclose(np.float64(found), tiny.LOTKA_VOLTERRA_DP, rtol=1e-4)
