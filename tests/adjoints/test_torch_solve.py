"""The open PyTorch solver: gradients, composition, failures and devices."""

import numpy as np
import pytest
import tiny_problems as tiny
import torch
from equations import lotka_volterra, numpy_lotka_volterra, replay, riccati, riccati_exact
from torch._subclasses.fake_tensor import FakeTensorMode

from adjointbench.adjoints.torch import solve
from adjointbench.adjoints.torch.attempt import attempt, start, with_eight_bits
from adjointbench.adjoints.torch.state import Config, Operands

P = np.array([1.5, 1.0, 3.0, 1.0])
TIGHT = {"rtol": 1e-9, "atol": 1e-11}
OWN = pytest.mark.parametrize("adjoint", ["discrete", "tape"])


def riccati_of_many(t, y, p):
    return -p[0] * y**2 + p[1] * y


def tensors(*arrays, dtype=torch.float64):
    return [torch.tensor(a, dtype=dtype, requires_grad=True) for a in arrays]


def distance(ys):
    return ((1.0 - ys[-1]) ** 2).sum() / 2


@OWN
def test_golden_gradient_of_lotka_volterra(adjoint):
    p, y0 = tensors(P, [1.0, 1.0])
    solution = solve(lotka_volterra, y0, [10.0], p, adjoint=adjoint, **TIGHT)
    assert solution.status == "ok"
    distance(solution.ys).backward()
    np.testing.assert_allclose(p.grad, tiny.LOTKA_VOLTERRA_DP, rtol=1e-6)
    np.testing.assert_allclose(y0.grad, tiny.LOTKA_VOLTERRA_DY0, rtol=1e-6)


@pytest.mark.parametrize("reduction", ["sum", "mean", "max"])
def test_estimates_of_large_states_have_the_derivatives_of_autograds_tape(reduction):
    """Here the cotangents of slopes are passed from step to step."""
    found = []
    for adjoint in ("tape", "discrete"):
        p, y0 = tensors([1.3, 0.4], np.linspace(0.2, 2.0, 20))
        options = {"rtol": 1e-5, "atol": 1e-6, "reduction": reduction, "adjoint": adjoint}
        s = solve(riccati_of_many, y0, [0.4, 2.0], p, **options)
        loss = (s.ys**2).sum() + s.error_estimate + 2 * s.error_squared + s.stiffness_estimate
        found.append(torch.cat(torch.autograd.grad(loss, (p, y0))))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("solver", ["tsit5", "dopri5", "dop853", "rk4", "euler"])
def test_exact_derivative_of_the_accepted_steps(solver):
    """Against the complex step through the same steps, interior saves included."""
    saves = np.array([0.0, 0.7, 1.9, 3.0])
    p, y0 = tensors(P, [1.0, 1.0])
    solution = solve(lotka_volterra, y0, saves, p, solver=solver, rtol=1e-5, atol=1e-7)
    weights = torch.arange(1.0, 9.0, dtype=torch.float64).reshape(4, 2)
    (solution.ys * weights).sum().backward()
    steps = [x.numpy() for x in solution.steps]

    def total(q):
        ys = replay(numpy_lotka_volterra, solver, q[4:], q[:4], steps, saves)
        return (ys * weights.numpy()).sum()

    found = np.concatenate([p.grad.numpy(), y0.grad.numpy()])
    q = np.concatenate([P, np.ones(2)]).astype(complex)
    truth = [total(q + 1e-30j * unit).imag / 1e-30 for unit in np.eye(6)]
    np.testing.assert_allclose(found, truth, rtol=1e-11)


