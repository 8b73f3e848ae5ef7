"""States, parameters and right-hand sides of other forms than one tensor in the open solver."""

import collections

import numpy as np
import pytest
import torch

from adjointbench.adjoints.torch import solve

W, END = 1.3, 0.8
START = {"x": [1.0, 0.5], "v": [0.0, 2.0]}
COS, SIN = np.cos(W * END), np.sin(W * END)
TIGHT = {"rtol": 1e-10, "atol": 1e-12}
KINDS = pytest.mark.parametrize("kind", ["dict", "tuple", "list", "namedtuple"])
Oscillator = collections.namedtuple("Oscillator", ["where", "q"])


def number(x, dtype=torch.float64):
    return torch.tensor(x, dtype=dtype)


def built(kind, x, v, q):
    """x, v and the integral q of x[0], as a structure of this kind."""
    if kind == "dict":
        return {"x": x, "rest": (v, q)}
    if kind == "namedtuple":
        return Oscillator((x, v), q)
    return {"tuple": tuple, "list": list}[kind]([x, v, q])


def parts(kind, y):
    if kind == "dict":
        return y["x"], *y["rest"]
    return (*y.where, y.q) if kind == "namedtuple" else tuple(y)


def oscillator(kind):
    def rhs(t, y, w):
        x, v, _ = parts(kind, y)
        return built(kind, w * v, -w * x, x[0])

    return rhs


def loss(kind, w, x, v, **options):
    q = torch.zeros((), dtype=x.dtype)
    ys = solve(oscillator(kind), built(kind, x, v, q), [0.5, END], w, **options).ys
    found = parts(kind, ys)
    assert [tuple(part.shape) for part in found] == [(2, 2), (2, 2), (2,)]
    return found[0][-1, 1] + 2 * found[2][-1]


def check(value, by_w, by_x, rtol):
    """x1 = x1(0) cos wt + v1(0) sin wt, and q = (x0(0) sin wt + v0(0) (1 - cos wt)) / w."""
    x, v = START["x"], START["v"]
    q = (x[0] * SIN + v[0] * (1 - COS)) / W
    assert value.item() == pytest.approx(x[1] * COS + v[1] * SIN + 2 * q, rel=rtol)
    slope = END * (v[1] * COS - x[1] * SIN) + 2 * (END * x[0] * COS - q) / W
    assert by_w.item() == pytest.approx(slope, rel=10 * rtol)
    np.testing.assert_allclose(by_x, [2 * SIN / W, COS], rtol=10 * rtol)


@KINDS
def test_a_structure_of_tensors_is_a_state(kind):
    at = (number(W), number(START["x"]), number(START["v"]))
    value = loss(kind, *at, **TIGHT)
    check(value, *torch.func.grad(lambda *a: loss(kind, *a, **TIGHT), (0, 1))(*at), 1e-8)


@pytest.mark.parametrize(
    ("options", "rtol"),
    [
        ({"adjoint": "tape", **TIGHT}, 1e-8),
        ({"adjoint": "interpolating", **TIGHT}, 1e-8),
        ({"adjoint": "backsolve", **TIGHT}, 1e-8),
        ({"solver": "rodas5p", "rtol": 1e-9, "atol": 1e-9}, 1e-6),
        ({"adjoint": "quadrature", "solver": "rodas5p", "rtol": 1e-8, "atol": 1e-8}, 1e-5),
    ],
)
def test_every_way_takes_structures(options, rtol):
    leaves = [number(z).requires_grad_() for z in (W, START["x"], START["v"])]
    value = loss("dict", *leaves, **options)
    check(value.detach(), *torch.autograd.grad(value, leaves[:2]), rtol)


def test_forward_mode_takes_structures():
    at = (number(W), number(START["x"]), number(START["v"]))
    slopes = torch.func.jacfwd(lambda *a: loss("dict", *a, adjoint="forward", **TIGHT), (0, 1))(*at)
    check(loss("dict", *at, **TIGHT), *slopes, 1e-8)


def test_structures_in_float32():
    leaves = [number(z, torch.float32).requires_grad_() for z in (W, START["x"], START["v"])]
    value = loss("tuple", *leaves, rtol=1e-6, atol=1e-7)
    check(value.detach(), *torch.autograd.grad(value, leaves[:2]), 1e-5)


def test_a_structure_is_the_same_solve_as_the_flat_state():
    def flat(t, y, w):
        return torch.cat([w * y[2:4], -w * y[:2], y[:1]])

    w, y0 = number(W), number([*START["x"], *START["v"], 0.0])
    one = solve(flat, y0, [0.5, END], w)
    many = solve(oscillator("tuple"), (y0[:2], y0[2:4], y0[4]), [0.5, END], w)
    assert torch.equal(torch.cat([x.reshape(2, -1) for x in many.ys], dim=1), one.ys)
    assert all(map(torch.equal, many.steps, one.steps))


def test_tolerances_jumps_and_jacobians_of_a_structure():
    def jump(i, t, y, w):
        return {"x": 2 * y["x"], "s": y["s"]}

    def rhs(t, y, w):
        return {"x": -w * y["x"], "s": -y["s"]}

    def jacobian(t, y, w):
        return torch.diag(-torch.stack([w, w, torch.ones_like(w)]))

    w, y0 = (
        number(2.0).requires_grad_(),
        {"x": torch.ones(2, dtype=torch.float64), "s": number(1.0)},
    )
    jumps = {"jump_times": [0.5], "jump": jump, "solver": "rodas5p", "jacobian": jacobian}
    atol = {"x": number([1e-9, 1e-8]), "s": 1e-8}
    ys = solve(rhs, y0, [1.0], w, rtol={"x": 1e-8, "s": 1e-6}, atol=atol, **jumps).ys
    np.testing.assert_allclose(ys["x"].detach()[0], 2 * np.exp(-2.0), rtol=1e-6)
    (slope,) = torch.autograd.grad(ys["x"][0, 0], w)
    assert slope.item() == pytest.approx(-2 * np.exp(-2.0), rel=1e-5)


