"""PyTorch's own operations: the sweep stage by stage, and control on the host."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch

from adjointbench.adjoints.torch import solve

N = 12
GENERATOR = np.random.default_rng(3)
WEIGHTS = torch.from_numpy(GENERATOR.normal(size=(N, N)) / N)
Y0 = torch.from_numpy(GENERATOR.normal(size=N))
SMOOTH = {"rtol": 1e-5, "atol": 1e-7, "engine": "torch"}


def field(t, y, p):
    return torch.tanh(p["w"] @ y) + p["forcing"] * torch.sin(3.0 * t) * y


def leaves():
    return {
        "w": WEIGHTS.clone().requires_grad_(),
        "forcing": torch.tensor(0.4, dtype=torch.float64, requires_grad=True),
    }


def gradient(adjoint, loss, save_at, **options):
    """By start value and parameters, as one vector."""
    p, y0 = leaves(), Y0.clone().requires_grad_()
    solution = solve(field, y0, save_at, p, adjoint=adjoint, **{**SMOOTH, **options})
    assert solution.status == "ok"
    loss(solution).backward()
    return torch.cat([x.grad.reshape(-1) for x in (y0, *p.values())])


def of_saves(solution):
    return solution.ys.square().sum()


def of_estimates(solution):
    return of_saves(solution) + 10 * solution.error_estimate + 0.1 * solution.stiffness_estimate


@pytest.mark.parametrize("save_at", [[1.0], [0.2, 0.3, 0.9, 1.0]], ids=["end", "saves"])
@pytest.mark.parametrize("stops", [(), (0.45,)], ids=["smooth", "stop"])
@pytest.mark.parametrize("solver", ["tsit5", "dopri5", "dop853", "rk4", "euler"])
def test_the_sweep_is_the_derivative_that_a_tape_finds(solver, stops, save_at):
    adaptive = solver in ("tsit5", "dopri5", "dop853")
    options = {"solver": solver, "discontinuities": stops}
    options |= {} if adaptive else {"step_size": 0.06}
    loss = of_estimates if solver in ("tsit5", "dopri5") else of_saves
    found = gradient("discrete", loss, save_at, **options)
    torch.testing.assert_close(
        found, gradient("tape", loss, save_at, **options), rtol=1e-9, atol=1e-10
    )


@pytest.mark.parametrize("error_norm", ["scaled", "absolute"])
@pytest.mark.parametrize("reduction", ["sum", "mean", "max"])
def test_estimates_alone_are_differentiated(error_norm, reduction):
    def loss(solution):
        return solution.error_estimate + solution.error_squared

    own = {"error_norm": error_norm, "reduction": reduction}
    found = gradient("discrete", loss, [0.4, 1.0], **own)
    torch.testing.assert_close(
        found, gradient("tape", loss, [0.4, 1.0], **own), rtol=1e-7, atol=1e-14
    )


def test_jumps_and_given_steps():
    def jump(i, t, y, p):
        return y + (1 + i) * p["forcing"]

    own = {"jump_times": (0.3, 0.7), "jump": jump, "solver": "dopri5"}
    found = gradient("discrete", of_saves, [0.5, 1.0], **own)
    tape = gradient("tape", of_saves, [0.5, 1.0], **own)
    torch.testing.assert_close(found, tape, rtol=1e-11, atol=1e-13)
    steps = solve(field, Y0, [0.5, 1.0], leaves(), **SMOOTH, **own).steps
    again = gradient("discrete", of_saves, [0.5, 1.0], steps=steps, **own)
    torch.testing.assert_close(found, again, rtol=1e-9, atol=1e-11)


def on_both(dtype, solver, **options):
    """The solve controlled on the host, and by tensors on the device."""
    p = {name: x.detach().to(dtype) for name, x in leaves().items()}
    own = {**SMOOTH, "solver": solver, "discontinuities": (0.31,), "rtol": 1e-4, **options}
    y0 = 3 * Y0.to(dtype)
    return [solve(field, y0, [0.5, 2.0], p, look_every=n, **own) for n in (1, 2)]


@pytest.mark.parametrize("solver", ["tsit5", "dopri5", "dop853", "rodas5p", "euler"])
@pytest.mark.parametrize("max_step", [None, 0.07])
def test_numbers_on_the_host_choose_the_steps_of_those_on_the_device(solver, max_step):
    own = {"max_step": max_step} | ({"first_step": 0.05} if solver == "euler" else {})
    on_host, on_device = on_both(torch.float64, solver, **own)
    for name in ("steps", "rejected"):
        assert int(on_host.stats[name]) == int(on_device.stats[name])
    for a, b in zip(on_host.steps, on_device.steps, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=0)
    for name in ("error_estimate", "stiffness_estimate"):
        a, b = (getattr(x, name) for x in (on_host, on_device))
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("solver", ["tsit5", "dopri5", "dop853", "rodas5p"])
def test_in_single_precision_the_steps_differ_by_rounding_alone(solver):
    on_host, on_device = on_both(torch.float32, solver)
    assert abs(int(on_host.stats["steps"]) - int(on_device.stats["steps"])) <= 1
    torch.testing.assert_close(on_host.ys, on_device.ys, rtol=1e-3, atol=1e-5)
    assert {x.dtype for x in (*on_host.steps, on_host.ys)} == {torch.float32}


@pytest.mark.parametrize("bad", ["y0", "slope", "later"])
def test_what_is_not_finite_has_a_status(bad):
    def rhs(t, y, p):
        late = torch.where(t > 0.5, torch.full_like(t, float("nan")), torch.zeros_like(t))
        return -y + (float("nan") if bad == "slope" else 0.0) + (late if bad == "later" else 0.0)

    y0 = torch.full_like(Y0, float("nan") if bad == "y0" else 1.0)
    assert solve(rhs, y0, [1.0], Y0, engine="torch").status != "ok"


def test_a_record_is_let_go_with_the_solution():
    gc.collect()
    gc.disable()
    try:
        solution = solve(field, Y0, [0.5, 1.0], leaves(), **SMOOTH)
        states = weakref.ref(solution.ys.grad_fn.call.solved.record.y)
        assert states() is not None
        del solution
        assert states() is None
    finally:
        gc.enable()


def test_the_forward_pass_makes_no_graph():
    graded = []

    def rhs(t, y, p):
        graded.append(torch.is_grad_enabled())
        return torch.tanh(p["w"] @ y)

    ys = solve(rhs, Y0, [1.0], leaves(), **SMOOTH).ys
    # The first call is the check of what it closes over.
    assert not any(graded[1:])
    ys.sum().backward()
    assert graded[-1]


def test_backward_may_be_called_again():
    p = leaves()
    ys = solve(field, Y0, [0.5, 1.0], p, **SMOOTH).ys
    for times in (1, 2):
        ys.square().sum().backward(retain_graph=True)
        if times == 1:
            once = p["w"].grad.clone()
    torch.testing.assert_close(p["w"].grad, 2 * once)


def test_weights_that_change_before_the_reverse_pass_are_refused():
    p = leaves()
    ys = solve(field, Y0, [1.0], p, **SMOOTH).ys
    with torch.no_grad():
        p["w"].add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        ys.sum().backward()


def test_no_derivative_of_what_the_right_hand_side_does_not_read():
    unread = torch.ones(3, dtype=torch.float64, requires_grad=True)
    y0 = Y0.clone().requires_grad_()
    ys = solve(lambda t, y, p: torch.ones_like(y) * t, y0, [1.0], unread, engine="torch").ys
    ys.sum().backward()
    torch.testing.assert_close(y0.grad, torch.ones_like(y0))
    assert not unread.grad.any()


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(N, N, dtype=torch.float64)
        self.register_buffer("scale", torch.tensor(0.5, dtype=torch.float64))

    def forward(self, t, y):
        return self.scale * torch.tanh(self.layer(y))


def test_a_module_with_its_own_parameters_and_with_others():
    net = Net()
    solve(net, Y0, [1.0], **SMOOTH).ys.square().sum().backward()
    own = net.layer.weight.grad.clone()

    def by_functional_call(params):
        def rhs(t, y, p):
            return torch.func.functional_call(net, p, (t, y))

        return solve(rhs, Y0, [1.0], params, **SMOOTH).ys.square().sum()

    named = {name: x.detach() for name, x in net.named_parameters()}
    other = torch.func.grad(by_functional_call)(named)
    torch.testing.assert_close(own, other["layer.weight"], rtol=1e-10, atol=1e-13)
    moved = {name: 1.1 * x for name, x in named.items()}
    different = torch.func.grad(by_functional_call)(moved)["layer.weight"]
    assert not torch.allclose(own, different, rtol=1e-3)


def test_frozen_weights_and_buffers_that_change():
    net = Net()
    net.layer.bias.requires_grad_(False)
    y0 = Y0.clone().requires_grad_()
    first = solve(net, y0, [1.0], **SMOOTH).ys
    net.scale.fill_(0.25)
    second = solve(net, y0, [1.0], **SMOOTH).ys
    assert not torch.allclose(first, second)
    second.sum().backward()
    assert net.layer.bias.grad is None
    assert net.layer.weight.grad is not None


def test_a_gradient_inside_the_right_hand_side():
    def hamiltonian(y, k):
        return k * (y.square() * y.sum()).sum()

    def rhs(t, y, k):
        with torch.enable_grad():
            y = y if y.requires_grad else y.detach().requires_grad_()
            (slope,) = torch.autograd.grad(hamiltonian(y, k), y, create_graph=True)
        return -slope

    def found(adjoint):
        k = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
        y0 = Y0.clone().requires_grad_()
        solve(rhs, y0, [0.5], k, adjoint=adjoint, **SMOOTH).ys.square().sum().backward()
        return torch.cat([k.grad[None], y0.grad])

    torch.testing.assert_close(found("discrete"), found("tape"), rtol=1e-9, atol=1e-11)


def test_what_was_refused_is_not_recorded_again():
    calls = []

    def rhs(t, y, p):
        calls.append(t)
        return torch.sort(p["w"] @ y).values

    solve(rhs, Y0, [1.0], leaves(), number_of_steps=1)
    first = len(calls)
    calls.clear()
    solution = solve(rhs, Y0, [1.0], leaves(), number_of_steps=1)
    assert solution.stats["steps"] == 1
    assert len(calls) < first


def test_a_right_hand_side_may_remember_what_it_made_of_its_weights():
    known = {}

    def rhs(t, y, p):
        if torch.is_grad_enabled() and p["w"].requires_grad:
            matrix = known.setdefault(id(p["w"]), torch.tanh(p["w"]))
        else:
            matrix = torch.tanh(p["w"])
        return matrix @ y

    def found(remembered):
        p = leaves()
        function = rhs if remembered else lambda t, y, p: torch.tanh(p["w"]) @ y
        solve(function, Y0, [0.5], p, **SMOOTH).ys.sum().backward()
        return p["w"].grad

    torch.testing.assert_close(found(remembered=True), found(remembered=False))
