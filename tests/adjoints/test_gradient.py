"""``gradient`` and ``prepare``: the contract of the public interface, for the JAX methods."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from array_api_compat import array_namespace
from tiny_problems import decay, decay_gradient, doses, doses_gradient

import adjointbench as ab
from adjointbench.adjoints import gradient as gradient_module
from adjointbench.adjoints.methods import get_method
from adjointbench.adjoints.result import STATUSES

JAX_METHODS = [
    "jax-discrete",
    "jax-forward",
    "jax-backsolve",
    "jax-backsolve-seminorm",
    "jax-interpolating",
    "jax-quadrature",
    "jax-gauss",
]
# SUNDIALS cvsLotkaVolterra_ASA set-up, re-computed with DOP853 forward sensitivities.
GOLDEN = {
    "sum": [-4.09621299, -0.50940881, -1.14583489, -1.80432787],
    "squared_distance": [0.62196159, 0.0680014, 0.16917646, 0.27256069],
}


@pytest.mark.parametrize("method", JAX_METHODS)
def test_decay_has_its_elementary_gradient(method):
    result = ab.gradient(decay(), method, rtol=1e-9, atol=1e-12, max_steps=1024)
    loss, dk, dy0 = decay_gradient()
    assert (result.status, result.phase) == ("ok", None)
    assert result.loss == pytest.approx(loss, rel=1e-8)
    np.testing.assert_allclose(result.dparams["k"], [dk], rtol=1e-7)
    np.testing.assert_allclose(result.dy0, [dy0], rtol=1e-7)
    assert result.dparams["k"].dtype == np.float64


@pytest.mark.parametrize("method", JAX_METHODS)
def test_doses_jump_in_state_and_adjoint(method):
    result = ab.gradient(doses(), method, rtol=1e-9, atol=1e-12, max_steps=1024)
    found = [*result.dparams["k"], *result.dparams["dose"], *result.dparams["kept"], *result.dy0]
    np.testing.assert_allclose(found, doses_gradient(), rtol=1e-6)


@pytest.mark.parametrize("loss", list(GOLDEN))
def test_golden_gradient_of_lotka_volterra(loss):
    problem = ab.problems.get("lotka_volterra", loss=loss)
    result = ab.gradient(problem, "jax-discrete", solver="dop853", rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(result.dparams["p"], GOLDEN[loss], rtol=2e-7)


def test_the_adaptive_trap_is_told_apart():
    """At a fixed point the controller sees no error: discrete adjoints are ok and wrong."""
    problem = ab.problems.get("adaptive_ad_trap")
    truth = 212.710425217  # Sapienza et al., arXiv 2406.09699
    discrete = ab.gradient(problem, "jax-discrete", rtol=1e-8, atol=1e-8, first_step=0.1)
    continuous = ab.gradient(problem, "jax-backsolve", rtol=1e-8, atol=1e-8, first_step=0.1)
    assert discrete.status == continuous.status == "ok"
    assert abs(discrete.dparams["a"].sum() / truth - 1) > 1
    assert continuous.dparams["a"].sum() == pytest.approx(truth, rel=1e-5)


def test_a_prepared_run_is_called_again_without_compiling(monkeypatch):
    run = ab.prepare(decay(), "jax-discrete", rtol=1e-8)
    first = run()
    run.primal()
    monkeypatch.setattr(jax, "jit", None)
    moved = run(params={"k": [0.6]}, y0=[1.4])
    assert moved.dparams["k"][0] == pytest.approx(decay_gradient(0.6, 1.4)[1], rel=1e-6)
    assert run().loss == first.loss
    assert run.primal({"k": [0.6]}, [1.4]) == pytest.approx(moved.loss, rel=1e-12)


def test_the_compiled_call_takes_and_gives_bare_arrays():
    run = ab.prepare(decay(), "jax-discrete", rtol=1e-8)
    with jax.enable_x64(True):
        params, y0 = {"k": jnp.array([0.5])}, jnp.array([1.5])
    loss, dparams, dy0 = run.compiled(params, y0)
    result = run()
    assert (loss.dtype, float(loss)) == (jnp.float64, result.loss)
    np.testing.assert_array_equal(dparams["k"], result.dparams["k"])
    np.testing.assert_array_equal(dy0, result.dy0)


@pytest.mark.parametrize("setting", [True, False])
def test_the_dtype_is_the_problems_and_the_host_keeps_its_setting(setting):
    with jax.enable_x64(setting):
        double = ab.gradient(decay(), "jax-discrete")
        single = ab.gradient(
            decay(y0=np.float32([1.5]), params={"k": np.float32([0.5])}), "jax-discrete", rtol=1e-4
        )
        assert jax.config.jax_enable_x64 == setting
    assert double.dy0.dtype == np.float64
    assert single.dy0.dtype == np.float32
    assert double.dparams["k"][0] == pytest.approx(decay_gradient()[1], rel=1e-5)


def test_results_live_on_the_device_asked_for():
    problem = decay()
    run = ab.prepare(problem, "jax-discrete", device="cpu:1")
    device = jax.devices("cpu")[1]
    with jax.enable_x64(True):
        out = run.compiled(*jax.device_put((problem.params, problem.y0), device))
    assert all(leaf.devices() == {device} for leaf in jax.tree.leaves(out))
    assert run().loss == ab.gradient(decay(), "jax-discrete").loss


@pytest.mark.parametrize("regularizer", ["error", "error_squared", "stiffness"])
def test_a_regularizer_adds_its_value_and_its_gradient(regularizer):
    problem = ab.problems.get("lotka_volterra")
    options = {"rtol": 1e-4, "atol": 1e-6, "max_steps": 256}
    plain = ab.gradient(problem, "jax-discrete", **options)
    options["regularizer"] = regularizer
    once = ab.gradient(problem, "jax-discrete", coefficient=0.5, **options)
    twice = ab.gradient(problem, "jax-forward", coefficient=1.0, **options)
    added, added_twice = once.loss - plain.loss, twice.loss - plain.loss
    assert added > 0
    assert added_twice == pytest.approx(2 * added, rel=1e-6)
    gained = once.dparams["p"] - plain.dparams["p"]
    np.testing.assert_allclose(twice.dparams["p"] - plain.dparams["p"], 2 * gained, rtol=1e-5)


def blow_up(rhs):
    return decay(rhs=rhs, loss=lambda ys, p: ys.sum())


@pytest.mark.parametrize("method", ["jax-discrete", "jax-backsolve", "jax-forward"])
@pytest.mark.parametrize(
    ("rhs", "options", "statuses"),
    [
        (lambda t, y, p: 4 * p["k"] * y * y, {}, {"step_too_small", "nonfinite"}),
        (lambda t, y, p: y * (0 * t) / (0 * t), {}, {"nonfinite"}),
        (lambda t, y, p: -p["k"] * y, {"max_steps": 2, "rtol": 1e-10}, {"max_steps"}),
    ],
)
def test_a_breakdown_is_a_result(method, rhs, options, statuses):
    result = ab.gradient(blow_up(rhs), method, **options)
    assert result.status in statuses
    assert result.phase == "forward"
    assert result.message
    assert np.isnan(result.loss)
    assert np.isnan(result.dparams["k"]).all()
    assert np.isnan(result.dy0).all()


def test_batched_states_integer_constants_and_scalar_parameters():
    def rhs(t, y, p):
        xp = array_namespace(y)
        return -p["k"] * y * xp.astype(p["power"], y.dtype)

    problem = ab.Problem(
        name="batch",
        rhs=rhs,
        y0=np.arange(1.0, 7.0).reshape(3, 2),
        params={"k": 0.3, "w": [[1.0], [2.0]]},
        constants={"power": np.array(2)},
        t_span=(0, 1),
        loss=lambda ys, p: (ys[-1, ...] @ p["w"]).sum(),
    )
    result = ab.gradient(problem, "jax-discrete", rtol=1e-10, atol=1e-12)
    decayed = np.exp(-0.6) * np.arange(1.0, 7.0).reshape(3, 2)
    np.testing.assert_allclose(result.dparams["w"][:, 0], decayed.sum(axis=0), rtol=1e-8)
    np.testing.assert_allclose(result.dparams["k"], -2 * (decayed @ [1.0, 2.0]).sum(), rtol=1e-8)
    np.testing.assert_allclose(result.dy0, np.exp(-0.6) * np.ones((3, 1)) * [1.0, 2.0], rtol=1e-8)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "jax-discret"}, "did you mean 'jax-discrete'"),
        ({"solver": "tsit4"}, "did you mean 'tsit5'"),
        ({"rtol": 0.0}, "rtol=0.0 must be positive"),
        ({"atol": -1e-9}, "atol=-1e-09 must be positive"),
        ({"rtol": [1e-6, 1e-6]}, "rtol has shape"),
        ({"device": "tpux"}, "device='tpux' is not known"),
        ({"device": "cuda:7"}, "this machine lacks it"),
        ({"regularizer": "eror", "coefficient": 1.0}, "did you mean 'error'"),
        ({"coefficient": 1.0}, "needs a regularizer"),
        ({"max_steps": 0}, "max_steps=0 must be positive"),
        ({"first_step": -1.0}, "first_step=-1.0 must be positive"),
        ({"method": "jax-backsolve", "regularizer": "error"}, "use one of: jax-discrete"),
        ({"method": "jax-discrete", "adjoint_rtol": 1e-3}, "use one of: jax-backsolve"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_remedy(options, match):
    arguments = {"method": "jax-discrete", **options}
    with pytest.raises(ValueError, match=match):
        ab.gradient(decay(), **arguments)


def test_a_stiff_problem_wants_an_implicit_solver(monkeypatch):
    explicit_only = dataclasses.replace(get_method("jax-discrete"), stiff_solver=None)
    monkeypatch.setattr(gradient_module, "get_method", lambda name: explicit_only)
    with pytest.raises(ValueError, match=r"is stiff.*has only explicit ones.*or use one of"):
        ab.gradient(ab.problems.get("robertson"), "jax-discrete")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"params": {"kk": 1.0}}, "did you mean 'k'"),
        ({"params": {"k": [1.0, 2.0]}}, "shape"),
        ({"y0": [np.nan]}, "finite"),
    ],
)
def test_new_inputs_are_checked(arguments, match):
    run = ab.prepare(decay(), "scipy-adjoint")
    with pytest.raises(ValueError, match=match):
        run(**arguments)


def test_tolerances_per_component():
    problem = ab.problems.get("lotka_volterra")
    each = ab.gradient(problem, "jax-discrete", rtol=np.full(2, 1e-6), atol=np.full(2, 1e-9))
    one = ab.gradient(problem, "jax-discrete", rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(each.dparams["p"], one.dparams["p"], rtol=1e-9)
    assert each.stats.steps == one.stats.steps


@pytest.mark.parametrize("method", ["jax-discrete", "jax-gauss", "jax-forward"])
def test_other_tolerances_need_no_other_program(method):
    problem = decay()
    first = ab.prepare(problem, method, rtol=1e-4)
    second = ab.prepare(problem, method, rtol=1e-8, atol=1e-10)
    # The seconds are those of the one compilation.
    assert second().stats.compile_s == first().stats.compile_s
    assert second().stats.steps > first().stats.steps
    fresh = ab.gradient(decay(), method, rtol=1e-8, atol=1e-10)
    assert second().loss == fresh.loss
    np.testing.assert_array_equal(second().dparams["k"], fresh.dparams["k"])
    other = ab.prepare(problem, method, rtol=1e-4, max_steps=99)
    assert other().stats.compile_s != first().stats.compile_s


@pytest.mark.parametrize("method", ["jax-discrete", "diffrax-direct", "torch-discrete"])
def test_a_training_takes_the_same_gradient(method):
    """With a component of the state added, which the caller does not know of."""
    problem = decay()
    run = ab.prepare(problem, method, regularizer="kinetic", coefficient=0.5)
    put = torch.tensor if method.startswith("torch") else jnp.asarray
    with jax.enable_x64(True):
        params, constants = (
            {name: put(value) for name, value in values.items()}
            for values in (problem.params, run.prepared.constants)
        )
        found = run.training_gradient(params, put(problem.y0), constants, (0.0,))
    result = run()
    assert STATUSES[int(found.status)] == result.status == "ok"
    assert float(found.loss) == pytest.approx(result.loss, rel=1e-12)
    np.testing.assert_allclose(found.dparams["k"], result.dparams["k"], rtol=1e-12)
    np.testing.assert_allclose(found.dy0, result.dy0, rtol=1e-12)
    assert int(found.work.steps) == result.stats.steps


@pytest.mark.parametrize("method", ["scipy-adjoint", "cvodes-adjoint"])
def test_a_method_on_numpy_trains_in_no_framework(method):
    run = ab.prepare(decay(), method)
    with pytest.raises(ValueError, match="use one on 'jax' or 'torch'"):
        run.training_gradient({}, None, {}, ())


def test_gradient_takes_other_values_as_a_run_does() -> None:
    problem = ab.problems.get("linear")
    other = {"decay": 0.7}
    found = ab.gradient(problem, "scipy-forward", params=other, y0=2 * problem.y0)
    expected = ab.prepare(problem, "scipy-forward")(params=other, y0=2 * problem.y0)
    assert found.loss == expected.loss
    assert found.loss != ab.gradient(problem, "scipy-forward").loss
    with pytest.raises(ValueError, match="params='deca' is not known; did you mean 'decay'"):
        ab.gradient(problem, "scipy-forward", params={"deca": 1.0})
    with pytest.raises(ValueError, match="must be a dict of arrays by their names"):
        ab.gradient(problem, "scipy-forward", params=[1.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'rtl'; did you mean 'rtol'"):
        ab.gradient(problem, "scipy-forward", rtl=1e-3)
