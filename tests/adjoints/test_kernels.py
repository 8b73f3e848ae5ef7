"""Whole programs as one kernel: what may become one, and that the numbers stay the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import adjointbench as ab
from adjointbench.adjoints.jax import one_kernel as kernels
from adjointbench.adjoints.jax.one_kernel import is_fit, one_kernel, single_kernels

CPU = jax.devices("cpu")[0]

needs_support = pytest.mark.skipif(
    not kernels._TESTED, reason="this version of jaxlib runs kernel by kernel"
)


def fit(function, *shapes):
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return is_fit(jax.jit(function).trace(*arguments).jaxpr)


def loop(x):
    return jax.lax.while_loop(lambda c: c[0] < 5, lambda c: (c[0] + 1, jnp.sin(c[1])), (0, x))[1]


@pytest.mark.parametrize(
    "function",
    [jnp.sin, loop, lambda x: x[::-1].sum(), lambda x: jnp.where(x > 0, x, 2 * x)],
    ids=["sine", "loop", "sum", "where"],
)
def test_small_arithmetic_is_fit(function):
    assert fit(function, (3,))


@pytest.mark.parametrize(
    "function",
    [
        jnp.sort,
        lambda x: x.at[jnp.argsort(x)].add(1.0),
        lambda x: x @ jnp.ones((3, 3)),
        lambda x: jnp.linalg.inv(jnp.outer(x, x)),
        lambda x: jax.pure_callback(lambda x: x, x, x),
        lambda x: jax.lax.cond(x[0] > 0, jnp.sort, jnp.sin, x),
        lambda x: jax.lax.fori_loop(0, 3, lambda i, x: jnp.sort(x), x),
    ],
    ids=["sort", "scatter", "matmul", "inverse", "callback", "in a branch", "in a loop"],
)
def test_what_xla_runs_by_itself_is_not_fit(function):
    assert not fit(function, (3,))


def test_large_arrays_are_not_fit():
    assert fit(jnp.sin, (kernels.LARGEST,))
    assert not fit(jnp.sin, (kernels.LARGEST + 1,))
    assert not fit(jnp.sum, (kernels.LARGEST_SUM + 1,))


def marked(function, *arguments):
    """Whether the compiled program has a single kernel that was marked by hand."""
    text = jax.jit(function).lower(*arguments).as_text()
    return "xla_cpu_small_call" in text


@needs_support
def test_only_where_it_is_allowed(monkeypatch):
    x = jnp.ones(3)
    assert not marked(lambda x: one_kernel(loop)(x), x)
    with single_kernels(CPU):
        assert marked(lambda x: one_kernel(loop)(x), x)
        assert not marked(lambda x: one_kernel(jnp.sort)(x), x)
    monkeypatch.setenv("ADJOINTBENCH_ONE_KERNEL", "0")
    with single_kernels(CPU):
        assert not marked(lambda x: one_kernel(loop)(x), x)


@needs_support
def test_operands_that_are_constant_or_never_read():
    """Both would make XLA's emitter abort the process."""

    def function(x, unused, count, constant, flag, empty):
        return jnp.where(flag, x * constant, x), count, empty

    def program(x):
        one, empty = jnp.int32(1), jnp.zeros((0, 2))
        return one_kernel(function)(x, x, one, jnp.float32(3), jnp.bool_(True), empty)

    with single_kernels(CPU):
        compiled = jax.jit(program)
        out, count, empty = compiled(jnp.arange(3.0))
        _, still, _ = compiled(jnp.full(3, jnp.nan))
    np.testing.assert_array_equal(out, [0.0, 3.0, 6.0])
    assert count == still == 1
    assert empty.shape == (0, 2)


def test_what_xla_cannot_emit_is_compiled_kernel_by_kernel(monkeypatch):
    """The limits are XLA's own affair: where they lie elsewhere the program still runs."""
    monkeypatch.setattr(kernels, "LARGEST_SUM", 10**6)
    problem = ab.Problem(
        name="many_saves",
        rhs=lambda t, y, p: -p["k"] * y,
        y0=np.array([1.0]),
        params={"k": np.array([0.5])},
        t_span=(0.0, 2.0),
        save_at=np.linspace(0.0, 2.0, 6001),
        loss=lambda ys, p: (ys**2).sum() / 6001,
    )
    result = ab.gradient(problem, "jax-forward", rtol=1e-8, atol=1e-10)
    assert result.status == "ok"
    assert result.loss == pytest.approx((1 - np.exp(-2.0)) / 2, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("lotka_volterra", "jax-discrete"),
        ("lotka_volterra", "jax-gauss"),
        ("pendulum", "jax-backsolve"),
        ("robertson", "jax-discrete"),
        ("robertson", "jax-forward"),
    ],
)
def test_gradients_are_those_of_many_kernels(name, method, monkeypatch):
    problem = ab.problems.get(name)
    one = ab.gradient(problem, method, rtol=1e-5, atol=1e-9)
    monkeypatch.setenv("ADJOINTBENCH_ONE_KERNEL", "0")
    many = ab.gradient(problem, method, rtol=1e-5, atol=1e-9)
    assert one.status == many.status == "ok"
    assert one.stats.steps == many.stats.steps
    assert one.loss == pytest.approx(many.loss, rel=1e-12)
    for key, value in many.dparams.items():
        np.testing.assert_allclose(one.dparams[key], value, rtol=1e-9)
