"""Models of one framework alone, on every method: right to tolerance, or refused in a sentence."""

import functools
import math

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import adjointbench as ab
from adjointbench.adjoints.trial import why_not

A, Y0, T = np.array([-0.7, 0.3]), np.array([1.0, 0.5]), 1.5
END = Y0 * np.exp(A * T)
RTOL, ALLOWED = 1e-7, 1e-5

COMMON = {"y0": Y0, "params": {"a": A}, "t_span": (0.0, T)}


def jax_alone():
    return ab.Problem(
        name="jax alone",
        rhs=lambda t, y, p: jnp.stack([p["a"][0] * y[0], p["a"][1] * y[1]]),
        loss=lambda ys, p: jnp.sum(ys**2),
        **COMMON,
    )


def torch_alone():
    return ab.Problem(
        name="torch alone",
        rhs=lambda t, y, p: torch.stack([p["a"][0] * y[0], p["a"][1] * y[1]]),
        loss=lambda ys, p: torch.sum(ys**2),
        **COMMON,
    )


def numpy_alone():
    return ab.Problem(
        name="numpy alone",
        rhs=lambda t, y, p: np.array([p["a"][0] * y[0], p["a"][1] * y[1]]),
        loss=lambda ys, p: np.sum(ys**2),
        **COMMON,
    )


def numpy_not_analytic():
    return ab.Problem(
        name="numpy, not analytic",
        rhs=lambda t, y, p: np.array([p["a"][0] * y[0], p["a"][1] * np.abs(y[1])]),
        loss=lambda ys, p: float(np.sum(ys**2)),
        **COMMON,
    )


def module():
    linear = torch.nn.Linear(2, 2).double()
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(np.diag(A)))
        linear.bias.zero_()
    return ab.Problem.from_module(linear, Y0, (0.0, T), lambda ys, p: (ys**2).sum())


MAKE = {
    "jax": jax_alone,
    "torch": torch_alone,
    "numpy": numpy_alone,
    "not analytic": numpy_not_analytic,
    "module": module,
}
problem_of = functools.cache(lambda kind: MAKE[kind]())

#: The methods that take each, besides those on the backend itself.
TAKEN = {
    "jax": {"scipy-forward", "scipy-adjoint", "finite-difference"},
    "torch": {"scipy-forward", "scipy-adjoint", "finite-difference"},
    "module": {"scipy-forward", "scipy-adjoint", "finite-difference"},
    "numpy": {
        "scipy-forward", "scipy-adjoint", "finite-difference", "complex-step",
        "cvodes-adjoint", "cvodes-forward", "diffsol-adjoint", "diffsol-forward",
    },
    "not analytic": {"scipy-forward", "scipy-adjoint", "finite-difference"},
}  # fmt: skip
BACKEND = {"jax": "jax", "torch": "torch", "module": "torch"}

#: What compiles for seconds is in the short run once for each library.
COMPILED = {"jax-discrete", "jax-odeint", "diffrax-forward"}


def is_taken(kind, method):
    on_backend = method.backend == BACKEND.get(kind) and method.name != "jax-blackbox"
    return on_backend or method.name in TAKEN[kind]


def case(kind, method):
    slow = kind == "jax" and method.backend == "jax" and method.name not in COMPILED
    marks = [pytest.mark.long] if slow and is_taken(kind, method) else []
    return pytest.param(kind, method, id=f"{kind}-{method.name}", marks=marks)


@pytest.mark.parametrize(
    ("kind", "method"), [case(kind, method) for kind in MAKE for method in ab.methods()]
)
def test_the_gradient_is_right_or_refused(kind, method):
    problem = problem_of(kind)
    if not is_taken(kind, method):
        with pytest.raises(ValueError, match=r"use .*(scipy-|finite-difference)") as refusal:
            ab.gradient(problem, method.name)
        assert "\n" not in str(refusal.value)
        return
    result = ab.gradient(problem, method.name, rtol=RTOL, atol=1e-3 * RTOL)
    assert result.status == "ok", result.message
    assert result.loss == pytest.approx(np.sum(END**2), rel=ALLOWED)
    np.testing.assert_allclose(result.dy0, 2 * END * np.exp(A * T), rtol=ALLOWED)
    if kind != "module":
        np.testing.assert_allclose(result.dparams["a"], 2 * T * END**2, rtol=ALLOWED)
        return
    np.testing.assert_allclose(result.dparams["weight"], by_weight(), rtol=ALLOWED)
    np.testing.assert_allclose(
        result.dparams["bias"], 2 * END * (np.exp(A * T) - 1) / A, rtol=ALLOWED
    )


