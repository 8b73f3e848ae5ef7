"""PyTorch's functions on the expressions of the native loop: values, derivatives, refusals."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from expression_values import values_of

from adjointbench.adjoints.native.differentiation import pulled_back
from adjointbench.adjoints.native.expressions import Expressions, inputs
from adjointbench.adjoints.native.symbolic_array import elements, symbolic
from adjointbench.adjoints.native.translation import UntranslatableError
from adjointbench.adjoints.torch.native.aten import expressions_of
from adjointbench.adjoints.torch.native.graph import graph_of
from adjointbench.problems import get, names

#: With kinks, zeros, ties and what overflows.
POINTS = [
    [0.3, -0.7, 1.6],
    [0.0, 0.0, 1.0],
    [-1.0, 1.0, 1.0],
    [3.0, -3.0, 6.0],
    [800.0, -800.0, 2.0],
]


def native(function, *examples):
    """Values and derivatives by expressions, as functions of a pair of a sum's weights."""
    graph = graph_of(function, *examples)
    make = Expressions()
    arguments, at = [], {}
    for k, x in enumerate(graph.inputs):
        names = list(inputs(make, f"x{k}", x.numel()))
        arguments.append(symbolic(make, np.array(names, object).reshape(tuple(x.shape))))
        at.update(zip([e.value for e in names], np.ravel(x.numpy()), strict=True))
    (found,) = expressions_of(make, graph, arguments)
    outputs = elements(symbolic(make, found))
    wanted = [e for x in arguments for e in elements(x)]
    weights = np.linspace(0.5, 1.5, len(outputs)).tolist()
    back = pulled_back(make, outputs, [make.constant(w) for w in weights], wanted)
    return values_of(outputs, at), values_of(back, at)


def by_torch(function, *examples):
    leaves = [x.detach().clone().requires_grad_() for x in examples]
    found = function(*leaves)
    if not found.requires_grad:
        return found.ravel().tolist(), [0.0] * sum(x.numel() for x in leaves)
    weights = torch.linspace(0.5, 1.5, found.numel(), dtype=found.dtype).reshape(found.shape)
    slopes = torch.autograd.grad(found, leaves, weights, materialize_grads=True, allow_unused=True)
    return found.detach().ravel().tolist(), torch.cat([x.ravel() for x in slopes]).tolist()


def check(function, *examples, atol=1e-14):
    (values, slopes), (expected, torch_s) = (
        native(function, *examples),
        by_torch(function, *examples),
    )
    np.testing.assert_allclose(values, expected, rtol=1e-13, atol=atol)
    np.testing.assert_allclose(slopes, torch_s, rtol=1e-12, atol=atol)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


