"""How the open PyTorch solver calls what it is given: parameters of any form, modules, dropout."""

import numpy as np
import pytest
import torch

from adjointbench.adjoints.torch import solve
from adjointbench.adjoints.torch.value_and_gradient import value_and_gradient

K, END = 0.7, 1.5
EVERY = pytest.mark.parametrize("adjoint", ["discrete", "backsolve", "tape"])


def number(x):
    return torch.tensor(x, dtype=torch.float64)


def final(rhs, *given, **options):
    y0 = torch.ones(1, dtype=torch.float64)
    return solve(rhs, y0, [END], *given, rtol=1e-9, atol=1e-11, **options).ys[0, 0]


@EVERY
def test_arguments_of_their_own(adjoint):
    k, power = number(K).requires_grad_(), 1

    def rhs(t, y, k, power):
        assert power == 1
        return -k * y**power

    def jump(i, t, y, k, power):
        return y + k * power

    given = {"args": (k, power), "adjoint": adjoint, "jump_times": [0.5], "jump": jump}
    value = final(rhs, **given)
    (slope,) = torch.autograd.grad(value, k)
    end, after = np.exp(-K * END), np.exp(-K * (END - 0.5))
    assert value.item() == pytest.approx(end + K * after, rel=1e-8)
    assert slope.item() == pytest.approx(-END * end + after * (1 - K * (END - 0.5)), rel=1e-7)


@EVERY
def test_leaves_that_are_no_tensors_reach_the_right_hand_side_as_they_are(adjoint):
    k = number(K).requires_grad_()
    params = {"k": k, "sign": torch.neg, "name": "decay", "none": None, "n": 2, "two": [2.0, True]}

    def rhs(t, y, p):
        assert (p["name"], p["none"], p["n"], p["two"][1]) == ("decay", None, 2, True)
        assert isinstance(p["two"][0], torch.Tensor)
        return p["sign"](p["k"] * y) * p["n"] / p["two"][0]

    (slope,) = torch.autograd.grad(final(rhs, params, adjoint=adjoint), k)
    assert slope.item() == pytest.approx(-END * np.exp(-K * END), rel=1e-7)


@pytest.mark.parametrize("params", [None, {}, ()])
def test_without_parameters(params):
    y0 = torch.ones((), dtype=torch.float64).requires_grad_()
    ys = solve(lambda t, y, *_: -y, y0, [END], params, rtol=1e-9).ys
    assert ys.shape == (1,)
    (slope,) = torch.autograd.grad(ys.sum(), y0)
    assert slope.item() == pytest.approx(np.exp(-END), rel=1e-7)


def test_two_arguments_of_every_function():
    jumps = {"jump_times": [0.5], "jump": lambda i, t, y: 2 * y}
    stiff = {"solver": "rodas5p", "jacobian": lambda t, y: -torch.eye(1, dtype=y.dtype)}
    assert final(lambda t, y: -y, **jumps, **stiff).item() == pytest.approx(2 * np.exp(-END))
    # What takes three is told that there are none.
    assert final(lambda t, y, p: -y - len(p)).item() == pytest.approx(np.exp(-END))


class Gain(torch.nn.Module):
    def __init__(self, after=None):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
        torch.nn.init.constant_(self.layer.weight, -K)
        self.after = after or torch.nn.Identity()

    def forward(self, t, y, gain=1.0):
        return gain * self.after(self.layer(y))


@EVERY
def test_a_module_with_arguments_of_its_own(adjoint):
    module, gain = Gain(), number(0.5).requires_grad_()
    final(module, args=(gain,), adjoint=adjoint).backward()
    value = np.exp(-K * END / 2)
    assert gain.grad.item() == pytest.approx(-K * END * value, rel=1e-7)
    assert module.layer.weight.grad.item() == pytest.approx(END / 2 * value, rel=1e-7)


@EVERY
def test_functional_call_under_grad_and_jacrev(adjoint):
    module = Gain()

    def rhs(t, y, weights):
        return torch.func.functional_call(module, weights, (t, y))

    def end(weights):
        return final(rhs, weights, adjoint=adjoint)

    weights = {name: x.detach() for name, x in module.named_parameters()}
    expected = pytest.approx(END * np.exp(-K * END), rel=1e-7)
    assert torch.func.grad(end)(weights)["layer.weight"].item() == expected
    assert torch.func.jacrev(end)(weights)["layer.weight"].item() == expected