@pytest.mark.parametrize("solver", ["tsit5", "dop853", "rodas5p"])
@pytest.mark.parametrize("name", ["error_estimate", "error_squared", "stiffness_estimate"])
@pytest.mark.parametrize(("norm", "reduction"), [("scaled", "sum"), ("absolute", "max")])
def test_estimates_have_exact_derivatives(solver, name, norm, reduction):
    """Against differences of the same steps, taken again with no control."""
    options = {"solver": solver, "error_norm": norm, "reduction": reduction, "rtol": 1e-4}
    p, y0 = tensors(P, [1.0, 1.0])
    solution = solve(lotka_volterra, y0, [2.0], p, **options)
    estimate = getattr(solution, name)
    if estimate is None:
        assert (solver, name) == ("dop853", "stiffness_estimate")
        return
    (found,) = torch.autograd.grad(estimate, p)

    def value(p):
        again = solve(lotka_volterra, y0, [2.0], p, steps=solution.steps, **options)
        return getattr(again, name).item()

    truth = []
    for i in range(4):
        shift = torch.zeros(4, dtype=torch.float64)
        shift[i] = 3e-4
        with torch.no_grad():
            near, far = (value(p + k * shift) - value(p - k * shift) for k in (1, 2))
        truth.append((8 * near - far) / (12 * 3e-4))
    np.testing.assert_allclose(found, truth, rtol=2e-5, atol=1e-7 * max(map(abs, truth)))


def test_the_order_of_convergence():
    errors = []
    for steps in (32, 64, 128, 256):
        k, y0 = tensors([0.8], [0.5])
        ys = solve(riccati, y0, [2.0], {"k": k}, solver="rk4", first_step=2.0 / steps).ys
        (dk,) = torch.autograd.grad(ys.sum(), k)
        exact = riccati_exact(2.0, 0.8, 0.5)[1]
        errors.append(abs(dk.item() - exact))
    slope = np.polyfit(np.log([32, 64, 128, 256]), np.log(errors), 1)[0]
    assert -4.4 < slope < -3.6


def test_large_states_are_swept_step_by_step_with_the_same_result():
    """Ten copies of a small system have ten times its gradient."""
    p, many, one = tensors(P, np.ones((10, 2)), np.ones(2))

    def batched(t, y, p):
        return lotka_volterra(t, y.T, p).T

    large = solve(batched, many, [1.0, 3.0], p).ys.sum()
    small = solve(lotka_volterra, one, [1.0, 3.0], p).ys.sum()
    (dp_large,), (dp_small,) = torch.autograd.grad(large, p), torch.autograd.grad(small, p)
    np.testing.assert_allclose(dp_large, 10 * dp_small, rtol=1e-12)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2)
        )

    def forward(self, t, y):
        return self.layers(y)


def test_a_module_brings_its_own_parameters():
    net, y0 = Net(), torch.tensor([[1.0, 0.5], [0.2, -0.3]])
    for adjoint in ("discrete", "tape"):
        net.zero_grad()
        solve(net, y0, [0.5, 1.0], adjoint=adjoint).ys.pow(2).sum().backward()
        found = [p.grad.clone() for p in net.parameters()]
        if adjoint == "discrete":
            ours = found
    assert all(g.dtype == torch.float32 and g.abs().max() > 0 for g in ours)
    for a, b in zip(ours, found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="leave params out"):
        solve(net, y0, [1.0], {"k": y0})


def test_graphs_can_be_used_twice_and_not_at_all():
    p, y0 = tensors(P, [1.0, 1.0])
    ys = solve(lotka_volterra, y0, [1.0, 2.0], p).ys
    first = torch.autograd.grad(ys[0].sum(), p, retain_graph=True)[0]
    second = torch.autograd.grad(ys[1].sum(), p, retain_graph=True)[0]
    both = torch.autograd.grad(ys.sum(), p)[0]
    torch.testing.assert_close(both, first + second)
    with torch.no_grad():
        assert not solve(lotka_volterra, y0, [2.0], p).ys.requires_grad
    fixed = solve(lotka_volterra, y0.detach(), [2.0], p).ys
    (dp,) = torch.autograd.grad(fixed.sum(), p)
    torch.testing.assert_close(dp, second, rtol=1e-4, atol=1e-4)
    assert not solve(lotka_volterra, y0.detach(), [2.0], p.detach()).ys.requires_grad