OF_ONE = {
    "powers": lambda x: x**2 + x**3.0 - x**-1 + x**1.5 + x**20 + x**0,
    "exponents": lambda x: 2.0**x + torch.exp2(x) + torch.expm1(x),
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
    "logarithms": lambda x: x.log() + x.log2() + x.log10() + x.log1p(),
    "circular": lambda x: x.sin() + x.cos() * x.tan() + x.atan(),
    "inverse": lambda x: x.asin() - x.acos() + x.atanh() + x.acosh(),
    "hyperbolic": lambda x: x.sinh() + x.cosh() + x.tanh() + x.asinh(),
    "sigmoid": torch.sigmoid,
    "logit": lambda x: torch.logit(x.sigmoid() * 0.5) + x.deg2rad() + x.rad2deg(),
    "glu": lambda x: F.glu(torch.outer(x, x)[:, :2]) + F.glu(x[:2]),
    "relu": torch.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "elu": lambda x: F.elu(x, 1.3),
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 0.5),
    "gelu": lambda x: F.gelu(x) + F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "softplus": lambda x: F.softplus(x) + F.softplus(x, 2.0, 3.0),
    "logsigmoid": F.logsigmoid,
    "hardtanh": lambda x: F.hardtanh(x),
    "threshold": lambda x: F.threshold(x, 1.0, 3.0),
    "softsign": lambda x: F.softsign(x) + F.tanhshrink(x),
    "clamp": lambda x: x.clamp(0.0, 1.0) + 2.0 * x.clamp(min=0.3) + 3.0 * x.clamp(max=-1.0),
    "clip": lambda x: torch.clip(x, -1, 1) + F.hardtanh(x, -3.0, 3.0),
    "abs": lambda x: x.abs() + x.sign() + x.sgn(),
    "whole": lambda x: x.floor() * x + x.ceil() * x + x.round() * x + x.trunc() * x + x.frac(),
    "remainder": lambda x: x % 0.7 + torch.fmod(x, 0.7) + x % -0.7,
    "trunc": lambda x: (
        x * torch.div(x, 0.7, rounding_mode="trunc") + x * torch.div(x, 0.7, rounding_mode="floor")
    ),
    "erf": lambda x: torch.erf(x) + torch.erfc(x),
    "where": lambda x: torch.where((x > 0) & (x <= 1) | ~(x < 1.6), x * x, -x) + (x != 0) * x,
    "logical": lambda x: torch.where(torch.logical_or(x == 1, torch.isnan(x)) ^ (x >= 0), x, 2.0),
    "scalars": lambda x: (
        2 - x + torch.rsub(x, 1.0, alpha=3) + torch.sub(x, x, alpha=0.5) + 1 / (x + 9)
    ),
    "addc": lambda x: (
        torch.addcmul(x, x, x, value=0.3) + torch.addcdiv(x, x, x + 5000.0) + x.lerp(x * x, 0.3)
    ),
    "norms": lambda x: (
        x.norm() + torch.linalg.norm(x, 1) + torch.linalg.norm(x, float("inf")) + x[:2].norm()
    ),
    "extremes": lambda x: (
        x.amax() + 2 * x.max() + 3 * x.min() + 4 * x.max(0)[0] + 5 * x.min(0).values
    ),
    "sums": lambda x: x.sum() + x.mean() + x.prod() + torch.cumsum(x, 0) + x.cumprod(0),
    "softmax": lambda x: F.softmax(x, 0) + F.log_softmax(x, 0) + x.logsumexp(0),
    "variance": lambda x: x.var() + x[1:].std() + x.var(correction=0),
    "layer_norm": lambda x: F.layer_norm(x, (3,), x + 2.0, x),
    "squeeze": lambda x: (
        x[:, None].squeeze() * x[None, :, None].squeeze(0).squeeze(-1).unsqueeze(1)
    ),
    "rolled": lambda x: (
        torch.roll(x, 1) * x.flip(0) + torch.cat([x[1:], x[:1]]) + torch.diff(x).sum()
    ),
    "indexed": lambda x: (
        x[torch.tensor([2, 0, 0])] * x[[True, False, True]].sum()
        + x[-1]
        + x.index_select(0, torch.tensor([1, 1, 0]))
    ),
    "gathered": lambda x: (
        x.gather(0, torch.tensor([1, 1, 2]))
        + x[::2].sum()
        + x.masked_fill(torch.tensor([True, False, False]), 3.0)
    ),
    "put": lambda x: (
        torch.zeros(3, dtype=x.dtype).index_add(0, torch.tensor([0, 2, 0]), x)
        + x.index_put((torch.tensor([1]),), x[:1], accumulate=True)
    ),
    "matrix": lambda x: (
        torch.outer(x, x) @ x
        + torch.diag(x).tril() @ x
        + torch.einsum("i,ij,j->i", x, torch.outer(x, x), x)
    ),
    "batched": lambda x: (
        torch.bmm(x.repeat(2, 3, 1), x.expand(2, 3, 3).transpose(1, 2))
        + torch.baddbmm(x, x.repeat(2, 3, 1), x.repeat(2, 3, 1))
    ),
    "cross": lambda x: (
        torch.linalg.cross(x, x.flip(0) + 1.0) + torch.dot(x, x) + torch.trace(torch.outer(x, x))
    ),
    "padded": lambda x: F.pad(x, (1, 2), value=2.0) + x.tile(2) + x.repeat_interleave(2),
    "pieces": lambda x: (
        torch.cat(x.chunk(2)) + torch.stack(x.unbind()) + torch.cat(x.split([1, 2]))
    ),
    "detach": lambda x: x.detach() * x + x.data * x,
    "gradient": lambda x: torch.func.grad(lambda z: (torch.tanh(z) * z.sigmoid()).sum())(x),
    "vmap": lambda x: torch.vmap(lambda a: a * x.sin())(torch.outer(x, x)),
    "jvp": lambda x: torch.func.jvp(lambda z: z.sin() * z, (x,), (x,))[1],
    "threads": lambda x: (
        torch.logaddexp(x, torch.ones_like(x))
        + torch.full_like(x, 2.0) * x.new_ones(3)
        + x.new_tensor([1.0, 2.0, 3.0])
    ),
}