@pytest.mark.parametrize(
    ("rhs", "options", "match"),
    [
        (lambda t, y, p: -y, {"params": 1.0, "args": (2.0,)}, "params and args are both given"),
        (
            lambda t, y, k: -y,
            {"args": torch.ones(1)},
            r"args is a Tensor; pass a tuple, as \(a, b\)",
        ),
        (lambda t, y, k, a: -y, {"args": (1,)}, r"called as rhs\(t, y, args\[0\]\): missing"),
        (lambda t, y: -y, {"params": 1.0}, r"called as rhs\(t, y, params\): too many"),
        (Gain(), {"params": {}}, "a module brings its own parameters"),
        (Gain(), {"args": (1.0, 2.0)}, r"called as rhs\(t, y, args\[0\], args\[1\]\): too many"),
        (lambda t, y, p: -y, {"params": [{1}], "compile": True}, "unhashable.*must be hashable"),
    ],
)
def test_calls_that_make_no_sense_are_refused(rhs, options, match):
    with pytest.raises(ValueError, match=match):
        solve(rhs, torch.ones(1, dtype=torch.float64), [1.0], **options)


@EVERY
def test_dropout_in_training_is_refused_and_in_evaluation_is_not(adjoint):
    module = Gain(torch.nn.Dropout(0.5))
    with pytest.raises(ValueError, match=r"rhs draws random numbers, as dropout .* eval\(\)"):
        final(module, adjoint=adjoint)
    module.eval()
    assert final(module, adjoint=adjoint).item() == pytest.approx(np.exp(-K * END), rel=1e-7)


def test_random_numbers_are_found_in_functions_jumps_and_under_transforms():
    def noisy(t, y, p):
        return p * y + torch.randn_like(y)

    jumps = {"jump_times": [0.5], "jump": lambda i, t, y, p: noisy(t, y, p)}
    for rhs, more in ((noisy, {}), (lambda t, y, p: y, jumps)):
        with pytest.raises(ValueError, match="draws random numbers"):
            final(rhs, number(K), **more)
    with pytest.raises(ValueError, match="draws random numbers"):
        torch.func.grad(lambda k: final(noisy, k))(number(K))


def test_batch_normalisation_in_training_is_differentiated_by_the_batch():
    """Numbers of a batch that are normalised add up to zero, whatever the weights are."""
    module = Gain(torch.nn.BatchNorm1d(1, dtype=torch.float64))
    found = []
    for adjoint in ("discrete", "tape"):
        module.zero_grad()
        y0 = number([[1.0], [2.0], [4.0]])
        ys = solve(module, y0, [END], rtol=1e-9, adjoint=adjoint).ys
        assert ys.sum().item() == pytest.approx(7.0)
        ys.square().sum().backward()
        found.append(module.layer.weight.grad.item())
    assert found[0] == pytest.approx(found[1], rel=1e-9)


def test_what_is_closed_over_is_named():
    class Model:
        def __init__(self):
            self.module, self.shift = Gain(), [torch.ones(1, dtype=torch.float64)]
            self.shift[0].requires_grad_()

        def rhs(self, t, y):
            return self.module(t, y) + self.shift[0]

    model, gain = Model(), Gain()
    for rhs, names in (
        (lambda t, y: gain(t, y), r"\(gain.layer.weight\)"),
        (model.rhs, r"\(self.module.layer.weight, self.shift\[0\]\)|"),
    ):
        with pytest.raises(ValueError, match=f"rhs closes over .* {names} that would get no grad"):
            final(rhs)


def test_an_error_bar_of_constant_steps_over_a_structure():
    def rhs(t, y, p):
        return {"x": -p["k"] * y["x"]}

    y0, params = {"x": torch.ones(1, dtype=torch.float64)}, {"k": number(K)}
    options = {"number_of_steps": 4, "solver": "rk4", "atol": {"x": 1e-9}}
    _, gradient, error = value_and_gradient(
        lambda ys, p: ys["x"].sum(), rhs, y0, [END], params, **options
    )
    exact = -END * np.exp(-K * END)
    off = abs(gradient["k"].item() / exact - 1)
    assert error.item() == pytest.approx(off, rel=0.2)
