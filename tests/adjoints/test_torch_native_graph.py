"""What the operations of a PyTorch function tell of it, and what is refused."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from expression_values import values_of
from torch_expressions import POINTS, check, native, tensor

from adjointbench.adjoints.native.expressions import Expressions, inputs
from adjointbench.adjoints.native.symbolic_array import elements, symbolic
from adjointbench.adjoints.native.translation import UntranslatableError
from adjointbench.adjoints.torch.native.aten import expressions_of
from adjointbench.adjoints.torch.native.graph import graph_of


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
    "a derivative that is not that of": [
        Doubled.apply,
        without_gradients,
        torch.inference_mode()(lambda x: x * 2.0),
        lambda x: torch.autograd.grad((x.requires_grad_() ** 3).sum(), x)[0],
    ],
    "not that of its operations": [hooked],
    "a way that is not seen": [lambda x: (x * 2.0).detach_() * x],
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


def test_a_graph_that_is_not_compared_hides_no_derivative():
    alike = (lambda x: x * 2.0, Doubled.apply, hooked, without_gradients)
    plain, *others = (partial(graph_of, f, tensor(0.3, 0.7), checked=False) for f in alike)
    assert [operation.name for operation in plain().operations] == ["mul"]
    for record in others:
        with pytest.raises(UntranslatableError, match="derivative"):
            record()