def by_weight():
    """The integral of w_i(t) y_j(t), with w the adjoint of y."""
    rates = A[None, :] - A[:, None]
    spans = np.where(rates == 0, T, np.expm1(rates * T) / np.where(rates == 0, 1, rates))
    return np.outer(2 * END * np.exp(A * T), Y0) * spans


def test_where_the_derivatives_of_scipys_methods_come_from():
    sources = {"jax": "jax", "torch": "torch", "numpy": "complex step"}
    sources |= {"not analytic": "finite differences", "module": "torch"}
    for kind, source in sources.items():
        assert ab.gradient(problem_of(kind), "scipy-adjoint").stats.derivatives == source


def test_stiff_solvers_differentiate_the_sensitivities_again():
    for kind in ("numpy", "not analytic"):
        result = ab.gradient(problem_of(kind), "scipy-forward", solver="radau", rtol=1e-7)
        np.testing.assert_allclose(result.dparams["a"], 2 * T * END**2, rtol=1e-4)


def test_a_derivative_that_pytorch_would_lose_is_not_taken_from_it():
    problem = ab.Problem(
        name="sines",
        rhs=lambda t, y, p: [math.sin(p["k"] * y[0])],
        y0=[1.0],
        params={"k": 0.5},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: ys[-1, 0],
    )
    with pytest.raises(ValueError, match=r"makes a plain number of a tensor \(math\.sin"):
        ab.gradient(problem, "torch-discrete")
    true = ab.gradient(problem, "finite-difference", rtol=1e-9, atol=1e-12)
    for method in ("scipy-adjoint", "scipy-forward", "torch-blackbox"):
        result = ab.gradient(problem, method, rtol=1e-9, atol=1e-12)
        assert result.stats.derivatives == "finite differences"
        assert result.dparams["k"] == pytest.approx(true.dparams["k"], rel=1e-6)


def test_parameters_in_a_closure_are_refused_with_the_way_to_do_it():
    net = torch.nn.Linear(2, 2).double()
    closed = ab.Problem(
        name="closed",
        rhs=lambda t, y, p: net(y) * p["a"],
        loss=lambda ys, p: ys.sum(),
        **COMMON,
    )
    for method in ("torch-discrete", "torch-tape", "scipy-adjoint", "finite-difference"):
        with pytest.raises(ValueError, match=r"closes over 2 tensors .*Problem\.from_module"):
            ab.gradient(closed, method)


def test_a_module_stays_as_it_is():
    linear = torch.nn.Linear(2, 2).double()
    before = {name: value.clone() for name, value in linear.state_dict().items()}
    problem = ab.Problem.from_module(linear, Y0, (0.0, T), lambda ys, p: (ys**2).sum())
    for method in ("torch-discrete", "torch-tape", "torchdiffeq-adjoint", "torch-blackbox"):
        assert set(ab.gradient(problem, method).dparams) == {"weight", "bias"}
    assert all(torch.equal(before[name], value) for name, value in linear.state_dict().items())
    assert all(value.grad is None for value in linear.parameters())


@pytest.mark.parametrize(
    ("kind", "jax", "torch"),
    [
        ("jax", "", "rhs is written for JAX"),
        ("torch", "rhs is written for PyTorch", ""),
        ("numpy", "TracerArrayConversionError", "RuntimeError"),
    ],
)
def test_what_runs_where_is_told_in_one_sentence(kind, jax, torch):
    for framework, expected in (("jax", jax), ("torch", torch)):
        sentence = why_not(problem_of(kind), framework)
        assert bool(sentence) == bool(expected), sentence
        assert expected in sentence
        assert "\n" not in sentence
