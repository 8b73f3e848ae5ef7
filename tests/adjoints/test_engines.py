"""Which engine runs a solve, that it says why, and that nothing stale is in a native program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_problems as tiny
import torch

import adjointbench as ab
from adjointbench.adjoints.jax import solve as solve_jax
from adjointbench.adjoints.jax.native import bridge
from adjointbench.adjoints.jax.native import loop as jax_loop
from adjointbench.adjoints.native import compiler
from adjointbench.adjoints.native.symbolic_array import product
from adjointbench.adjoints.torch import solve as solve_torch
from adjointbench.adjoints.torch.native import loop as torch_loop

SAVES = [0.5, 1.0]
RATES = np.array([0.3, 0.7])

#: What no native program does, whatever the equations are, and the words in which that is told.
BEYOND = [
    ({"solver": "kvaerno5"}, "solver='kvaerno5'"),
    ({"adjoint": "interpolating"}, "adjoint='interpolating'"),
    ({"adjoint": "forward"}, "adjoint='forward'"),
    ({"dense_output": True}, "dense_output"),
    ({"solver": "rodas5p", "jacobian": lambda t, y, p: -2 * p[:, None] * p}, "jacobian"),
]
BEYOND_JAX = [({"solver": "auto"}, "solver='auto'"), ({"differentiate_step_size": True}, "step_s")]
BEYOND_TORCH = [({"adjoint": "tape", "differentiate_step_size": True}, "adjoint='tape'")]


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def decay(t, y, p):
    return -p * y


def by_jax(rhs=decay, p=RATES, **options):
    return solve_jax(rhs, np.ones(2), SAVES, jnp.asarray(p), **options)


def traced(rhs=decay, p=RATES, **options):
    """The same without values: nothing is compiled by XLA."""
    return jax.eval_shape(lambda p: by_jax(rhs, p, **options), p)


def by_torch(rhs=decay, p=RATES, **options):
    return solve_torch(rhs, torch.ones(2, dtype=torch.float64), SAVES, torch.tensor(p), **options)


def check_refused(solved, own, reason, *arguments, **options):
    """The framework's engine runs and says why; it alone where the other one is asked for."""
    told = solved(*arguments, **options).engine
    assert told.startswith(f"{own} (")
    assert reason in told
    with pytest.raises(ValueError, match=r"engine='native': .*; use engine='auto' or") as refusal:
        solved(*arguments, engine="native", **options)
    assert reason in str(refusal.value)


@pytest.mark.parametrize(("options", "reason"), [*BEYOND, *BEYOND_JAX])
def test_what_is_not_native_on_jax(options, reason):
    check_refused(traced, "xla", reason, **options)


@pytest.mark.parametrize(("options", "reason"), [*BEYOND, *BEYOND_TORCH])
def test_what_is_not_native_on_pytorch(options, reason):
    check_refused(by_torch, "torch", reason, rtol=1e-2, **options)


def test_functions_that_cannot_be_translated():
    def sorted_on_jax(t, y, p):
        return jnp.sort(y) * p

    def long(t, y, p):
        # Terms that are worth more than the 3000 multiplications that are taken unasked.
        return -p * y + 1e-9 * jnp.sum(jnp.sin(jnp.arange(900.0) * y[0]) + p[0])

    check_refused(traced, "xla", "sort", sorted_on_jax)
    assert "more than 3000" in traced(long).engine
    check_refused(by_torch, "torch", "dtype", lambda t, y, p: -y * p.double(), np.float32(RATES))
    check_refused(by_torch, "torch", "sort", lambda t, y, p: torch.sort(y).values * p)
    with pytest.raises(ValueError, match="dtype"):
        traced(lambda t, y, p: -y * p.astype(float), np.float32(RATES), engine="native")