def test_function_transforms():
    p, y0 = (x.detach() for x in tensors(P, [1.0, 1.0]))

    def final(p, y0=y0):
        return solve(lotka_volterra, y0, [1.0], p).ys[-1]

    grads = [torch.func.grad(lambda p, i=i: final(p)[i])(p) for i in range(2)]
    torch.testing.assert_close(torch.func.jacrev(final)(p), torch.stack(grads))
    lanes = torch.stack([p, 1.3 * p, 0.2 * p])
    alone = torch.stack([final(lane) for lane in lanes])
    torch.testing.assert_close(torch.func.vmap(final)(lanes), alone)
    gradients = torch.func.vmap(torch.func.grad(lambda p: final(p).sum()))(lanes)
    for lane, found in zip(lanes, gradients, strict=True):
        torch.testing.assert_close(found, torch.func.grad(lambda p: final(p).sum())(lane))
    mixed = torch.func.vmap(torch.func.jacrev(final))(lanes)
    torch.testing.assert_close(mixed[1], torch.func.jacrev(final)(lanes[1]))
    shared = torch.func.grad(
        lambda p: torch.func.vmap(final, in_dims=(None, 0))(p, torch.stack([y0, 2 * y0])).sum()
    )(p)
    apart = sum(torch.func.grad(lambda p, c=c: final(p, c * y0).sum())(p) for c in (1, 2))
    torch.testing.assert_close(shared, apart)


def test_steps_of_lanes_are_filled_up():
    lanes = torch.tensor(np.stack([P, 0.2 * P]))
    t, h, steps = torch.func.vmap(
        lambda p: (lambda s: (*s.steps, s.stats["steps"]))(
            solve(lotka_volterra, torch.ones(2, dtype=torch.float64), [1.0], p)
        )
    )(lanes)
    for lane in range(2):
        count = int(steps[lane])
        assert (h[lane, :count] > 0).all()
        assert (h[lane, count:] == 0).all()
        assert t[lane, -1] + h[lane, -1] == pytest.approx(1.0, abs=1e-12)


def test_what_it_cannot_do_it_refuses_with_a_sentence():
    p, y0 = tensors(P, [1.0, 1.0])

    def final(p, adjoint="discrete"):
        return solve(lotka_volterra, y0.detach(), [1.0], p, adjoint=adjoint).ys.sum()

    with pytest.raises(NotImplementedError, match="adjoint='forward'"):
        torch.func.jvp(final, (p.detach(),), (torch.ones_like(p),))
    (dp,) = torch.autograd.grad(final(p), p, create_graph=True)
    with pytest.raises(NotImplementedError, match="adjoint='tape'"):
        dp.sum().backward()
    slope = torch.func.jvp(lambda p: final(p, "forward"), (p.detach(),), (torch.ones_like(p),))[1]
    torch.testing.assert_close(slope, dp.sum().detach())
    (again,) = torch.autograd.grad(final(p, "tape"), p, create_graph=True)
    (second,) = torch.autograd.grad(again.sum(), p)
    assert torch.isfinite(second).all()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"solver": "tsit6"}, "did you mean 'tsit5'"),
        ({"adjoint": "tap"}, "did you mean 'tape'"),
        ({"save_at": [2.0, 1.0]}, "must not decrease; sort the times"),
        ({"save_at": [[1.0]]}, "one increasing list"),
        ({"max_steps": 0}, "max_steps=0 must be positive"),
        ({"reduction": "median"}, "known: sum, mean, max"),
        ({"differentiate_step_size": True}, "use adjoint='tape' or 'forward'"),
        ({"rhs": lambda t, y, p: y[:1]}, "rhs must return the same"),
        ({"look_every": 0}, "look_every=0 must be positive"),
        ({"look_every": 4, "adjoint": "tape"}, "attempts made in vain"),
    ],
)
def test_what_makes_no_sense_is_refused(options, match):
    arguments = {"rhs": lotka_volterra, "save_at": [1.0], "params": torch.tensor(P), **options}
    with pytest.raises(ValueError, match=match):
        solve(y0=torch.ones(2, dtype=torch.float64), **arguments)


