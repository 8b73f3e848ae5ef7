"""The arrays of CasADi expressions against NumPy."""

import numpy as np
import pytest
from array_api_compat import array_namespace

import adjointbench as ab

ca = pytest.importorskip("casadi", reason="CasADi is not installed")

from adjointbench.adjoints.peers.casadi_array import CasadiArray  # noqa: E402
from adjointbench.adjoints.peers.casadi_equations import trace  # noqa: E402

MASK = np.array([[True, False, True]])

#: Functions of a namespace and two arrays, both with positive and negative numbers.
OPERATIONS = {
    "arithmetic": lambda xp, a, b: 2.0 - a * b / (3 + b**2) + (-a) ** 3 - abs(a) ** 1.5,
    "reflected": lambda xp, a, b: np.float64(2) * a + np.ones(3) / (1 + b**2) + 2**a,
    "elementwise": lambda xp, a, b: xp.exp(a) + xp.tanh(b) - xp.sin(a) * xp.cos(b) + xp.sqrt(b * b),
    "logarithms": lambda xp, a, b: xp.log(a**2) + xp.log1p(b**2) + xp.expm1(a),
    "where": lambda xp, a, b: xp.where((a > 0) | False if xp is np else a > 0, a, 2.0),
    "where plain": lambda xp, a, b: xp.where(MASK, a, b),
    "bounds": lambda xp, a, b: xp.maximum(a, b) - xp.minimum(a, 0.5) + xp.clip(a, -0.5, 0.5),
    "broadcast": lambda xp, a, b: a[:, None, :] * b[None, :, :1],
    "index": lambda xp, a, b: a[..., 1:] * b[-1, :-1] + a[0, 0],
    "index by array": lambda xp, a, b: a[:, np.array([2, 0])],
    "stack": lambda xp, a, b: xp.stack([a, b, 2.0 * a], axis=1),
    "concat": lambda xp, a, b: xp.concat([a, b[:, :1]], axis=1),
    "roll": lambda xp, a, b: xp.roll(a, 1, axis=0) + xp.roll(b, -1, axis=1) - 4 * a,
    "permute": lambda xp, a, b: xp.permute_dims(a, (1, 0)) + b.T,
    "reshape": lambda xp, a, b: xp.reshape(a, (3, 2)) + b.reshape(3, 2) + xp.reshape(b, (-1, 2)),
    "sums": lambda xp, a, b: xp.sum(a, axis=0) + xp.mean(b, axis=-2) + a.sum() + b.mean(),
    "keepdims": lambda xp, a, b: a - xp.max(a, axis=-1, keepdims=True) * xp.min(b),
    "var": lambda xp, a, b: xp.var(a, axis=1) + xp.std(b) + xp.prod(a, axis=1),
    "matmul": lambda xp, a, b: (a @ b.T) @ a[:, 0] + xp.matmul(b, a[0, :]),
    "vector products": lambda xp, a, b: a[0] @ b[1] + a[0] @ b.T,
    "triangles": lambda xp, a, b: xp.triu(a, k=1) - xp.tril(b, k=-1),
    "take": lambda xp, a, b: xp.take(a, np.array([1, 1]), axis=1),
    "along axis": lambda xp, a, b: xp.take_along_axis(a, np.array([[0], [2]]), axis=1),
    "new": lambda xp, a, b: xp.zeros_like(a) + xp.ones_like(b[0]) + xp.asarray(2.0, dtype=a.dtype),
    "plain": lambda xp, a, b: xp.linspace(0.0, 1.0, 3) + xp.eye(3)[0] * a,
    "squeeze": lambda xp, a, b: xp.squeeze(a[:, :1], axis=1) + xp.expand_dims(b[:, 0], axis=0),
    "softmax": lambda xp, a, b: xp.log(xp.sum(xp.exp(a - xp.max(a, axis=1, keepdims=True)))),
}


@pytest.mark.parametrize("expanded", [False, True])
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_operations_agree_with_numpy(operation, expanded):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 2, 3))
    symbols = [ca.MX.sym("x", 6) for _ in values]
    arrays = [CasadiArray(symbol, (2, 3)) for symbol in symbols]
    expected = operation(np, *values)
    result = operation(array_namespace(*arrays), *arrays)
    function = ca.Function("f", symbols, [result.symbolic()])
    if expanded:
        function = function.expand()
    found = function(*(value.ravel() for value in values)).full().reshape(result.shape)
    assert result.shape == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


#: Of problems that CVODES takes.
TAKEN = [n for n in ab.problems.names() if not ab.problems.get(n).events]


@pytest.mark.parametrize("name", TAKEN)
def test_the_equations_of_the_zoo(name):
    problem = ab.problems.get(name)
    equations = trace(problem, "cvodes-adjoint")
    p, t = problem.merged(), np.asarray(0.3)
    theta = np.concatenate([np.ravel(value) for value in problem.params.values()])
    rate = equations.rhs(t, problem.y0.ravel(), theta).full().ravel()
    np.testing.assert_allclose(rate, np.ravel(problem.rhs(t, problem.y0, p)), rtol=1e-10, atol=1e-9)
    growth = np.linspace(1.0, 1.1, len(problem.save_at))
    ys = np.stack([g * problem.y0 for g in growth])
    loss = float(equations.loss(ys.ravel(), theta))
    assert loss == pytest.approx(float(problem.loss(ys, p)), rel=1e-10)


def test_plain_numbers_stay_plain():
    labels = CasadiArray(np.array([0, 1, 1]), (3,))
    x = CasadiArray(ca.MX.sym("x", 3), (3,))
    xp = array_namespace(x, labels)
    assert (labels == 1).numpy().tolist() == [False, True, True]
    assert labels.dtype.kind == "i"
    assert x[labels].shape == (3,)
    assert not xp.isdtype(x.dtype, "complex floating")
    with pytest.raises(TypeError, match=r"use xp\.where"):
        bool(x[0] > 0)
    with pytest.raises(AttributeError, match=r"xp\.linalg has no counterpart"):
        xp.linalg  # noqa: B018


def test_networks_stay_matrix_operations():
    small, large = (ab.problems.get("cubic_spiral", batch=1, hidden=h) for h in (5, 50))
    assert trace(small, "cvodes-adjoint").rhs.is_a("SXFunction")
    assert trace(large, "cvodes-adjoint").rhs.is_a("MXFunction")
