"""What the open PyTorch solver is given: taken as it is meant, or refused with the remedy."""

import numpy as np
import pytest
import torch

from adjointbench.adjoints.torch import solve
from adjointbench.adjoints.torch.continuous import CONTINUOUS

K = 0.7
OWN = ("discrete", *CONTINUOUS)


def decay(t, y, p):
    return -p * y


def number(x):
    return torch.tensor(x, dtype=torch.float64)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"rtol": -1e-6}, "rtol=.* must be positive and finite"),
        ({"rtol": float("nan")}, "rtol=.* must be positive and finite"),
        ({"rtol": 0.0}, "rtol=.* must be positive and finite"),
        ({"atol": number([1e-6, -1e-6])}, "atol=.* must be positive and finite"),
        ({"atol": 0.0}, "atol=.* must be positive and finite"),
        ({"atol": [1e-6, 1e-6, 1e-6]}, "atol has shape .3,.; pass one number"),
        ({"atol": "small"}, "atol='small' is not a number"),
        ({"adjoint": "quadrature", "adjoint_rtol": -1.0}, "adjoint_rtol=.* must be positive"),
        ({"adjoint": "quadrature", "adjoint_atol": float("inf")}, "adjoint_atol=.* must be"),
        ({"first_step": 0.0}, "first_step=0.0 must be positive"),
        ({"first_step": -0.1}, "first_step=-0.1 must be positive"),
        ({"first_step": float("nan")}, "first_step=nan must be one finite number"),
        ({"save_at": [float("inf")]}, "save_at=.* must be finite"),
        ({"save_at": []}, "one increasing list of times"),
        ({"save_at": [1.0, 1.5], "t0": 2.0}, "must not increase on the way back from t0"),
        ({"save_at": [1.0], "t0": 1.0}, "must end after it"),
        ({"save_at": [0.5, 2.0], "t0": 1.0}, "must not begin before t0"),
        ({"t0": float("nan")}, "t0=nan must be one finite number"),
        ({"t0": number(float("nan"))}, "t0=nan must be one finite number"),
        ({"t0": number([0.0, 1.0])}, "t0 has shape"),
        ({"max_steps": 2.5}, "max_steps=2.5 must be a whole number"),
        ({"max_steps": float("nan")}, "max_steps=nan must be one finite number"),
        ({"discontinuities": [float("nan")]}, "every time must be finite"),
        ({"steps": (torch.zeros(2), torch.zeros(3))}, "two lists of one length"),
        ({"rhs": lambda t, y, p: 1.0 + 0j}, "rhs returned a complex"),
        ({"rhs": lambda t, y, p: [y[0]]}, "rhs returned shape"),
        ({"jump_times": [0.5], "jump": lambda i, t, y, p: y[:1]}, "jump returned shape"),
    ],
)
def test_what_makes_no_sense_is_refused(options, match):
    arguments = {"rhs": decay, "save_at": [1.0], "params": number(K), **options}
    with pytest.raises(ValueError, match=match):
        solve(y0=number([1.0, 2.0]), **arguments)


@pytest.mark.parametrize(
    "dtype", [torch.complex64, torch.complex128, torch.float16, torch.bfloat16, torch.bool]
)
def test_states_that_are_not_real_numbers_of_full_precision_are_refused(dtype):
    with pytest.raises(ValueError, match="complex numbers as their real and imaginary parts"):
        solve(decay, torch.ones(1).to(dtype), [1.0], K)


def test_complex_parameters_are_refused():
    with pytest.raises(ValueError, match="params has a tensor of dtype complex"):
        solve(lambda t, y, p: -p.real * y, torch.ones(1), [1.0], torch.tensor(1j))


def test_integers_are_numbers_of_the_default_dtype():
    ys = solve(decay, [1, 2], [1], K).ys
    assert ys.dtype == torch.get_default_dtype()
    np.testing.assert_allclose(ys[0], np.array([1, 2]) * np.exp(-K), rtol=1e-5)


def test_numbers_are_of_the_precision_of_the_state():
    """And not of PyTorch's default, which is single precision here."""
    assert torch.get_default_dtype() == torch.float32
    solution = solve(decay, number([1.0]), [1.9], 0.1, t0=0.7, rtol=1e-11, atol=1e-13)
    assert solution.steps[0][0] == number(0.7)
    np.testing.assert_allclose(solution.ys[0], np.exp(-0.12), rtol=1e-11)


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("adjoint", ["discrete", "tape", "interpolating"])
def test_a_right_hand_side_may_return_a_list_as_for_scipy(kind, adjoint):
    """q'' = -k q, with a component that is a plain number."""

    def rhs(t, y, p):
        return kind([y[1], -p * y[0], 0.5])

    def jump(i, t, y, p):
        return kind([y[0], y[1], 7])

    k = number(K).requires_grad_()
    y0 = number([1.0, 0.0, 0.0])
    given = {"jump_times": [1.0], "jump": jump, "adjoint": adjoint, "rtol": 1e-9}
    ys = solve(rhs, y0, [2.0], k, **given).ys
    root = np.sqrt(K)
    assert ys[0, 2].item() == pytest.approx(7.5, rel=1e-9)
    (found,) = torch.autograd.grad(ys[0, 0], k)
    assert found.item() == pytest.approx(-np.sin(2 * root) / root, rel=1e-6)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(2, 2, dtype=torch.float64)

    def forward(self, t, y):
        return torch.tanh(self.layer(y))