@pytest.mark.parametrize(
    ("a", "b"),
    [((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((4, 2, 3), (3, 2)), ((3,), (4, 3, 2))],
)
def test_products_have_the_shapes_and_values_of_numpys(a, b):
    x, y = (np.arange(1.0, 1 + np.prod(shape)).reshape(shape) for shape in (a, b))
    found = product(x, y)
    assert found.shape == np.shape(x @ y)
    np.testing.assert_array_equal(found.astype(float), x @ y)


def test_pytorchs_own_compiler_is_left_what_it_can_follow(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    check_refused(by_torch, "torch", "torch.compile around it")


def test_a_name_that_is_misspelt_is_refused():
    for solved, names in ((by_jax, "xla"), (by_torch, "torch")):
        with pytest.raises(ValueError, match=f"engine='nativ' is not known.*native.*{names}"):
            solved(engine="nativ")
    with pytest.raises(ValueError, match="engine='cuda' is not known"):
        ab.gradient(tiny.decay(), "jax-discrete", engine="cuda")


def test_the_engine_is_told_under_transforms():
    assert by_jax().engine == "native"
    assert traced(engine="xla").engine == "xla"
    one = lambda p: (by_jax(p=p).ys.sum(), by_jax(p=p))  # noqa: E731
    _, told = jax.jit(jax.vmap(jax.grad(one, has_aux=True)))(np.stack([RATES, RATES]))
    assert told.engine == "native"
    assert by_torch().engine == "native"
    assert by_torch(engine="torch").engine == "torch"
    assert ab.gradient(tiny.decay(), "jax-discrete").stats.engine == "native"
    for engine in ("native", "torch"):
        found = ab.gradient(tiny.decay(), "torch-discrete", engine=engine)
        assert found.stats.engine == engine


@pytest.fixture
def nothing_translated():
    known, torch_loop._KNOWN = torch_loop._KNOWN, type(torch_loop._KNOWN)()
    jax_loop._translated.cache_clear()
    yield
    torch_loop._KNOWN = known
    jax_loop._translated.cache_clear()


@pytest.mark.usefixtures("nothing_translated")
def test_without_a_compiler_the_framework_runs_and_says_so_without_a_warning(monkeypatch, recwarn):
    def none():
        raise compiler.NoCompilerError("no C compiler was found; install one")

    monkeypatch.setattr(compiler, "compiler", none)
    for _ in range(2):
        assert traced().engine == "xla (no C compiler was found; install one)"
        assert by_torch().engine == "torch (no C compiler was found; install one)"
    assert not recwarn.list
    with pytest.raises(ValueError, match="no C compiler was found"):
        by_torch(engine="native")


@pytest.mark.usefixtures("nothing_translated")
def test_what_cannot_be_loaded_is_a_reason_too(monkeypatch):
    def unreadable(path):
        raise OSError("failed to map segment from shared object")

    monkeypatch.setattr(compiler.ctypes, "CDLL", unreadable)
    assert "failed to map" in by_torch().engine
    monkeypatch.undo()
    monkeypatch.setattr(bridge, "_known", set())
    monkeypatch.setattr(bridge, "_bridge", lambda: compiler.loaded("no C", "-no-such-flag"))
    assert "failed: " in traced().engine


def test_a_pull_back_of_one_of_many_lanes_has_a_record_of_its_own():
    """Lanes keep none: what is in its place was never written."""
    lanes = jnp.stack([RATES, 2 * RATES, 3 * RATES])
    ys, pull = jax.vmap(lambda p: jax.vjp(lambda p: by_jax(p=p).ys, p))(lanes)
    weights = jnp.ones(ys.shape[1:])
    (second,) = jax.tree.map(lambda x: x[1], pull)(weights)
    (each,) = jax.lax.map(lambda one: one(weights), pull)
    expected = jax.vmap(jax.grad(lambda p: by_jax(p=p).ys.sum()))(lanes)
    np.testing.assert_allclose(each, expected, rtol=1e-12)
    np.testing.assert_allclose(second, expected[1], rtol=1e-12)


def test_cleared_caches_are_those_of_translated_functions_as_well():
    """Of all that ``jax.clear_caches()`` clears only what tells: the rest is dear."""

    def translations():
        traced()
        return jax_loop._translated.cache_info().misses

    known = translations()
    assert translations() == known
    jax_loop._age.clear_cache()
    assert translations() == known + 1


@pytest.mark.parametrize("method", ["jax-discrete", "torch-discrete"])
def test_a_training_gradient_has_the_constants_that_it_is_given(method):
    problem, constants = tiny.oscillators(), dict(tiny.oscillators().constants)
    other = {**constants, "forcing": constants["forcing"][::-1].copy()}
    steps = {"solver": "euler", "first_step": 0.1}
    expected = ab.gradient(tiny.oscillators(constants=other), method, **steps)
    put = jnp.asarray if method == "jax-discrete" else torch.tensor
    run = ab.prepare(problem, method, **steps)
    assert run().stats.engine == "native"
    params, given = ({k: put(v) for k, v in x.items()} for x in (problem.params, other))
    call = run.training_gradient
    if method == "jax-discrete":
        call = jax.jit(call, static_argnums=3)
    found = call(params, put(problem.y0), given, (0.0,))
    assert float(found.loss) == pytest.approx(expected.loss, rel=1e-9)
    np.testing.assert_allclose(found.dparams["a"], expected.dparams["a"], rtol=1e-7)


def test_lanes_of_pytorch_with_whole_numbers_of_their_own():
    rates = torch.tensor([[1, 2], [3, 4]])
    y0 = torch.ones(2, dtype=torch.float64)

    def solved(n):
        return solve_torch(lambda t, y, n: -n * y, y0, SAVES, n, rtol=1e-9, atol=1e-12).ys[-1]

    found = torch.func.vmap(solved)(rates)
    np.testing.assert_allclose(found, np.exp(-rates.numpy()), rtol=1e-7)


def test_cotangents_of_pytorch_may_come_together():
    p = torch.tensor(RATES, requires_grad=True)
    ys = solve_torch(decay, torch.ones(2, dtype=torch.float64), SAVES, p).ys
    rows = torch.eye(4, dtype=torch.float64).reshape(4, 2, 2)
    (together,) = torch.autograd.grad(ys, p, rows, is_grads_batched=True, retain_graph=True)
    each = [torch.autograd.grad(ys, p, row, retain_graph=True)[0] for row in rows]
    torch.testing.assert_close(together, torch.stack(each))


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_a_tolerance_that_is_written_to_later_changes_no_gradient(engine):
    slopes = []
    for factor in (1.0, 10.0):
        p, atol = torch.tensor(RATES, requires_grad=True), torch.tensor(1e-6, dtype=torch.float64)
        start = torch.ones(2, dtype=torch.float64)
        estimate = solve_torch(decay, start, SAVES, p, atol=atol, engine=engine).error_estimate
        atol *= factor
        slopes += torch.autograd.grad(estimate, p)
    torch.testing.assert_close(*slopes)