@pytest.mark.parametrize("name", OF_ONE)
def test_functions_of_one(name):
    for point in POINTS:
        check(OF_ONE[name], tensor(*point))


OF_TWO = {
    "maximum": lambda a, b: torch.maximum(a, b) + 2 * torch.minimum(a, b),
    "fmax": lambda a, b: torch.fmax(a, b) + 2 * torch.fmin(a, b),
    "atan2": torch.atan2,
    "xlogy": lambda a, b: torch.xlogy(a, b.abs() + 1.0),
    "hypot": torch.hypot,
    "pow": lambda a, b: a**b,
    "clamp": lambda a, b: a.clamp(b, b + a * 0.3) + a.clamp(max=b) + a.clamp(min=b),
    "logaddexp": torch.logaddexp,
    "remainder": lambda a, b: a % (b + 3.0) + torch.fmod(a, b - 4.5),
}


@pytest.mark.parametrize("name", OF_TWO)
def test_functions_of_two(name):
    for point in POINTS:
        for other in ([0.3, 1.0, 2.0], [0.0, 2.0, 1.0], [2.0, 1.0, -6.0]):
            check(OF_TWO[name], tensor(*point), tensor(*other))


class Doubled(torch.autograd.Function):
    """Its derivative is not that of what it computes."""

    @staticmethod
    def forward(ctx, x):
        return x * 2.0

    @staticmethod
    def backward(ctx, w):
        return w


def in_parts(x):
    slopes = torch.tensor([1.0, 2.0, 3.0], dtype=x.dtype)
    slopes[0] = x[1] * x[2]
    slopes[1:] += x[:2] * slopes[:1].clone()
    more = torch.empty(2, 3, dtype=x.dtype)
    more[0] = x
    more[1].copy_(slopes).mul_(x)
    more.t()[0].squeeze_().fill_(x[2])
    mask = torch.zeros_like(x, dtype=torch.bool)
    mask[1] = True
    kept = x > 0.0
    kept[2] = False
    return torch.where(kept, more.sum(0) + more[:, mask][0], slopes[mask] * 2.0)


def test_what_is_written_in_place_is_seen_where_it_is_read():
    for point in POINTS:
        check(in_parts, tensor(*point))


def without_gradients(x):
    with torch.no_grad():
        return x * 2.0


def in_place(x):
    x += 1.0
    return x


def hooked(x):
    z = x * 2.0
    if z.requires_grad:
        z.register_hook(lambda w: 3.0 * w)
    return z


WEIGHT = torch.ones(3, dtype=torch.float64, requires_grad=True)
BUFFER = torch.ones(3, dtype=torch.float64)
CALLS = []

COUNTS = {"calls": 0}


def counted(x):
    COUNTS["calls"] += 1
    return x * 2.0


class Counted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append(x.shape)
        return x * 2.0