def test_the_tolerances_of_a_structure_lie_in_the_order_of_its_leaves():
    def flat(t, y, w):
        return torch.cat([-w * y[:2], -y[2:]])

    def parts(t, y, w):
        return {"x": -w * y["x"], "s": -y["s"]}

    w, x = number(2.0), number([1.0, 1.0])
    for atol in ([1e-3, 1e-3, 1e-12], [1e-12, 1e-3, 1e-3]):
        own = {"x": number(atol[:2]), "s": atol[2]}
        many = solve(parts, {"x": x, "s": number(1.0)}, [1.0], w, rtol=1e-12, atol=own)
        one = solve(flat, number([1.0, 1.0, 1.0]), [1.0], w, rtol=1e-12, atol=number(atol))
        assert all(map(torch.equal, many.steps, one.steps))


def test_a_module_with_a_state_of_two_as_a_continuous_flow():
    """y' = a y + b and the logarithm of the density, whose derivative is -a."""

    class Flow(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(1, 1, dtype=torch.float64)

        def forward(self, t, state):
            y, _ = state
            with torch.enable_grad():
                y = y.requires_grad_(True)
                slope = self.linear(y)
                trace = torch.autograd.grad(slope.sum(), y, create_graph=True)[0]
            return slope, -trace

    flow = Flow()
    torch.nn.init.constant_(flow.linear.weight, 0.7)
    y0 = (number([[1.0], [2.0]]), torch.zeros(2, 1, dtype=torch.float64))
    y, density = solve(flow, y0, [0.5], **TIGHT).ys
    np.testing.assert_allclose(density.detach(), np.full((1, 2, 1), -0.35), rtol=1e-12)
    (y[0].sum() + density.sum()).backward()
    bias = flow.linear.bias.item()
    # y = e^{at} y0 + b (e^{at} - 1) / a
    grown, a, t = np.exp(0.35), 0.7, 0.5
    by_b = 2 * (grown - 1) / a
    by_a = 3 * t * grown + 2 * bias * (t * grown * a - (grown - 1)) / a**2 - 2 * t
    assert flow.linear.bias.grad.item() == pytest.approx(by_b, rel=1e-8)
    assert flow.linear.weight.grad.item() == pytest.approx(by_a, rel=1e-8)


@pytest.mark.parametrize(
    ("y0", "options", "match"),
    [
        ({"x": torch.ones(1)}, {"rhs": lambda t, y: (y["x"],)}, r"structure of y0, \{'x': .\}"),
        ({"x": torch.ones(1)}, {"rhs": lambda t, y: {"v": y["x"]}}, "rhs is not of the structure"),
        (
            (torch.ones(1), torch.ones(2)),
            {"rhs": lambda t, y: (y[0], y[0])},
            r"rhs returned shape \(1,\) and dtype .* for y0\[1\], which has shape \(2,\)",
        ),
        (
            (torch.ones(1), torch.ones(2)),
            {"rhs": lambda t, y: (y[0], None)},
            r"NoneType for y0\[1\]",
        ),
        ((torch.ones(1), torch.ones(1).double()), {}, r"y0\[1\] has torch.float64 on cpu, y0\[0\]"),
        ({"a": torch.ones(1), "z": torch.tensor(1j)}, {}, r"y0\['z'\] has dtype complex64; pass"),
        ({}, {}, "no elements"),
        ((torch.ones(0),), {}, "no elements"),
        ((torch.ones(2),), {"atol": (torch.ones(3),)}, r"atol\[0\] has shape \(3,\); pass one"),
        ((torch.ones(2),), {"rtol": {"x": 1.0}}, "rtol is not of the structure of y0"),
        (
            (torch.ones(2),),
            {"jump_times": [0.5], "jump": lambda i, t, y: y[0]},
            "jump is not of the structure of y0",
        ),
    ],
)
def test_what_does_not_fit_the_structure_is_refused_with_the_leafs_name(y0, options, match):
    options = {"rhs": lambda t, y: y, **options}
    with pytest.raises(ValueError, match=match):
        solve(y0=y0, save_at=[1.0], **options)


def test_lists_of_plain_numbers_are_still_one_array():
    assert solve(lambda t, y: -y, [1.0, 2.0], [1.0]).ys.shape == (1, 2)
    assert solve(lambda t, y: -y, 1.0, [1.0]).ys.shape == (1,)
    mixed = solve(lambda t, y: (-y[0], y[1]), (number(1.0), 2.0), [1.0]).ys
    assert [x.dtype for x in mixed] == [torch.float64, torch.float64]
    assert mixed[1].item() == pytest.approx(2 * np.e, rel=1e-5)


def test_structures_under_vmap_and_jacrev():
    def end(k):
        return solve(lambda t, y, k: (-k * y[0],), (torch.ones(2, dtype=k.dtype),), [1.0], k).ys[0]

    ks = number([0.5, 1.0])
    lanes = torch.func.vmap(end)(ks)
    np.testing.assert_allclose(lanes[:, 0, 0], np.exp(-ks.numpy()), rtol=1e-5)
    slopes = torch.func.jacrev(end)(ks[0])
    np.testing.assert_allclose(slopes, np.full((1, 2), -np.exp(-0.5)), rtol=1e-5)
