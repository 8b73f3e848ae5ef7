"""``jax.experimental.ode.odeint`` through its public interface."""

import jax
import numpy as np
import pytest
import tiny_problems as tiny

import adjointbench as ab

METHOD = "jax-odeint"


def test_lotka_volterra_agrees_with_cvodes():
    problem = ab.problems.get("lotka_volterra", loss="squared_distance")
    run = ab.prepare(problem, METHOD, rtol=1e-9, atol=1e-11)
    result = run()
    assert result.status == "ok"
    np.testing.assert_allclose(result.dparams["p"], tiny.LOTKA_VOLTERRA_DP, rtol=1e-6)
    np.testing.assert_allclose(result.dy0, tiny.LOTKA_VOLTERRA_DY0, rtol=1e-6)
    assert run.primal() == pytest.approx(result.loss, rel=1e-12)
    stats = result.stats
    assert (stats.steps, stats.rejected, stats.rhs_evals, stats.vjp_evals) == (None,) * 4
    assert (stats.derivatives, stats.compile_s > 0) == ("jax", True)

    with jax.enable_x64(True):
        arguments = jax.device_put((dict(problem.params), problem.y0))
    loss, dparams, dy0 = run.compiled(*arguments)
    assert (loss.dtype, dparams["p"].dtype, dy0.dtype) == (np.float64,) * 3
    assert float(loss) == pytest.approx(result.loss, rel=1e-12)
    np.testing.assert_allclose(np.asarray(dparams["p"]), result.dparams["p"], rtol=1e-12)
    np.testing.assert_allclose(np.asarray(dy0), result.dy0, rtol=1e-12)
    assert float(run.compiled_primal(*arguments)) == pytest.approx(result.loss, rel=1e-12)


@pytest.mark.parametrize("times", [(1.0, 2.0), (0.0, 1.0, 2.0), (0.0, 0.01, 0.02, 1.7, 2.0)])
def test_saves_inside_and_at_the_start(times):
    problem = tiny.decay(save_at=np.array(times))
    result = ab.gradient(problem, METHOD, rtol=1e-9, atol=1e-12)
    found = [result.loss, *result.dparams["k"], *result.dy0]
    np.testing.assert_allclose(found, tiny.decay_gradient(times=times), rtol=1e-6)


def test_new_parameters_and_start_value():
    run = ab.prepare(tiny.decay(), METHOD, rtol=1e-9, atol=1e-12)
    moved = run({"k": [0.6]}, [1.4])
    found = [moved.loss, *moved.dparams["k"], *moved.dy0]
    np.testing.assert_allclose(found, tiny.decay_gradient(0.6, 1.4), rtol=1e-7)


def test_constants_reach_the_equations():
    problem = ab.Problem(
        name="driven",
        rhs=lambda t, y, p: p["force"] - p["k"] * y,
        y0=np.zeros(2),
        params={"k": np.array([0.5])},
        t_span=(0.0, 1.0),
        loss=lambda ys, p: ys[-1, 0] + ys[-1, 1],
        constants={"force": np.array([1.0, 2.0])},
    )
    # y = force (1 - exp(-k t)) / k
    expected = 3.0 * (np.exp(-0.5) * 1.5 - 1.0) / 0.25
    result = ab.gradient(problem, METHOD, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(result.dparams["k"], expected, rtol=1e-6)


def test_state_and_parameters_keep_shapes_order_and_dtype():
    problem = tiny.oscillators().with_dtype(np.float32)
    result = ab.gradient(problem, METHOD, rtol=1e-5, atol=1e-6)
    reference = ab.gradient(tiny.oscillators(), "scipy-forward", rtol=1e-9, atol=1e-11)
    assert result.status == "ok"
    assert list(result.dparams) == list(problem.params)
    for name, value in problem.params.items():
        assert result.dparams[name].shape == value.shape
        assert result.dparams[name].dtype == np.float32
    assert result.dy0.dtype == np.float32
    assert tiny.log_error(result, reference.dparams, problem.params) < 1e-4


def test_a_discontinuity_is_not_stepped_onto():
    def error(method):
        result = ab.gradient(tiny.switch(), method, rtol=1e-5, atol=1e-8)
        return np.abs(result.dparams["slopes"] / [11.0, 2.0] - 1.0).max()

    # Other methods see the two sides apart, and are exact.
    assert error("scipy-adjoint") < 1e-7
    assert 1e-7 < error(METHOD) < 1e-3


def test_what_it_cannot_do_is_refused():
    with pytest.raises(ValueError, match=r"jump_times=\(1.0, 2.0\).*scipy-adjoint"):
        ab.gradient(tiny.doses(), METHOD)
    problem = ab.problems.get("lotka_volterra")
    with pytest.raises(ValueError, match=r"atol has shape \(2,\)"):
        ab.gradient(problem, METHOD, atol=np.full(2, 1e-9))
    with pytest.raises(ValueError, match="first_step"):
        ab.gradient(problem, METHOD, first_step=0.1)
    with pytest.raises(ValueError, match="has only explicit ones"):
        ab.gradient(ab.problems.get("robertson"), METHOD)


@pytest.mark.parametrize("problem", [tiny.turns_nan(), tiny.always_nan(), tiny.blow_up()])
def test_values_that_are_not_finite_are_a_status(problem):
    run = ab.prepare(problem, METHOD)
    result = run()
    assert (result.status, result.phase) == ("nonfinite", "forward")
    assert np.isnan(result.loss)
    assert np.isnan(result.dparams["k"]).all()
    assert np.isnan(run.primal())


def test_the_bare_call_extrapolates_where_the_right_hand_side_has_no_value():
    problem = tiny.turns_nan()
    run = ab.prepare(problem, METHOD)
    with jax.enable_x64(True):
        loss = run.compiled_primal(*jax.device_put((dict(problem.params), problem.y0)))
    # There is no solution after t = 1, where it is exp(-2/3).
    assert 0.9 < float(loss) < 1.0
    assert np.isnan(run.primal())


def test_a_limit_that_is_used_up_is_a_status():
    run = ab.prepare(ab.problems.get("lotka_volterra"), METHOD, max_steps=10)
    result = run()
    assert (result.status, result.phase) == ("max_steps", "forward")
    assert "mxstep" in result.message
    assert np.isnan(result.loss)
    assert np.isnan(run.primal())

    # Five attempts take the state from save to save, and state and adjoint not back.
    run = ab.prepare(tiny.decay(), METHOD, max_steps=5)
    result = run()
    assert (result.status, result.phase) == ("max_steps", "reverse")
    assert np.isnan(result.dy0).all()
    assert run.primal() == pytest.approx(tiny.decay_gradient()[0], rel=1e-6)
    assert ab.gradient(tiny.decay(), METHOD, max_steps=20).status == "ok"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_limit_is_noticed_in_large_units_too(dtype):
    large = tiny.decay(loss=lambda ys, p: 1e25 * ys.sum()).with_dtype(dtype)
    assert np.isnan(ab.prepare(large, METHOD, max_steps=1).primal())
    assert ab.prepare(large, METHOD).primal() > 1e24


def test_results_live_on_the_device_asked_for():
    problem = tiny.decay()
    run = ab.prepare(problem, METHOD, device="cpu:1")
    with jax.enable_x64(True):
        arguments = jax.device_put((dict(problem.params), problem.y0), jax.devices("cpu")[1])
    for value in jax.tree.leaves(run.compiled(*arguments)):
        assert value.devices() == {jax.devices("cpu")[1]}
