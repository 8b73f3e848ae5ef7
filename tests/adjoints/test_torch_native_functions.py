"""PyTorch's functions on the expressions of the native loop: values and derivatives."""

import pytest
import torch
import torch.nn.functional as F
from torch_expressions import POINTS, check, tensor

from adjointbench.problems import get, names

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
    "convolved": lambda x: F.conv1d(F.pad(x[None, None], (1, 1), "circular"), x[None, None], x[:1]),
    "in groups": lambda x: F.conv2d(
        x.repeat(4, 5, 2), x.repeat(4, 2, 2, 1), x.repeat(2)[:4], (2, 1), (1, 0), (1, 2), groups=2
    ),
    "unfolded": lambda x: x.unfold(0, 2, 1).prod(1),
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