REFUSED = {
    "reads a value": [
        lambda x: x if x[0] > 0 else 2.0 * x,
        lambda x: x * float(x[0]),
        lambda x: x * x[0].item(),
        lambda x: x if torch.allclose(x, x + 1.0) else 2.0 * x,
        lambda x: torch.full((3,), x[0]),
    ],
    "as numbers": [
        lambda x: x * x.tolist()[0],
        lambda x: x * torch.from_numpy(x.detach().numpy()),
        lambda x: x * float(np.asarray(x)[0]),
        lambda x: x * len(f"{x}"),
        lambda x: torch.tensor([x[0], x[1], x[2]]),
        lambda x: torch.tensor(x),
        lambda x: torch.as_tensor([x[0], x[1], x[2]]),
    ],
    "random numbers": [lambda x: x * torch.rand(3), lambda x: F.dropout(x), torch.rand_like],
    "derivative of its own": [Doubled.apply, hooked],
    "turns gradients off": [without_gradients],
    "inference": [torch.inference_mode()(lambda x: x * 2.0)],
    "passed or closed over": [in_place, lambda x: BUFFER.add_(x)],
    "that is differentiated": [lambda x: WEIGHT * x],
    "arguments alone": [lambda x: x * (CALLS.append(0) or len(CALLS))],
    "it changes": [counted, Counted()],
    "makes torch.float32": [lambda x: x.float() * 2.0, lambda x: x[0] * torch.ones(3)],
    "torch.int64": [lambda x: x * (x > 0).sum(), lambda x: x * x.long()],
    "an index depends": [lambda x: x * x[x > 0].sum()],
    "second result": [lambda x: x.max(0)[1] * x],
    "no counterpart": [
        torch.sort,
        lambda x: x.argmax() * x,
        lambda x: torch.linalg.inv(torch.outer(x, x) + torch.eye(3)),
    ],
    "out=": [lambda x: torch.add(x, x, out=torch.zeros_like(x))],
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_its_operations_do_not_tell_is_refused(reason):
    for function in REFUSED[reason]:
        with pytest.raises(UntranslatableError, match=reason):
            native(function, tensor(0.3, -0.7, 1.6))


@pytest.mark.parametrize("name", sorted(set(names()) - {"digits", "mnist", "two_spirals"}))
def test_right_hand_sides_of_the_zoo(name):
    problem = get(name)
    params = [torch.tensor(value) for value in problem.params.values()]
    constants = {key: torch.tensor(value) for key, value in problem.constants.items()}

    def rhs(t, y, *values):
        return problem.rhs(t, y, dict(zip(problem.params, values, strict=True)) | constants)

    t = torch.tensor(problem.t_span[1] / 3, dtype=params[0].dtype)
    # Differences of neighbours cancel.
    check(rhs, t, torch.tensor(problem.y0) + 0.01, *params, atol=1e-12)


def test_a_module_reads_its_buffers_as_the_caller_says():
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh()).double()
    net.register_buffer("scale", tensor(2.0, 3.0, 4.0))
    weights = {key: value.detach() for key, value in net.named_parameters()}
    order, told = torch.tensor([1, 0]), []

    def rhs(y, given):
        params, order = given
        return torch.func.functional_call(net, params, (y[order],)) * net.scale

    def known(array):
        told.append(array)
        return 10.0 * array

    graph, make = graph_of(rhs, tensor(0.3, 0.4), (weights, order)), Expressions()
    names = [list(inputs(make, f"x{k}", x.numel())) for k, x in enumerate(graph.inputs[:3])]
    arguments = [
        symbolic(make, np.reshape(np.array(x, object), like.shape))
        for x, like in zip(names, graph.inputs, strict=False)
    ]
    (found,) = expressions_of(make, graph, [*arguments, np.array([0, 1])], known)
    at = {
        e.value: float(v)
        for x, like in zip(names, graph.inputs, strict=False)
        for e, v in zip(x, like.ravel(), strict=True)
    }
    expected = rhs(tensor(0.4, 0.3), (weights, order)) * 10.0
    np.testing.assert_allclose(values_of(elements(found), at), expected, rtol=1e-14)
    assert [x.tolist() for x in told] == [[2.0, 3.0, 4.0]]


def test_single_precision_is_kept_and_not_lost():
    def rhs(y):
        return y * 0.1 + torch.ones(3)

    single = torch.tensor([1.0, 2.0, 3.0])
    values, slopes = native(rhs, single)
    np.testing.assert_allclose(values, rhs(single), rtol=1e-6)
    np.testing.assert_allclose(slopes, [0.05, 0.1, 0.15], rtol=1e-6)
    with pytest.raises(UntranslatableError, match=r"torch.float64 of values of torch.float32"):
        native(lambda y: y * tensor(1.0, 2.0, 3.0), single)