@pytest.mark.parametrize("adjoint", OWN)
def test_weights_in_a_closure_are_found(adjoint):
    net, y0 = Net(), number([1.0, 0.5]).requires_grad_()
    with pytest.raises(ValueError, match=r"rhs closes over 2 tensors of shapes .*pass the module"):
        solve(lambda t, y, p: net(t, y), y0, [1.0], adjoint=adjoint)
    # One that is a result itself, one behind a view, one in the jump.
    weight = number([1.0, 2.0]).requires_grad_()
    for rhs in (lambda t, y, p: weight, lambda t, y, p: -weight.exp() * y):
        with pytest.raises(ValueError, match=r"rhs closes over 1 tensor of shape \(2,\)"):
            solve(rhs, y0, [1.0], adjoint=adjoint)
    given = {"jump_times": [0.5], "jump": lambda i, t, y, p: y + weight}
    with pytest.raises(ValueError, match="jump closes over 1 tensor"):
        solve(lambda t, y, p: -y, y0, [1.0], adjoint=adjoint, **given)


def test_what_is_not_trained_may_be_in_a_closure():
    net, y0 = Net(), number([1.0, 0.5]).requires_grad_()
    with torch.no_grad():
        expected = solve(lambda t, y, p: net(t, y), y0, [1.0]).ys
    weights = dict(net.named_parameters())
    for rhs, params in (
        (net, None),
        (lambda t, y, p: torch.func.functional_call(net, p, (t, y)), weights),
    ):
        ys = solve(rhs, y0, [1.0], params).ys
        torch.testing.assert_close(ys.detach(), expected)
        assert all(g.abs().max() > 0 for g in torch.autograd.grad(ys.sum(), [*weights.values()]))
    for weight in weights.values():
        weight.requires_grad_(False)
    torch.testing.assert_close(solve(lambda t, y, p: net(t, y), y0, [1.0]).ys.detach(), expected)


def test_a_tensor_of_a_transform_in_a_closure_is_found():
    def final(k):
        return solve(lambda t, y, p: -k * y, number([1.0]), [1.0]).ys.sum()

    for transform in (
        torch.func.grad(final),
        lambda k: torch.func.jvp(final, (k,), (torch.ones_like(k),)),
        torch.func.grad(torch.func.grad(final)),
    ):
        with pytest.raises(ValueError, match="closes over"):
            transform(number(K))


def test_a_tensor_of_lanes_in_a_closure_is_found():
    def final(k):
        return solve(lambda t, y, p: -k * y, number([1.0]), [1.0]).ys.sum()

    with pytest.raises(ValueError, match="differs from lane to lane under vmap; pass it in params"):
        torch.func.vmap(final)(number([K, 2 * K]))


def test_the_search_costs_no_call_of_the_right_hand_side():
    calls = []

    def rhs(t, y, p):
        calls.append(t)
        return -p * y

    # The first call tries whether a native loop will do.
    solve(rhs, number([1.0]), [1.0], number(K))
    calls.clear()
    with torch.no_grad():
        solve(rhs, number([1.0]), [1.0], number(K))
    without = len(calls)
    solve(rhs, number([1.0]), [1.0], number(K).requires_grad_())
    assert len(calls) == 2 * without


@pytest.mark.parametrize("adjoint", CONTINUOUS)
def test_a_reverse_solve_that_breaks_down_says_so(adjoint):
    k = number(K).requires_grad_()
    options = {"adjoint_rtol": 1e-13, "adjoint_atol": 1e-15, "max_steps": 40, "rtol": 1e-5}
    solution = solve(decay, number([1.0]), [20.0], k, adjoint=adjoint, **options)
    assert solution.status == "ok"
    with pytest.warns(RuntimeWarning, match=f"adjoint='{adjoint}' ended with status 'max_steps'"):
        solution.ys.sum().backward()
    assert k.grad.isnan()


@pytest.mark.slow
def test_numpy_inside_a_function_that_is_compiled_is_no_constant():
    table = np.array([0.0, 2.0, 1.0, 3.0])

    def rhs(t, y, p):
        return float(np.interp(t.detach().numpy(), np.arange(4.0), table)) - p * y

    def found(**options):
        k = number(K).requires_grad_()
        solution = solve(rhs, number([1.0, 1.0]), [1.5, 3.0], k, **options)
        solution.ys.sum().backward()
        return solution.compiled, (*solution.ys[:, 0].tolist(), k.grad.item())

    _, expected = found()
    with pytest.warns(RuntimeWarning, match=r"runs eagerly\. .*inside a function that is compiled"):
        compiled, numbers = found(compile=True)
    assert "inside a function that is compiled" in compiled
    np.testing.assert_allclose(numbers, expected, rtol=1e-12)
