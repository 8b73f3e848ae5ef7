"""What functions of PyTorch come to by expressions of the native loop, and by PyTorch itself."""

import numpy as np
import torch
from expression_values import values_of

from adjointbench.adjoints.native.differentiation import pulled_back
from adjointbench.adjoints.native.expressions import Expressions, inputs
from adjointbench.adjoints.native.symbolic_array import elements, symbolic
from adjointbench.adjoints.torch.native.aten import expressions_of
from adjointbench.adjoints.torch.native.graph import graph_of

#: With kinks, zeros, ties and what overflows.
POINTS = [
    [0.3, -0.7, 1.6],
    [0.0, 0.0, 1.0],
    [-1.0, 1.0, 1.0],
    [3.0, -3.0, 6.0],
    [800.0, -800.0, 2.0],
]


def native(function, *examples):
    """Values, and derivatives of their weighted sum, by expressions."""
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
    """The same by PyTorch."""
    leaves = [x.detach().clone().requires_grad_() for x in examples]
    found = function(*leaves)
    if not found.requires_grad:
        return found.ravel().tolist(), [0.0] * sum(x.numel() for x in leaves)
    weights = torch.linspace(0.5, 1.5, found.numel(), dtype=found.dtype).reshape(found.shape)
    slopes = torch.autograd.grad(found, leaves, weights, materialize_grads=True, allow_unused=True)
    return found.detach().ravel().tolist(), torch.cat([x.ravel() for x in slopes]).tolist()


def check(function, *examples, atol=1e-14):
    """Both agree."""
    values, slopes = native(function, *examples)
    theirs, their_slopes = by_torch(function, *examples)
    np.testing.assert_allclose(values, theirs, rtol=1e-13, atol=atol)
    np.testing.assert_allclose(slopes, their_slopes, rtol=1e-12, atol=atol)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)