def test_a_breakdown_is_a_status_and_its_gradient_is_nan():
    p, y0 = tensors(P, [1.0, 1.0])
    solution = solve(lotka_volterra, y0, [1.0, 10.0], p, max_steps=5)
    assert solution.status == "max_steps"
    assert solution.ys.isnan().all()
    solution.ys.sum().backward()
    assert p.grad.isnan().all()
    assert solve(lambda t, y, p: y * y, torch.ones(1), [2.0]).status in (
        "step_too_small",
        "nonfinite",
    )
    nan = solve(lambda t, y, p: y * float("nan"), torch.ones(1), [2.0])
    assert nan.status == "nonfinite"


def test_derivative_through_the_step_size_is_that_of_the_whole_program():
    p, y0 = tensors(P, [1.0, 1.0])
    options = {"rtol": 1e-3, "atol": 1e-3, "adjoint": "tape", "differentiate_step_size": True}

    def value(p):
        return solve(lotka_volterra, y0, [3.0], p, **options).ys.sum()

    (found,) = torch.autograd.grad(value(p), p)
    for i in range(4):
        shift = torch.zeros(4, dtype=torch.float64)
        shift[i] = 1e-6
        with torch.no_grad():
            truth = (value(p + shift) - value(p - shift)) / 2e-6
        assert found[i].item() == pytest.approx(truth.item(), rel=1e-4)
    held = solve(lotka_volterra, y0, [3.0], p, rtol=1e-3, atol=1e-3).ys.sum()
    assert (torch.autograd.grad(held, p)[0] - found).abs().max() > 1e-4


@pytest.mark.parametrize("solver", ["tsit5", "dop853", "rodas5p"])
def test_nothing_of_an_attempt_is_made_on_another_device(solver):
    """On tensors that only claim to be on a GPU: any other device in an operation raises."""
    config = Config(layer, solver, dense=True, terms=True, first_slopes=True)
    with FakeTensorMode():
        t, y, p = (torch.zeros(shape, device="cuda") for shape in ((), (3,), (3, 3)))
        ops = Operands((p,), (), t + 1e-6, t + 1e-9, t + 1, t - 1, t + 2)
        found = attempt(config, start(config, t, y, ops, None, ops.stop), ops)
    flat = (*found.state, found.accept, *found.row, found.coefficients, found.terms)
    assert {x.device.type for x in flat} == {"cuda"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_proposed_step_size_is_rounded_as_by_a_cast_to_bfloat16(dtype):
    h = torch.exp(torch.linspace(-60, 60, 10_001, dtype=torch.float64)).to(dtype)
    for proposed in (h, -h):
        assert torch.equal(with_eight_bits(proposed), proposed.to(torch.bfloat16).to(dtype))
    special = torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0, 257.0, 259.0], dtype=dtype)
    expected = torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0, 256.0, 260.0], dtype=dtype)
    torch.testing.assert_close(with_eight_bits(special), expected, rtol=0, atol=0, equal_nan=True)


def layer(t, y, params):
    return torch.tanh(params[0][0] @ y) * t


@pytest.mark.parametrize("solver", ["tsit5", "rodas5p", "rk4"])
def test_looking_less_often_changes_transfers_and_nothing_else(solver):
    found = {}
    for look_every in (1, 16):
        p, y0 = tensors(P, [1.0, 1.0])
        options = {"solver": solver, "look_every": look_every}
        solution = solve(lotka_volterra, y0, [0.7, 2.0], p, **options)
        solution.ys.sum().backward()
        assert solution.transfers <= solution.stats["steps"] * 2 / look_every + 2
        found[look_every] = (*solution.steps, solution.ys.detach(), p.grad, solution.stats["steps"])
    for often, seldom in zip(found[1], found[16], strict=True):
        torch.testing.assert_close(seldom, often, rtol=0, atol=0)
    broken = solve(lotka_volterra, y0, [2.0], p, solver=solver, look_every=16, max_steps=3)
    assert (broken.status, int(broken.stats["steps"] + broken.stats["rejected"])) == (
        "max_steps",
        3,
    )
